"""A Hugging Face Hub on loopback: what huggingface_hub's own client asks for, over models of ours, with every fault."""

from tests.hub.repositories import Fault, File, Repository, pocket_repository
from tests.hub.server import Hub

__all__ = ["Fault", "File", "Hub", "Repository", "pocket_repository"]
