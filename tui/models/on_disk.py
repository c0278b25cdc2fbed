"""What the disk knows beyond the list of models: revisions, what is there twice or unfinished, when it was used."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.catalog import ModelInfo
from tui.figures import size_in_words, when
from tui.foreign import one_line

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


def also_in(model_id: str, twice: Iterable[Duplicate]) -> list[str]:
    """What of a model lies in other models as well, each for itself: a phrase for each of these, the most first."""
    found: dict[str, list[int]] = defaultdict(list)
    for duplicate in twice:
        for other in duplicate.models:
            if other != model_id:
                found[other].append(duplicate.size_bytes)
    most = sorted(found.items(), key=lambda pair: (-sum(pair[1]), pair[0]))
    return [
        f"{size_in_words(sum(sizes))} in {len(sizes)} file{'s' * (len(sizes) > 1)}, the same as in {one_line(other)}"
        for other, sizes in most
    ]


def disk_fields(info: ModelInfo, on_disk: OnDisk) -> list[tuple[str, str]]:
    """What the disk knows of a model, under labels; those of further revisions and files are empty."""
    stored, used, twice = on_disk.stored.get(info.id), on_disk.used.get(info.id), on_disk.twice.get(info.id, ())
    revisions, unfinished = [(info.revision or "")[:12]], ""
    if coming := on_disk.coming.get(info.id):
        there = f"{size_in_words(coming[0])} of {size_in_words(coming[1])}" if coming[1] else "nothing yet"
        unfinished = f"{there}; it has not ended"
    elif stored is not None and stored.unfinished:
        unfinished = f"{size_in_words(stored.unfinished)} that no revision shows"
    if stored is not None and len(stored.revisions) > 1:
        revisions = [
            f"{' '.join((one.commit[:12], *one.refs))} · {size_in_words(one.size_bytes)}, "
            f"{size_in_words(one.frees)} of it only there"
            for one in stored.revisions
        ]
    return [
        ("used", when(used, time.time()) if used else ""),
        ("download", unfinished),
        *(("" if at else "revision", told) for at, told in enumerate(revisions)),
        *(("" if at else "twice", told) for at, told in enumerate(also_in(info.id, twice))),
    ]


def read_on_disk(settings: Settings) -> OnDisk:
    """Look at every file of the cache: not for the event loop."""
    from core.hub.disk import read_disk
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
        _coming(settings),
        last_used(settings),
    )


def _coming(settings: Settings) -> dict[str, tuple[int, int]]:
    """Bytes that are there and bytes in all of unfinished downloads. Where there are none, the Hub's client is not
    imported, which takes a second of a processor."""
    from core.hub.unfinished import any_unfinished

    if not any_unfinished(settings):
        return {}
    from core.hub.records import read_records

    return {
        record.id: (sum(map(record.on_disk, record.files)), sum(file.size for file in record.files))
        for record in read_records(settings)
    }
