"""A model of the Hub's in full: what it is, whether it fits, and its card."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

from textual import work
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen

from core.errors import EngineError, HubNotFound
from tui.actions import bindings
from tui.background import off_loop
from tui.hub.card_view import CardView
from tui.widgets.footer import KeyFooter

if TYPE_CHECKING:
    from core.hub.repository import Facts


class CardScreen(ModalScreen[bool]):
    """Dismissed with True where the model is to be downloaded. `head` makes what stands over the card for a width."""

    BINDINGS: ClassVar = bindings("card")

    def __init__(self, facts: Facts, head: Callable[[int], Content]) -> None:
        super().__init__(classes="dialogue")
        self._facts, self._head = facts, head

    def compose(self) -> ComposeResult:
        with Vertical(classes="box card-box"):
            yield CardView(self._head)
        yield KeyFooter(show_command_palette=False)

    def on_mount(self) -> None:
        self.query_one(CardView).focus()
        self._read()

    def changed(self) -> None:
        """What stands over the card may be another."""
        if self.is_mounted:
            self.query_one(CardView).lay_out()

    @work(exclusive=True)
    async def _read(self) -> None:
        view = self.query_one(CardView)
        try:
            text = await off_loop(self._card, "card")
        except HubNotFound:
            view.say("It has no card.")
        except EngineError as error:
            view.say(error.message, "$error")
        except Exception as error:
            view.say(f"The card cannot be read: {type(error).__name__}.", "$error")
        else:
            await view.show(text)

    def _card(self) -> str:
        from core.hub.card import read_card

        return read_card(self._facts)

    def action_download(self) -> None:
        self.dismiss(True)

    def action_copy_address(self) -> None:
        from core.hub.client import endpoint

        address = f"{endpoint()}/{self._facts.id}"
        self.app.copy_to_clipboard(address)
        self.notify(f"Copied {address}", timeout=3)

    def action_close(self) -> None:
        self.dismiss(False)
