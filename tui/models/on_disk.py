"""What the disk knows beyond the list of models: revisions, what is there twice or unfinished, when it was used."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

# What reads the cache brings huggingface_hub along: it is imported on the thread that reads.
if TYPE_CHECKING:
    from core.hub.disk import Disk, Duplicate, Stored
    from core.settings import Settings

UNFINISHED, TWICE = "↓", "="


@dataclass(frozen=True)
class OnDisk:
    """The Hugging Face cache, by model. `coming` has bytes that are there and bytes in all of unfinished downloads,
    `used` when a model was last used, in seconds since the epoch."""

    disk: Disk
    stored: Mapping[str, Stored]
    twice: Mapping[str, tuple[Duplicate, ...]]
    coming: Mapping[str, tuple[int, int]]
    used: Mapping[str, float]

    def marks(self, model_id: str) -> str:
        """Signs for a row, each behind a space: ↓ a download that has not ended, +1 another revision, = files that
        another model has too."""
        stored = self.stored.get(model_id)
        more = len(stored.revisions) - 1 if stored is not None else 0
        unfinished = model_id in self.coming or (stored is not None and not stored.revisions)
        signs = (UNFINISHED if unfinished else "", f"+{more}" if more > 0 else "", TWICE * (model_id in self.twice))
        return "".join(f" {sign}" for sign in signs if sign)


def read_on_disk(settings: Settings) -> OnDisk:
    """Look at every file of the cache: not for the event loop."""
    from core.hub.disk import read_disk
    from core.hub.records import read_records
    from core.hub.use import last_used

    disk = read_disk(settings)
    twice: dict[str, list[Duplicate]] = defaultdict(list)
    for duplicate in disk.duplicates:
        for model in duplicate.models:
            twice[model].append(duplicate)
    return OnDisk(
        disk,
        {stored.id: stored for stored in disk.models},
        {model: tuple(found) for model, found in twice.items()},
        {
            record.id: (sum(map(record.on_disk, record.files)), sum(file.size for file in record.files))
            for record in read_records(settings)
        },
        last_used(settings),
    )
