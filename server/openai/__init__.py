"""The OpenAI protocol: chat completions and plain completions."""
