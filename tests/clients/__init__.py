"""Programs of others against the API as it stands: what they do by default, with nothing set but base URL and key."""
