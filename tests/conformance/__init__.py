"""Requests and answers against the protocols as they are published."""
