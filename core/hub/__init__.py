"""The Hugging Face Hub: models found, looked at, downloaded, and thrown away again.

Everything here may wait for a network or a disk: call it from a thread of its own, never from an event loop or the MLX
thread. Only `core.hub.client` talks to the Hub, and does so through huggingface_hub.
"""
