"""The Hub of the tests, for commands that talk to one."""

from tests.hub.fixtures import hub, hub_settings

__all__ = ["hub", "hub_settings"]
