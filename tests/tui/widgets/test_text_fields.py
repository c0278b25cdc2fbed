"""A shell's keys in every field that one types into."""

from __future__ import annotations

import pytest
from textual.app import App, ComposeResult

from tests.tui.conftest import until
from tests.tui.scripted import red_square
from tui.app import AssayApp
from tui.widgets.text_fields import LineField, TextField


class Fields(App[None]):
    def compose(self) -> ComposeResult:
        yield LineField("one two three", id="line")
        yield TextField("one two three", id="area")


KEYS = [
    ("ctrl+a", "X", "Xone two three"),
    ("ctrl+a,ctrl+e", "X", "one two threeX"),
    ("ctrl+b,ctrl+b,ctrl+f", "X", "one two threXe"),
    ("alt+b,alt+b,alt+f", "X", None),
    ("ctrl+a,ctrl+d", "", "ne two three"),
    ("ctrl+w", "", "one two "),
    ("ctrl+a,alt+d", "", None),
    ("alt+b,ctrl+k", "", "one two "),
    ("alt+b,ctrl+u", "", "three"),
    ("alt+b,ctrl+k,ctrl+a,ctrl+y", "", "threeone two "),
    ("alt+b,ctrl+u,ctrl+e,ctrl+y", "", "threeone two "),
]


@pytest.mark.parametrize("field", ["line", "area"])
@pytest.mark.parametrize(("keys", "typed", "left"), KEYS)
async def test_keys_of_a_line_editor(field: str, keys: str, typed: str, left: str | None) -> None:
    app = Fields()
    async with app.run_test() as pilot:
        widget = app.query_one(f"#{field}")
        widget.focus()
        await pilot.press("end", *keys.split(","), *typed)
        text = widget.value if isinstance(widget, LineField) else widget.text  # type: ignore[attr-defined]
        if left is not None:
            assert text == left
        elif typed:
            assert text in ("one twoX three", "one two Xthree")
        else:
            assert text.strip() == "two three"


async def test_what_is_cut_in_one_field_is_put_back_in_another() -> None:
    app = Fields()
    async with app.run_test() as pilot:
        app.query_one("#line").focus()
        await pilot.press("end", "ctrl+w")
        app.query_one("#area").focus()
        await pilot.press("ctrl+a", "ctrl+y")
        assert app.query_one(TextField).text == "threeone two three"


async def test_in_the_composer_these_keys_edit_and_do_nothing_else(workbench: AssayApp) -> None:
    async with workbench.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: workbench.state.phase == "ready")
        composer = workbench.chat.input.composer
        await workbench.chat.input.attachments.add(red_square())
        await pilot.press(*"one two", "ctrl+a", "ctrl+d", "ctrl+e", "ctrl+w", "ctrl+y")
        assert composer.text == "ne two"
        await pilot.press("ctrl+u")
        assert composer.text == ""
        assert workbench.chat.input.attachments.images
        assert not workbench._notifications
        await pilot.press("alt+x")
        await until(pilot, lambda: not workbench.chat.input.attachments.images)
        await pilot.press("f10")
        assert workbench.maximised


async def test_in_a_filter_and_in_the_settings_they_edit_too(workbench: AssayApp) -> None:
    async with workbench.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: workbench.state.phase == "ready")
        await pilot.press("f2", "slash", *"one two", "ctrl+w", "ctrl+a", "ctrl+d")
        assert workbench.models.filter_box.value == "ne "
        await pilot.press("f3", "ctrl+s")
        await until(pilot, lambda: workbench.screen.query("#set-system"))
        await pilot.press(*"Be brief.", "ctrl+a", "ctrl+k", "ctrl+y", "ctrl+y")
        assert workbench.screen.query_one("#set-system", TextField).text == "Be brief.Be brief."
