"""The words of the Hub view, within the room that there is."""

from __future__ import annotations

import pytest

from core.hub.progress import FileProgress, Progress, Stage
from tui.hub.progress_text import summary
from tui.hub.search_text import filters
from tui.hub.wish import Wish

CHOSEN = Wish(kind="embeddings", size="fits here", quantisation="mxfp4", licence="apache-2.0")


@pytest.mark.parametrize("wish", [Wish(), CHOSEN])
@pytest.mark.parametrize("width", [48, 65, 76, 120])
def test_the_order_can_be_read_in_a_narrow_pane(wish: Wish, width: int) -> None:
    line = filters(wish, width)
    assert "s by downloads" in line.plain[:width]
    assert line.cell_length <= width or width == 48
    assert ("any quantisation" in line.plain) is (width > 70 and wish is not CHOSEN)


def moving(name: str, missing: int, speed: float) -> Progress:
    return Progress(name, name, None, "", Stage.RUNNING, (FileProgress("w", 100, 100 + missing),), speed)


def test_the_time_that_is_left_of_all_is_no_less_than_that_of_one() -> None:
    slow, quick = moving("slow", 640, 10.0), moving("quick", 260, 10.0)
    assert "64 s left" in summary((slow, quick))
    waiting = Progress("later", "later", None, "", Stage.QUEUED, (FileProgress("w", 0, 1000),))
    assert "95 s left" in summary((quick, slow, waiting))
