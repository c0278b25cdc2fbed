"""The downloads under the list: a bar for each, bars for the files that are coming, and what stopped one."""

from __future__ import annotations

from collections.abc import Callable

from textual import getters, on, work
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.timer import Timer
from textual.widget import Widget
from textual.widgets import Static

from core.errors import EngineError
from core.hub.progress import FileProgress, Progress, Stage
from tui.background import off_loop
from tui.figures import size, size_in_words
from tui.foreign import one_line, plain, shorten_path
from tui.hub.progress_text import bar, notes, share, sizes, state, summary
from tui.hub.queue import DownloadQueue, moving
from tui.screens.confirm import Confirm
from tui.services import Services
from tui.state import Downloading
from tui.widgets.redraw import redraw
from tui.widgets.row_table import Column, RowTable

LOOK_S = 0.25
"""How often the bars are drawn while something moves."""
FILES_SHOWN = 3
FILES_FROM = 32
"""Lines of a screen from which on files have bars of their own."""
WIDEST = 52
"""Cells of a name beyond which its bar would stand far away."""
COLUMNS = (
    Column("name", "downloads"),
    Column("bar", "", 8, 36, roomy=Column("bar", "", 20, 90)),
    Column("share", "", 5, right=True),
    Column("sizes", "", 11, 66, right=True),
    Column("speed", "", 6, 54, right=True),
    Column("state", "", 9, roomy=Column("state", "", 12, 60)),
)


