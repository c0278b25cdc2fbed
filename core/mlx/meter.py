"""What requests take of MLX's memory while they are worked on, and who is at work beside them."""

from __future__ import annotations

from dataclasses import dataclass
from weakref import ReferenceType, ref

import mlx.core as mx

from core.calls.events import Footprint
from core.calls.stream import Work


@dataclass(eq=False)
class Window:
    """The time in which a request is worked on. Memory is bytes of all that MLX holds."""

    work: ReferenceType[Work]
    """Whoever holds it holds its request, too."""
    model: str
    began: int
    peak: int
    crowds: int
    rows: int = 1

    @property
    def over(self) -> bool:
        work = self.work()
        return work is None or work.done


class Meter:
    """Used on the MLX thread alone. MLX has one mark of the highest memory, which is read and set back here only.

    A window is over when its request is, however that ended.
    """

    def __init__(self) -> None:
        self.crowded = False
        """Whether more than one model is at work in this step, or one is while another is loaded."""
        self._peak = 0
        self._crowds = 0
        self._open: list[Window] = []

    @property
    def peak(self) -> int:
        """The most that MLX has held so far."""
        return max(self._peak, mx.get_peak_memory())

    def begin(self, work: Work) -> Window:
        """A request is worked on from now on."""
        self._look()
        now = mx.get_active_memory()
        window = Window(ref(work), work.request.model, now, now, self._crowds)
        self._open = [other for other in self._open if not other.over] + [window]
        same = [other for other in self._open if other.model == window.model]
        for one in same:
            one.rows = max(one.rows, len(same))
        return window

    def crowd(self, crowded: bool = True) -> None:
        """A step begins, in which more than one model is at work or loaded, or is not."""
        self.crowded = crowded
        self._crowds += crowded

    def end(self, window: Window) -> Footprint:
        """What it came to."""
        self._look()
        if window in self._open:
            self._open.remove(window)
        return Footprint(window.peak - window.began, window.rows, window.crowds == self._crowds)

    def _look(self) -> None:
        peak = mx.get_peak_memory()
        self._peak = max(self._peak, peak)
        for window in self._open:
            window.peak = max(window.peak, peak)
        mx.reset_peak_memory()
