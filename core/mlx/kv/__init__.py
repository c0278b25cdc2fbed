"""What outlives a request: KV for later turns, in memory and on disk, and the embeddings of images."""
