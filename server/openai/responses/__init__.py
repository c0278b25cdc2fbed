"""The Responses half of the OpenAI protocol: /v1/responses and what belongs to it."""
