"""Embedding models at work."""
