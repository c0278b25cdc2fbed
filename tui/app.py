"""The workbench: routes messages between the panes, and owns what they share."""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from textual import events, work
from textual.app import SystemCommand
from textual.screen import ModalScreen, Screen

from core.log_file import log_file
from tui.actions import ACTIONS, DIALOGUES, PLACES, STOPS, Action
from tui.background import off_loop
from tui.gone import names_one_gone, without_gone
from tui.lifecycle import Lifecycle
from tui.services import usual_models
from tui.state import ApiPhase, Phase

# What the first frame does not need is imported after it.
if TYPE_CHECKING:
    from tui.hub.downloads_panel import DownloadsPanel
    from tui.models.pane import ModelsPane
    from tui.widgets.picture import Picture
    from tui.wire.pane import WirePane

NOT_OVER_DIALOGUES = ("face", "jump", "api_panel", "command_palette")
"""Actions that would change what is behind a dialogue, or put something over it: it is answered or left first."""


class AssayApp(Lifecycle):
    """All panes together: what one of them wants of another, the API's switch, help and palette."""

    # -- between panes ------------------------------------------------------------------------------------------------

    def on_models_pane_role_chosen(self, event: ModelsPane.RoleChosen) -> None:
        """A tier whose usual model is picked is as if nobody had picked: text prompts go to its text model then."""
        usual = self._services is not None and getattr(self._services, event.tier) == event.model_id
        chosen = self.state.chosen - {event.tier} if usual else self.state.chosen | {event.tier}
        if self._memory is not None:
            self._memory.picked(event.tier)
        self.state = replace(self.state, chosen=chosen, **{event.tier: event.model_id})  # type: ignore[arg-type]

    def on_models_pane_chat_wanted(self, event: ModelsPane.ChatWanted) -> None:
        self.chat.bar.choose(event.model_id)
        self.action_face("chat")

    def on_models_pane_listed(self, event: ModelsPane.Listed) -> None:
        there = {info.id for info in event.models}
        if names_one_gone(self.state, there):
            self._stand_in(there)
        if gone := self.chat.bar.show_models(event.models):
            why = "cannot be loaded" if gone in there else "is not on this disk"
            instead = f"The {self.chat.bar.chosen} tier answers the chat now."
            self.notify(f"{gone} {why} any more. {instead}", severity="warning", timeout=10)
        if self._memory is not None:
            self._memory.models_listed()
        self._when_settled()

    @work(exclusive=True, group="tiers")
    async def _stand_in(self, there: Container[str]) -> None:
        """Give the tiers whose models have gone from the disk those that stand for them now."""
        services = self._services
        if services is None:
            return
        usual = await off_loop(lambda: usual_models(services.engine.catalog, services.settings), "tiers")
        self._services = replace(services, quick=usual.quick, full=usual.full, text=usual.text)
        self.state, told = without_gone(self.state, there, usual)
        for sentence in told:
            self.notify(sentence, severity="warning", timeout=10)

    def on_downloads_panel_changed(self, event: DownloadsPanel.Changed) -> None:
        self.state = replace(self.state, downloads=event.now)

    def on_golden_pane_suite_read(self) -> None:
        self._when_settled()

    def on_picture_wanted(self, event: Picture.Wanted) -> None:
        from tui.screens.picture_view import PictureView

        images = event.among or (event.image,)
        self.push_screen(PictureView(images, next((at for at, image in enumerate(images) if image is event.image), 0)))

    def on_paste(self, event: events.Paste) -> None:
        """A file dropped while no text field has the focus lands in the chat."""
        if not isinstance(self.screen, ModalScreen):
            self.action_face("chat")
        self.chat.input.composer.take_paste(event.text)

    def action_stop_pane(self, face: str) -> None:
        """Stop what one pane does."""
        if face == "models":
            self.models.stop()
        elif face == "chat":
            self.chat.stop()
        else:
            self.golden.stop()

    def action_leave(self) -> None:
        """Undo the filter; go back to the composer."""
        if self.face == "models":
            self.models.clear_filter()
        elif self.face == "wire":
            self.wire.clear_filter()
        elif self.face == "golden":
            self.golden.clear_filter()
        elif self.face == "chat":
            self.chat.focus_main()

    # -- the API ------------------------------------------------------------------------------------------------------

    @work(group="api")
    async def action_toggle_api(self) -> None:
        services, phase = self._services, self.state.api
        if {type(screen).__name__ for screen in self.screen_stack} & {
            "Confirm",
            "DeleteScreen",
        } or self.state.phase is Phase.CLOSING:
            return  # the question comes first
        if services is None:
            self.notify("The engine is still starting.")
        else:
            from tui.wire.api_switch import ApiSwitch

            await ApiSwitch(self, self._show_api).toggle(services.server, phase)

    def _show_api(self, phase: ApiPhase, url: str) -> None:
        self.state = replace(self.state, api=phase, api_url=url)

    def on_wire_pane_go_on(self, event: WirePane.GoOn) -> None:
        exchange = event.exchange
        if event.where == "golden":
            self.golden.add_case(exchange.request, exchange.results[0])
        else:
            from tui.wire.as_chat import as_chat

            self.chat.show_turns(*as_chat(exchange), exchange.request.model)
        self.action_face(event.where)

    def on_wire_pane_snippets_wanted(self) -> None:
        self.action_api_panel()

    def action_api_panel(self) -> None:
        if self._services is None or self.state.api is not ApiPhase.ON:
            self.notify(self.state.api.says, timeout=3)
            return
        from tui.wire.api_panel import ApiPanel

        model = self.state.quick or "pocket/qwen3"
        self.push_screen(ApiPanel(self.state.api_url, self._services.server.key, model))

    # -- help, palette, theme -----------------------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys of the whole workbench reach it through any screen: a dialogue lets few of them through."""
        if action == "stop_pane":
            return self._stoppable(str(parameters[0]))
        if action == "start_engine":
            return self.state.down
        if action in NOT_OVER_DIALOGUES:
            return not isinstance(self.screen, ModalScreen)
        return action != "keys" or type(self.screen).__name__ != "KeysScreen"

    def _stoppable(self, face: str) -> bool:
        """Whether a pane does something that can be stopped."""
        pane = self._panes.get(face)
        return pane is not None and bool(getattr(pane, "busy", False))

    def action_keys(self) -> None:
        from tui.screens.keys import KeysScreen, places_of, working_in

        log_path = log_file(self.settings.data_dir) if self.settings else None
        self.push_screen(KeysScreen(log_path, places_of(self.screen), working_in(self.screen)))

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """A palette entry for every action of the list, and Textual's own choice of themes."""
        yield SystemCommand("Theme", "Choose among all themes", self.action_change_theme)
        for place, actions in ACTIONS.items():
            for action in () if place in DIALOGUES else actions:
                if _has_entry(place, action):
                    title = action.label if place == "app" else f"{PLACES[place].split(',')[0]}: {action.label}"
                    yield SystemCommand(title, action.help, partial(self._run_from_palette, place, action.run))

    async def _run_from_palette(self, place: str, action: str) -> None:
        node = (
            self.chat.input.composer if place == "composer" else self if place == "app" else self.query_one(f"#{place}")
        )
        if place != "app":
            self.face = {"composer": "chat", "hub": "models"}.get(place, place)
        if place in ("models", "hub") and action != "show_hub":
            self.models.show_view(hub=place == "hub")
        if not await self.run_action(action, node):
            self.notify("There is nothing to do this to now.", timeout=3)


def _has_entry(place: str, action: Action) -> bool:
    """Whether the palette lists an action: not one that means something only while writing or on a message, nor the
    same thing under another key."""
    twin = action.id == "app.help" or (place != "app" and action.run.startswith(STOPS))
    return place not in ("text", "message", "settings", "saved", "card") and not twin and action.id != "chat.newline"