class DownloadsPanel(Vertical):
    """Shows the queue and passes keys on to it. Takes no room while there is no download."""

    class Changed(Message):
        """How they stand, in words for the pane and as figures for the first line."""

        def __init__(self, summary: str, now: Downloading | None) -> None:
            super().__init__()
            self.summary = summary
            self.now = now

    class Arrived(Message):
        """A model is on the disk, whole."""

        def __init__(self, model_id: str) -> None:
            super().__init__()
            self.model_id = model_id

    class Told(Message):
        """A download has come to another stage; posted from its thread."""

        def __init__(self, progress: Progress) -> None:
            super().__init__()
            self.progress = progress

    table = getters.query_one("#hub-downloads-table", RowTable)

    def __init__(self, id: str) -> None:
        super().__init__(id=id)
        self.display = False
        self._queue: DownloadQueue | None = None
        self._all: dict[str, Progress] = {}
        self._files: dict[str, tuple[str, FileProgress]] = {}
        """By the key of a file's row, the download and the file."""
        self._looking: Timer | None = None
        self._summary: tuple[str, Downloading | None] = ("", None)
        self._said: set[str] = set()
        """Why downloads stopped, as far as notices have told it."""

    def compose(self) -> ComposeResult:
        yield RowTable(COLUMNS, self._cell, empty="", id="hub-downloads-table", snug=True)
        yield Static(id="hub-downloads-notes", markup=False)

    # -- the queue ----------------------------------------------------------------------------------------------------

    def attach(self, services: Services) -> None:
        """Begin to work with the opened services: what was left unfinished goes on."""
        self._queue = DownloadQueue(services.settings, self._tell)
        self._looking = self.set_interval(LOOK_S, self.look, pause=True)
        self._go_on(self._queue)

    def _tell(self, progress: Progress) -> None:
        """Called on the threads of downloads."""
        self.post_message(self.Told(progress))

    @work(group="downloads")
    async def _go_on(self, queue: DownloadQueue) -> None:
        await off_loop(queue.go_on, "downloads")
        self.look()

    @work(group="downloads")
    async def look_again(self) -> None:
        """See what has become on the disk of those that stand still: others may have ended or deleted them."""
        if self._queue is not None:
            await off_loop(self._queue.look_again, "downloads")
            self.look()

    @property
    def all(self) -> tuple[Progress, ...]:
        """Every download that has not ended well."""
        return self._queue.all() if self._queue is not None else ()

    @property
    def now(self) -> Downloading | None:
        """Those that move."""
        return moving(self.all)

    def of(self, model_id: str) -> Progress | None:
        """The download of a model, if there is one."""
        return next((one for one in self.all if one.id == model_id), None)

    def _by_key(self, key: str) -> Progress | None:
        return next((one for one in self.all if one.key == key), None)

    def add(self, model_id: str) -> None:
        """Put a model into the queue, or go on with it."""
        self._tell_again(self.of(model_id))
        self._do(lambda queue: queue.open().add(model_id))

    def pause_or_go_on(self, key: str) -> None:
        """Pause what moves, go on with what stands still."""
        if (one := self._by_key(key)) is not None:
            self._tell_again(one)
            self._do(lambda queue: queue.open().pause(key) if one.stage.moves else _go_on_with(queue, key))

    def _tell_again(self, one: Progress | None) -> None:
        """Somebody tries once more what has stopped: where it stops once more, that is news."""
        if one is not None and one.stage is Stage.FAILED:
            self._said.discard(one.problem)

    @work(group="downloads")
    async def cancel(self, key: str) -> None:
        """Throw away what has come; asked first where something has."""
        if self._queue is not None:
            await off_loop(self._queue.look_again, "downloads")
        one = self._by_key(key)
        if one is None:  # another program has ended it, or thrown it away
            self.look()
            return
        question = f"{one_line(one.key)} has come to {size_in_words(one.done)}. Throw that away?"
        if one.done and not await self.app.push_screen_wait(Confirm(question, "Throw away", "Keep")):
            return
        self._do(lambda queue: queue.open().cancel(key))

    @work(group="downloads")
    async def _do(self, act: Callable[[DownloadQueue], object]) -> None:
        if self._queue is None:
            self.notify("The engine is still starting.")
            return
        queue = self._queue
        try:
            await off_loop(lambda: act(queue), "downloads")
        except EngineError as error:
            self.notify(error.message, title="Not downloaded", severity="error", timeout=10)
        except KeyError:  # it has ended meanwhile
            pass
        self.look()

    def close(self) -> None:
        """Pause everything; it goes on at the next start. Blocks for about a second."""
        if self._queue is not None:
            self._queue.close()

    def on_downloads_panel_told(self, event: Told) -> None:
        one = event.progress
        if one.stage is Stage.DONE:
            self.notify(f"{one_line(one.key)} is on disk, {size_in_words(one.total)}.", timeout=5)
            self.post_message(self.Arrived(one.id))
        elif one.stage is Stage.FAILED and one.problem not in self._said:
            self._said.add(one.problem)
            self.notify(one_line(one.problem), title="Download stopped", severity="error", timeout=10)
        elif one.stage is Stage.RUNNING:
            self._said.clear()
        self.look()

    # -- what is shown ------------------------------------------------------------------------------------------------

    def look(self) -> None:
        """Look at the queue and show how it stands; go on looking while something moves."""
        if not self.is_mounted:
            return
        downloads = self.all
        now = moving(downloads)
        if self._looking is not None:
            (self._looking.pause if now is None else self._looking.resume)()
        told = summary(downloads), now
        if told != self._summary:
            self._summary = told
            self.post_message(self.Changed(*told))
        self.display = bool(downloads)
        if all(node.display for node in self.ancestors_with_self if isinstance(node, Widget)) or not downloads:
            self._show(downloads)

    def _show(self, downloads: tuple[Progress, ...]) -> None:
        self._all = {one.key: one for one in downloads}
        self._files = {}
        rows: list[str] = []
        files_shown = FILES_SHOWN if self.app.size.height >= FILES_FROM else 0
        for one in downloads:
            rows.append(one.key)
            coming = [file for file in one.files if 0 < file.done < file.size] if one.stage is Stage.RUNNING else []
            for file in coming[:files_shown] if len(one.files) > 1 else ():
                key = f"{one.key}\0{file.name}"
                self._files[key] = one.key, file
                rows.append(key)
        self.table.widest = WIDEST
        self.table.show(rows)
        self._show_notes()

    def _show_notes(self) -> None:
        """Why downloads stopped or wait, that under the cursor first: there may be room for no more."""
        line = self.query_one("#hub-downloads-notes", Static)
        told = notes(sorted(self._all.values(), key=lambda one: one.key != self.selected))
        line.display = bool(told)
        redraw(line, Content("\n").join(plain(sentence, "$error") for sentence in told))

    @property
    def selected(self) -> str | None:
        """The key of the download under the cursor; a file's row is its download's."""
        key = self.table.selected
        return self._files[key][0] if key in self._files else key

    @property
    def has_cursor(self) -> bool:
        """Whether keys are meant for it."""
        return self.table.rows.has_focus

    @on(RowTable.Moved)
    def _row_moved(self, event: RowTable.Moved) -> None:
        event.stop()
        self._show_notes()

    def on_descendant_focus(self) -> None:
        self.add_class("-chosen")

    def on_descendant_blur(self) -> None:
        self.remove_class("-chosen")

    def _cell(self, key: str, column: Column, cells: int) -> Content:
        if key in self._files:
            return _file_cell(self._files[key][1], column, cells)
        one = self._all[key]
        match column.key:
            case "name":
                return plain(shorten_path(one.key, cells))
            case "bar":
                style = "$primary" if one.stage.moves else "$warning" if one.stage is Stage.PAUSED else "$error"
                return bar(one.done, one.total, cells, style)
            case "share":
                return Content(share(one.done, one.total))
            case "sizes":
                return Content.styled(sizes(one), "$dim")
            case "speed":
                return Content.styled(f"{size(one.speed)}/s" if one.speed else "", "$dim")
            case _:
                words, style = state(one)
                return Content.styled(words, style) if style else Content(words)


def _go_on_with(queue: DownloadQueue, key: str) -> None:
    """Raises KeyError where another program has ended the download, or thrown it away."""
    queue.look_again()
    queue.open().resume(key)


def _file_cell(file: FileProgress, column: Column, cells: int) -> Content:
    match column.key:
        case "name":
            return plain(f"  {shorten_path(file.name, cells - 2)}", "$dim")
        case "bar":
            return bar(file.done, file.size, cells, "$secondary")
        case "share":
            return Content.styled(share(file.done, file.size), "$dim")
        case "sizes":
            return Content.styled(f"{size(file.done)}/{size(file.size)}", "$dim")
        case _:
            return Content("")
