"""The workbench's frame: what the first frame on the screen shows, the panes that come into it, moving between them."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual import events, on, work
from textual.app import App, ComposeResult
from textual.containers import Horizontal
from textual.driver import Driver
from textual.notifications import SeverityLevel
from textual.reactive import reactive
from textual.widget import Widget
from textual.widgets._toast import ToastRack

from tui.actions import bindings
from tui.background import off_loop
from tui.faces import FACES, SHARES, Faces, PaneFrame
from tui.foreign import clean
from tui.header_line import HeaderLine
from tui.state import Phase, WorkbenchState
from tui.theme import DARK, LIGHT, colours_for
from tui.typed_ahead import TypedAhead, moves, take_and_wait
from tui.widgets.footer import KeyFooter

# What the first frame does not need is imported after it.
if TYPE_CHECKING:
    from tui.chat.pane import ChatPane
    from tui.golden.pane import GoldenPane
    from tui.models.pane import ModelsPane
    from tui.panes import Pane, Panes
    from tui.terminal_driver import BytesDropped, TextDropped
    from tui.wire.pane import WirePane

MEDIUM, WIDE = 90, 140
"""Screens from MEDIUM cells on have a rail, from WIDE on all three panes."""

LEAVES = "ctrl+q"

TOAST_CELLS = 74
"""The width of the widest notice, with its border."""


class Frame(App[None]):
    """Shows itself before it reads its panes; `suite` is the golden suite's folder, None the built-in one."""

    TITLE = "assay"
    CSS_PATH = Path(__file__).with_name("app.tcss")
    BINDINGS: ClassVar = bindings("app")
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (MEDIUM, "-medium"), (WIDE, "-wide")]  # noqa: RUF012

    state: reactive[WorkbenchState] = reactive(WorkbenchState())
    face: reactive[str] = reactive("chat")
    maximised: reactive[bool] = reactive(False)

    def __init__(self, suite: Path | None) -> None:
        super().__init__()
        self.failure: Exception | None = None
        """What is raised when the screen has been given back."""
        self.gives_up_unsaved = False
        """Whether the workbench is left though something cannot be saved."""
        for theme in (DARK, LIGHT):
            self.register_theme(theme)
        self.theme = DARK.name
        self._suite = suite
        self.face_chosen = False
        """Whether someone has gone to a pane, be it the one that shows."""
        self._all_panes: Panes
        self._panes: dict[str, Pane] = {}
        """Those that are mounted."""
        self._furnished = asyncio.Event()
        self._typed_ahead = TypedAhead()
        self._typed_in = asyncio.Event()
        """Set when all panes are there and have what was typed before."""

    @property
    def models(self) -> ModelsPane:
        return self._all_panes.models

    @property
    def chat(self) -> ChatPane:
        return self._all_panes.chat

    @property
    def golden(self) -> GoldenPane:
        return self._all_panes.golden

    @property
    def wire(self) -> WirePane:
        return self._all_panes.wire

    @property
    def furnished(self) -> bool:
        """Whether all panes are there."""
        return self._furnished.is_set()

    @property
    def suite_named(self) -> bool:
        """Whether the command line names the golden suite."""
        return self._suite is not None

    def get_driver_class(self) -> type[Driver]:
        """Textual's choice, but for a terminal the driver that no byte can end."""
        usual = super().get_driver_class()
        if usual.__name__ != "LinuxDriver":
            return usual
        from tui.terminal_driver import TerminalDriver

        return TerminalDriver

    def on_bytes_dropped(self, event: BytesDropped) -> None:
        """Say what the terminal sent and nobody can read."""
        count, some = len(event.dropped), " ".join(f"0x{byte:02X}" for byte in event.dropped[:4])
        bytes_are = "A byte that is" if count == 1 else f"{count:,} bytes that are"
        self.notify(
            f"{bytes_are} not UTF-8 ({some}{' …' if count > 4 else ''}) came from the terminal and "
            f"{'was' if count == 1 else 'were'} dropped. Set the terminal's encoding to UTF-8.",
            severity="warning",
            timeout=10,
        )

    def on_text_dropped(self, event: TextDropped) -> None:
        """Say what was taken out of what was typed or pasted."""
        sequences, count = event.sequences, event.characters.total()
        some = ", ".join(f"U+{ord(letter):04X}" for letter in sorted(event.characters)[:4])
        more = " …" if len(event.characters) > 4 else ""
        what = [f"{sequences:,} escape sequence{'s' if sequences > 1 else ''}"] if sequences else []
        what += [f"{count:,} control character{'s' if count > 1 else ''} ({some}{more})"] if count else []
        were = "was" if sequences + count == 1 else "were"
        self.notify(
            f"{' and '.join(what)} {were} dropped from what was typed or pasted: they would steer the terminal or hide "
            "text. The rest is there.",
            severity="warning",
            timeout=10,
        )

    async def on_terminal_gone(self) -> None:
        await self.leave()

    def action_switch_theme(self) -> None:
        self.theme = LIGHT.name if self.theme == DARK.name else DARK.name

    def action_help_quit(self) -> None:
        """ctrl+c copies in text fields and stops nothing: say what leaves."""
        self.notify("ctrl+q leaves.", timeout=3)

    @property
    def chat_if_there(self) -> ChatPane | None:
        """The chat, None before its pane has come."""
        return self.chat if "chat" in self._panes else None

    async def leave(self) -> None:
        """Leave as ctrl+q does, but ask nothing, however often one is told: a terminal that hangs up tells it in
        several ways."""
        self.gives_up_unsaved = True
        if self.state.phase is not Phase.CLOSING:
            await self.end()

    async def end(self) -> None:
        """End in order what runs, and leave."""
        self.exit()

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return colours_for(self.current_theme)

    def compose(self) -> ComposeResult:
        yield HeaderLine().data_bind(Frame.state)
        with Horizontal(id="workspace"):
            yield Faces(id="faces").data_bind(Frame.state, active=Frame.face)
            for face in FACES:
                yield PaneFrame(face)
        yield KeyFooter(show_command_palette=False)

    # -- panes for frames ----------------------------------------------------------------------------------------------

    def on_mount(self) -> None:
        self._show_faces()
        self.theme_changed_signal.subscribe(self, lambda _: self._show_faces())  # the colours are those of the new one
        self.call_after_refresh(self._furnish)

    async def on_event(self, event: events.Event) -> None:
        if self._typed_ahead.holds(event, LEAVES):
            return
        if moves(event, self) and not (isinstance(event, events.Key) and event.key == LEAVES):
            self._typed_ahead.hold(event)
            self._let_on()
        else:
            await super().on_event(event)

    @work(group="keys")
    async def _let_on(self) -> None:
        """A key waits that may move the focus: let it through, and what comes behind it when it has been handled."""
        await self._typed_ahead.go_on(self._take)

    async def _take(self, event: events.Event) -> None:
        if self._typed_ahead.repeated:  # a key that is held down: it is drawn once, however often it came
            await self._give(event)
        else:
            await take_and_wait(event, self._give, self)

    async def _give(self, event: events.Event) -> None:
        await super().on_event(event)
        self._typed_ahead.given()

    @work(exclusive=True, group="panes")
    async def _furnish(self) -> None:
        """Put the panes into their frames, the chosen one first, and let what has been typed through."""
        styles, self._all_panes = await off_loop(self._read_panes, "panes")
        self.stylesheet.read_all(styles)
        waiting = self._all_panes.by_name()
        await self._mount_pane(self.face, waiting.pop(self.face))
        if self.face == "chat":
            await self._typed_ahead.let_through(self._give, text_only=True)
        self.open()
        for face, pane in waiting.items():
            await self._mount_pane(face, pane)
        self._furnished.set()
        await self._typed_ahead.let_through(self._take)
        self._typed_in.set()

    def open(self) -> None:
        """Called once the first pane is there: begin with what is behind the panes."""

    def _read_panes(self) -> tuple[tuple[Path, ...], Panes]:
        from tui.panes import STYLESHEETS, make_panes

        return STYLESHEETS, make_panes(self._suite)

    async def _mount_pane(self, face: str, pane: Pane) -> None:
        frame = self.query_one(f"#{face}-frame", PaneFrame)
        with self.batch_update():
            await self.query_one("#workspace").mount(pane.data_bind(Frame.state), before=frame)
            self._panes[face] = pane
            self._show_faces()
            await frame.remove()
        if face == self.face:
            pane.focus_main()

    # -- faces --------------------------------------------------------------------------------------------------------

    def watch_face(self) -> None:
        if self.is_running:
            self._show_faces()

    def watch_maximised(self) -> None:
        if self.is_running:
            self._show_faces()

    def on_resize(self, event: events.Resize) -> None:
        self.call_next(self._show_faces)  # the app's own size follows this handler

    def _show_faces(self) -> None:
        """Decide which panes show, and mark the chosen one.

        Done here rather than by classes on the screen or :focus-within in a stylesheet: both make Textual style every
        widget of a long chat anew each time the focus moves.
        """
        wide = self.size.width >= WIDE
        side_by_side = wide and not self.maximised and self.face != "wire"
        colours = self.theme_variables
        for name in FACES:
            pane: Widget = self._panes.get(name) or self.query_one(f"#{name}-frame")
            chosen = name == self.face
            pane.display = chosen or (side_by_side and name != "wire")
            pane.styles.width = f"{SHARES[self.face][name]}fr" if side_by_side and name != "wire" else "1fr"
            pane.styles.border = ("round", colours["border" if chosen else "border-blurred"])
            pane.styles.border_title_color = colours["primary" if chosen else "foreground-muted"]
            pane.styles.border_title_style = "bold" if chosen else "none"
        self.call_after_refresh(self._place_toasts)
        self.query_one(Faces).display = not wide and not (self.maximised and self.size.width >= MEDIUM)

    def on_chat_input_resized(self) -> None:
        self._place_toasts()

    def action_face(self, face: str) -> None:
        self.face, self.face_chosen = face, True
        if face in self._panes:
            self._panes[face].focus_main()

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        for node in event.widget.ancestors_with_self:
            if node.id in FACES:
                self.face = node.id
                return

    @on(Faces.Chosen)
    def _face_chosen(self, event: Faces.Chosen) -> None:
        self.action_face(event.face)

    def action_maximise_face(self) -> None:
        self.maximised = not self.maximised

    @work(exclusive=True, group="jump")
    async def action_jump(self) -> None:
        """Letters over what can be gone to; only what is on the screen gets one."""
        from tui.screens.jump import JumpOverlay

        targets = [
            target for pane in self._panes.values() for target in pane.jump_targets() if target.widget.region.area
        ]
        letter = await self.push_screen_wait(JumpOverlay(targets))
        for target in targets:
            if target.letter == letter:
                target.go()

    def notify(
        self,
        message: str,
        *,
        title: str = "",
        severity: SeverityLevel = "information",
        timeout: float | None = None,
        markup: bool = False,
    ) -> None:
        """As Textual's, but nothing is ever read as markup, and no control character passes."""
        super().notify(clean(message), title=clean(title), severity=severity, timeout=timeout, markup=False)
        self.call_later(self._place_toasts)

    def _place_toasts(self) -> None:
        """Notices stand over the footer, and over the composer where that shows: they cover nothing that is typed."""
        if not self._furnished.is_set():
            return
        screen = self.screen_stack[0]
        below = self.chat.input.size.height if self.chat.display else 0
        if self.chat.display and screen.size.width >= WIDE:
            below = 0 if self.chat.input.region.right <= screen.size.width - TOAST_CELLS else below
        for rack in screen.query_children(ToastRack):
            rack.styles.margin = (0, 0, 1 + (below + 1 if below else 0), 0)
