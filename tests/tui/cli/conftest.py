"""The Hub of the tests, for commands that talk to one, and a place of its own for `assay golden`."""

from tests.hub.fixtures import hub, hub_settings
from tests.tui.cli.golden_places import clean_env, golden

__all__ = ["clean_env", "golden", "hub", "hub_settings"]
