"""The local API: one face of the engine, speaking the OpenAI and the Anthropic protocol.

Nothing is imported here: `server.lifecycle` must stay cheap to import until the API is switched on.
"""
