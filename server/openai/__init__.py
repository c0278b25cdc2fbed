"""The OpenAI protocol: chat completions, Responses, plain completions, embeddings, speech and transcriptions."""
