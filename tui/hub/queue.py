"""The downloads of the workbench: a queue made when it is needed, which goes on with what an earlier start left."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from core.hub.progress import Progress, Stage
from core.hub.unfinished import any_unfinished
from core.settings import Settings
from tui.state import Downloading

if TYPE_CHECKING:
    from core.hub.downloads import Downloads

CLOSE_S = 1.0
"""How long a download may take to stand still: what it has written is safe before that."""


class DownloadQueue:
    """`told` is called on any thread when a download's stage changes. Methods that may block say so."""

    def __init__(self, settings: Settings, told: Callable[[Progress], None]) -> None:
        self._settings, self._told = settings, told
        self._lock = threading.Lock()
        self._downloads: Downloads | None = None
        self._closed = False

    def go_on(self) -> None:
        """Go on with what was left unfinished, if anything was. Reads the disk."""
        if any_unfinished(self._settings):
            self.open()

    def open(self) -> Downloads:
        """The queue itself. Blocks: imports core.hub and reads the disk when it is first called."""
        with self._lock:
            if self._downloads is None:
                from core.hub.downloads import Downloads

                downloads = Downloads(self._settings, goes_on=True)
                downloads.listen(self._told)
                if not self._closed:
                    downloads.restore()
                self._downloads = downloads
            return self._downloads

    def look_again(self) -> None:
        """Forget what other programs have ended or thrown away meanwhile. Reads the disk."""
        if self._downloads is not None:
            self._downloads.look_again()

    def all(self) -> tuple[Progress, ...]:
        """How each stands that has not ended well or been thrown away; none before the queue is open."""
        if self._downloads is None:
            return ()
        return tuple(one for one in self._downloads.all() if one.stage not in (Stage.DONE, Stage.CANCELLED))

    def close(self) -> None:
        """Pause everything; what moves goes on at the next start. Blocks."""
        self._closed = True
        if self._downloads is not None:
            self._downloads.close(CLOSE_S)


def moving(downloads: tuple[Progress, ...]) -> Downloading | None:
    """Those that move, together; None where none does."""
    these = [one for one in downloads if one.stage.moves]
    if not these:
        return None
    return Downloading(len(these), percent(these))


def percent(downloads: list[Progress]) -> int | None:
    """How much of them is there, rounded down: 100 is reached at the end. None while a size is not known."""
    total = sum(one.total for one in downloads)
    if not total or not all(one.total for one in downloads):
        return None
    return min(100 * sum(one.done for one in downloads) // total, 100)
