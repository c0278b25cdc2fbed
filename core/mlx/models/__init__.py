"""Folders to models in memory, and what is peculiar to each."""
