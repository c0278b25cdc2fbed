"""Where unfinished downloads are written down. Nothing of the Hub's is imported: a program looks here at each start."""

from __future__ import annotations

from core.settings import Settings

RECORDS = "downloads"


def any_unfinished(settings: Settings) -> bool:
    """Whether there may be downloads to go on with. Reads the disk."""
    return any((settings.data_dir / RECORDS).glob("*.json"))
