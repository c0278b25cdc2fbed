"""A Hub on loopback, and settings with a cache of their own."""

from tests.hub.fixtures import hub, hub_settings

__all__ = ["hub", "hub_settings"]
