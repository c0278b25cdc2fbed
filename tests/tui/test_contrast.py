"""Every text of every face can be read in both themes: contrast as WCAG 2 counts it, of what is painted."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from rich.style import Style
from textual.color import Color
from textual.geometry import Region
from textual.pilot import Pilot
from textual.screen import ModalScreen
from textual.widgets import Input, TextArea

import tui
from core.calls.events import Prefill, ThinkingDelta
from core.hub.delete import Deletion
from core.hub.disk import Duplicate
from server.wire import WireState
from tests.tui.conftest import QUICK, screen_text, until
from tests.tui.scripted import ScriptedEngine, ScriptedServer, answer, finished, golden_answers, red_square
from tui.app import AssayApp
from tui.models.delete_screen import DeleteScreen
from tui.theme import DARK, LIGHT

TEXT, BORDER = 4.5, 3.0
PICTURE = "▀▄"
LINES = re.compile("[─-▟]")

MARKDOWN = """# One
## Two
###### Six

Words, **bold**, *slanted*, `code`, [a link](https://example.org) and ~~gone~~.

| a | b |
| --- | --- |
| 1 | 2 |

> quoted

1. first

---

```python
# a comment
@decorated
class Shape(Base, metaclass=Meta):
    \"\"\"What it is.\"\"\"

    def area(self, side: int = 0x10) -> float:
        if side is not None and True:
            raise ValueError(f"{side!r} is 'wrong'\\n")
        return self.side ** 2.5 + len(str(side)) @ other
```
"""


def luminance(colour: Color) -> float:
    """Relative luminance of WCAG 2."""
    parts = [part / 255 for part in colour.rgb]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: Color, other: Color) -> float:
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def colours(style: Style) -> tuple[Color, Color] | None:
    """Ink and ground."""
    if style.color is None or style.bgcolor is None or not style.color.triplet or not style.bgcolor.triplet:
        return None
    ink, ground = Color(*style.color.triplet), Color(*style.bgcolor.triplet)
    return (ground, ink) if style.reverse else (ink, ground)


def painted(app: AssayApp) -> Iterator[tuple[str, Style]]:
    """Every text on the screen; of what opens over the panes that alone, since the rest is veiled."""
    screen = app.screen
    inside = [child.region for child in screen.children] if isinstance(screen, ModalScreen) else [screen.region]
    for y, strip in enumerate(screen._compositor.render_strips()):
        x = 0
        for segment in strip:
            region = Region(x, y, max(1, segment.cell_length), 1)
            if segment.style is not None and any(place.contains_region(region) for place in inside):
                yield segment.text, segment.style
            x += segment.cell_length


def too_faint(app: AssayApp) -> set[str]:
    """What cannot be read, each with its colours and their contrast."""
    found = set()
    for text, style in painted(app):
        pair = colours(style)
        words = text.strip()
        if not words or words[0] in PICTURE:
            continue
        assert pair is not None, f"{text!r} has no colour: {style}"
        value, least = contrast(*pair), BORDER if LINES.fullmatch(words[0]) else TEXT
        if value < least:
            found.add(f"{value:.2f} < {least}: {pair[0].hex} on {pair[1].hex}: {words[:40]!r}")
    return found


Act = Callable[[Pilot[None], AssayApp], Awaitable[None]]


async def chat(pilot: Pilot[None], app: AssayApp) -> None:
    app.chat.input.composer.insert("what is this?")
    await app.chat.input.attachments.add(red_square())
    await pilot.press("enter")
    await until(pilot, lambda: len(app.chat.conversation.turns) == 2)
    await app.chat.input.attachments.add(red_square())
    await pilot.press(*"see @")


async def beginning_of_chat(pilot: Pilot[None], app: AssayApp) -> None:
    await chat(pilot, app)
    app.chat.focus_last_turn()
    app.chat.transcript.scroll_to(y=0, animate=False)


async def models(pilot: Pilot[None], app: AssayApp) -> None:
    await pilot.press("f2", "end", "s", "s")


async def delete(pilot: Pilot[None], app: AssayApp) -> None:
    whole = Deletion("me/model", Path("/models/me"), 5, "the model in 2 revisions")
    one = replace(whole, what="revision 12345678 (main)", commits=("1" * 40,), stays=3)
    twice = Duplicate("1" * 64, "model.safetensors", 4, ("me/model", "you/model"), 2)
    app.push_screen(DeleteScreen([whole, one], 10, [twice]))
    await until(pilot, lambda: "Elsewhere stay" in screen_text(app))


async def golden(pilot: Pilot[None], app: AssayApp) -> None:
    await pilot.press("f4", "R")
    await until(pilot, lambda: not app.golden.busy and all(cell.attempt for cell in app.golden._board.cells.values()))
    await pilot.press("n")


async def wire(pilot: Pilot[None], app: AssayApp) -> None:
    await pilot.press("ctrl+t", "f5")
    await until(pilot, lambda: app.state.api == "on")
    assert app._services is not None
    record = app._services.server.record
    for number, state in enumerate(WireState):
        call = record.open(f"r{number}", client="OpenAI/Python", protocol="openai", method="POST", path="/v1/models")
        call.begin(QUICK, True, lambda: None)
        call.event(Prefill(131, 131, 100))
        call.event(finished())
        call.end(WireState.DONE, 200)
        record._entries[f"r{number}"] = replace(record._entries[f"r{number}"], state=state, error="It broke.")
    await until(pilot, lambda: app.wire.table.rows.row_count == len(WireState))


async def notices(pilot: Pilot[None], app: AssayApp) -> None:
    for severity in ("information", "warning", "error"):
        app.notify("It says so.", title="Why", severity=severity, timeout=60)  # type: ignore[arg-type]
    await until(pilot, lambda: screen_text(app).count("It says so.") == 3)


async def images(pilot: Pilot[None], app: AssayApp) -> None:
    await pilot.press("f4")
    app.golden.table.select("vision/compare_images")
    await until(pilot, lambda: len(app.golden.detail.images) == 2)


async def api(pilot: Pilot[None], app: AssayApp) -> None:
    await pilot.press("ctrl+t")
    await until(pilot, lambda: app.state.api == "on")


async def nothing(pilot: Pilot[None], app: AssayApp) -> None:
    """As it starts."""


FACES: dict[str, tuple[Act, str]] = {
    "chat": (chat, ""),
    "beginning of a chat": (beginning_of_chat, ""),
    "models": (models, ""),
    "delete": (delete, ""),
    "golden": (golden, ""),
    "wire": (wire, ""),
    "notices": (notices, ""),
    "keys": (nothing, "f1"),
    "settings": (nothing, "ctrl+s"),
    "saved chats": (nothing, "ctrl+l"),
    "jump": (nothing, "ctrl+o"),
    "palette": (nothing, "ctrl+p"),
    "api": (api, "f6"),
    "images": (images, "v"),
}
"""What brings a face about, and the key that opens something over it."""


@pytest.mark.parametrize("face", FACES)
async def test_what_is_painted_can_be_read(
    workbench: AssayApp, scripted: ScriptedEngine, server: ScriptedServer, face: str
) -> None:
    scripted.script = lambda request: (
        [ThinkingDelta("Hm."), *answer(MARKDOWN)] if face.endswith("chat") else golden_answers(request)
    )
    async with workbench.run_test(size=(160, 70), notifications=face == "notices") as pilot:
        await until(pilot, lambda: workbench.state.phase == "ready" and workbench.golden.table.selected)
        act, key = FACES[face]
        await act(pilot, workbench)
        for theme in (DARK, LIGHT):
            workbench.theme = theme.name
            if key:
                await pilot.press(key)
                await until(pilot, lambda: len(workbench.screen_stack) == 2)
            for field in workbench.screen.query("TextArea, Input"):
                assert isinstance(field, TextArea | Input)
                field.cursor_blink = False
            await pilot.pause()
            faint = too_faint(workbench)
            assert not faint, "\n".join([theme.name, *sorted(faint)])
            if key:
                await pilot.press("escape")
                await until(pilot, lambda: len(workbench.screen_stack) == 1)


def test_no_style_is_a_part_of_the_foreground() -> None:
    """It would be fainter on one ground than on another: $dim is readable on all of them."""
    for file in Path(tui.__file__).parent.rglob("*.*css"):
        assert not re.findall(r"\$foreground [1-7]?\d%", file.read_text()), file
    for file in Path(tui.__file__).parent.rglob("*.py"):
        assert not re.findall(r"\$foreground [1-7]?\d%", file.read_text()), file


async def test_borders_follow_the_theme(workbench: AssayApp) -> None:
    async with workbench.run_test(size=(160, 45)) as pilot:
        for theme in (LIGHT, DARK):
            workbench.theme = theme.name
            await pilot.pause()
            for name in ("models", "golden"):
                _, colour = workbench.query_one(f"#{name}").styles.border_top
                assert colour == Color.parse(theme.variables["border-blurred"])
