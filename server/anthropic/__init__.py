"""The Anthropic protocol: messages, and the counting of their tokens."""
