"""What goes with every request of a chat: system prompt, sampling, thinking, tools."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import ClassVar, TypeVar

from textual import work
from textual.app import ComposeResult
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Label, Select, Static, TextArea

from core.calls.requests import Tool, tool_to_json
from core.chats.settings import ChatSettings
from tui.actions import bindings
from tui.foreign import plain
from tui.screens.unsaved import Unsaved, Wish
from tui.widgets.choice import Choice
from tui.widgets.footer import KeyFooter
from tui.widgets.text_fields import LineField, TextField

T = TypeVar("T", int, float)
THINKING: tuple[tuple[str, str], ...] = (("the model's default", "default"), ("on", "on"), ("off", "off"))


class BadSetting(ValueError):
    """A field holds what cannot be sent; the message says which and why."""


def read_number(field: str, text: str, kind: Callable[[str], T], low: float, high: float) -> T | None:
    """A number within its range, or None for an empty field. Raises BadSetting."""
    if not text.strip():
        return None
    try:
        value = kind(text.strip())
    except ValueError:
        raise BadSetting(f"{field} is {text.strip()!r}; it must be a number.") from None
    if not low <= value <= high:
        raise BadSetting(f"{field} is {value:g}; it must lie between {low:g} and {high:g}.")
    return value


def read_tools(text: str) -> tuple[Tool, ...]:
    """Tools from a JSON list of {"name", "description", "parameters"}, or as OpenAI wraps them. Raises BadSetting."""
    if not text.strip():
        return ()
    try:
        entries = json.loads(text)
    except ValueError as error:
        raise BadSetting(f"The tools are no JSON: {error}.") from None
    tools = []
    for entry in entries if isinstance(entries, list) else [entries]:
        inner = entry.get("function", entry) if isinstance(entry, dict) else None
        if not isinstance(inner, dict) or not isinstance(inner.get("name"), str):
            raise BadSetting('Each tool is an object with a "name", a "description" and "parameters" (a JSON schema).')
        parameters = inner.get("parameters", inner.get("input_schema", {"type": "object", "properties": {}}))
        if not isinstance(parameters, dict):
            raise BadSetting(f"The parameters of {inner['name']} must be a JSON schema of type object.")
        strict = inner.get("strict") is True
        tools.append(Tool(inner["name"], str(inner.get("description", "")), parameters, strict))
    return tuple(tools)


def write_tools(tools: tuple[Tool, ...]) -> str:
    """The JSON that `read_tools` reads."""
    if not tools:
        return ""
    return json.dumps([tool_to_json(tool) for tool in tools], indent=2, ensure_ascii=False)


class ChatSettingsScreen(ModalScreen[ChatSettings | None]):
    """Dismissed with the new settings, or with None when they are left as they were."""

    BINDINGS: ClassVar = bindings("settings")

    def __init__(self, settings: ChatSettings) -> None:
        super().__init__(classes="dialogue")
        self._settings = settings

    def compose(self) -> ComposeResult:
        settings = self._settings

        def shown(value: float | None) -> str:
            return "" if value is None else f"{value:g}"

        with VerticalScroll(classes="box settings-box", can_focus=False) as box:
            box.border_title = "Chat settings"
            box.border_subtitle = "^s applies · esc leaves"
            yield Label("System prompt")
            yield TextField(settings.system, id="set-system", compact=True, tab_behavior="focus", soft_wrap=True)
            with Horizontal(classes="set-row"):
                yield Label("Temperature")
                yield LineField(shown(settings.temperature), placeholder="default", id="set-temperature", compact=True)
                yield Label("Top p")
                yield LineField(shown(settings.top_p), placeholder="default", id="set-top-p", compact=True)
            with Horizontal(classes="set-row"):
                yield Label("Max tokens")
                yield LineField(shown(settings.max_tokens), placeholder="the window", id="set-max-tokens", compact=True)
                yield Label("Seed")
                yield LineField(shown(settings.seed), placeholder="random", id="set-seed", compact=True)
            with Horizontal(classes="set-row"):
                yield Label("Thinking")
                thinking = {True: "on", False: "off", None: "default"}[settings.thinking]
                yield Choice[str](THINKING, value=thinking, allow_blank=False, id="set-thinking", compact=True)
            yield Label(Content.assemble("Tools ", ("a JSON list of name, description, parameters", "$dim")))
            yield TextField(write_tools(settings.tools), id="set-tools", compact=True, tab_behavior="focus")
            yield Static(id="set-problem", markup=False)
            with Horizontal(classes="buttons"):
                yield Button("Apply", variant="primary", id="yes", compact=True)
                yield Button("Cancel", id="no", compact=True)
        yield KeyFooter(show_command_palette=False)

    def _input(self, name: str) -> str:
        return self.query_one(f"#set-{name}", Input).value

    def _read(self) -> ChatSettings:
        thinking = self.query_one("#set-thinking", Select).value
        return ChatSettings(
            system=self.query_one("#set-system", TextArea).text,
            temperature=read_number("Temperature", self._input("temperature"), float, 0, 2),
            top_p=read_number("Top p", self._input("top-p"), float, 0, 1),
            seed=read_number("Seed", self._input("seed"), int, 0, 2**63 - 1),
            max_tokens=read_number("Max tokens", self._input("max-tokens"), int, 1, 10_000_000),
            thinking={"on": True, "off": False}.get(str(thinking)),
            tools=read_tools(self.query_one("#set-tools", TextArea).text),
        )

    def action_apply(self) -> bool:
        """Leave with what the fields say; False if one of them cannot be read."""
        try:
            settings = self._read()
        except BadSetting as problem:
            self.query_one("#set-problem", Static).update(plain(str(problem)))
            return False
        self.dismiss(settings)
        return True

    @property
    def _changed(self) -> bool:
        """Whether the fields say something else than they did; what cannot be read does."""
        return self.readable != self._settings

    @property
    def readable(self) -> ChatSettings | None:
        """What the fields say, None where they cannot be read."""
        try:
            return self._read()
        except BadSetting:
            return None

    @work(exclusive=True)
    async def action_leave(self) -> None:
        await self.settled()

    async def settled(self) -> bool:
        """Have changes applied or discarded, as the person wishes, and leave; False if they stay. For a worker."""
        wish = await self.app.push_screen_wait(Unsaved()) if self._changed else Wish.DISCARD
        if wish is Wish.APPLY:
            return self.action_apply()
        if wish is Wish.DISCARD:
            self.dismiss(None)
        return wish is Wish.DISCARD

    def on_button_pressed(self, event: Button.Pressed) -> None:
        if event.button.id == "yes":
            self.action_apply()
        else:
            self.dismiss(None)
