"""How things are named on the disk, without the Hub's client: who only looks at the disk has no use for that."""

from __future__ import annotations

import re
from pathlib import Path

from core.settings import Settings

COMMIT = re.compile(r"[0-9a-f]{40}")
SHA256 = re.compile(r"[0-9a-f]{64}")


def records_folder(settings: Settings) -> Path:
    """Where unfinished downloads are kept, one JSON file each."""
    return settings.data_dir / "downloads"
