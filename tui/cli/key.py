"""`assay key`."""

from __future__ import annotations

from tui.cli.common import settings_with


def key() -> None:
    """Print the key that the API asks for."""
    from core.settings import api_key

    print(api_key(settings_with()))  # noqa: T201
