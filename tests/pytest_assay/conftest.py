"""A place of its own for each of a user's runs of pytest."""

from tests.tui.cli.golden_places import clean_env

__all__ = ["clean_env"]
