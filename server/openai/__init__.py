"""The OpenAI protocol: chat completions, plain completions, embeddings, speech and transcriptions."""
