"""The Models pane as two views, what is on disk and the Hub, with one line that says which of them shows."""

from __future__ import annotations

from textual import getters
from textual.app import ComposeResult
from textual.containers import Vertical

from core.catalog import ModelInfo
from tui.hub.downloads_panel import DownloadsPanel
from tui.hub.first_run import FirstRun
from tui.hub.view import HubView
from tui.hub.view_line import ViewLine
from tui.models.deleting import DeletingPane
from tui.screens.jump import Target

IN_BOTH = ("take_offer",)
"""Actions of the pane that mean something while the Hub shows; the others are about what is on disk."""


class TwoViews(DeletingPane):
    """What both views need. A subclass has the disk's: `compose_disk`, `disk_shows`, `list_anew`, `focus_main`."""

    hub = getters.query_one(HubView)
    _line = getters.query_one(ViewLine)
    _first_run = getters.query_one(FirstRun)

    hub_shows = False

    def compose(self) -> ComposeResult:
        yield ViewLine(id="models-view")
        yield FirstRun(id="models-first-run")
        with Vertical(id="models-on-disk"):
            yield from self.compose_disk()
        yield HubView(id="hub").data_bind(TwoViews.state)

    def compose_disk(self) -> ComposeResult:
        raise NotImplementedError

    def focus_main(self) -> None:
        raise NotImplementedError

    def on_mount(self) -> None:
        self.hub.display = False
        self._line.show(hub=False)

    def show_view(self, hub: bool) -> None:
        """Go to the Hub, or to what is on disk."""
        self.hub_shows = hub
        self.hub.display = hub
        self.query_one("#models-on-disk").display = not hub
        self._line.show(hub=hub)
        self.show_offers()
        self.focus_main()
        self.refresh_bindings()
        if hub:
            self.call_after_refresh(self.hub.show)
            self.call_after_refresh(self.hub.downloads.look)
        else:
            self.call_after_refresh(self.disk_shows)
            self.list_anew()  # other programs download and delete models too

    def disk_shows(self) -> None:
        """The disk's view is on the screen again: what depends on its width may be another."""
        raise NotImplementedError

    def disk_listed(self, models: list[ModelInfo]) -> None:
        """What is on disk has been read."""
        self.hub.look_at_disk()
        self.hub.downloads.look_again()
        self._first_run.listed(models)
        self.show_offers()

    def other_view(self) -> Target:
        """The letter of the jump overlay that goes to the view that does not show."""
        other = "on disk" if self.hub_shows else "the Hub"
        return Target("h", other, self._line, lambda: self.show_view(not self.hub_shows))

    def show_offers(self) -> None:
        """Propose models where there are none but the built-in ones, until somebody searches for others."""
        downloads = {one.id: one for one in self.hub.downloads.all}
        self._first_run.show(self.state.status, downloads, wanted=not (self.hub_shows and self.hub.searched))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "take_offer":
            return self.is_mounted and self._first_run.display and int(str(parameters[0])) < len(self._first_run.offers)
        return not self.hub_shows or action in IN_BOTH

    def action_show_hub(self) -> None:
        self.show_view(hub=True)

    def action_take_offer(self, number: int) -> None:
        """Download one of the models that are proposed."""
        _, offer = self._first_run.offers[number]
        if not self._first_run.here(offer.id):
            self.hub.downloads.add(offer.id)

    def on_hub_view_disk_wanted(self) -> None:
        self.show_view(hub=False)

    def on_hub_view_searched(self) -> None:
        self.show_offers()

    def on_view_line_chosen(self, event: ViewLine.Chosen) -> None:
        self.show_view(event.hub)

    def on_downloads_panel_changed(self, event: DownloadsPanel.Changed) -> None:
        self._line.show(downloads=event.summary)
        self.show_offers()

    def on_downloads_panel_told(self, event: DownloadsPanel.Told) -> None:
        event.stop()
        self.hub.look_at_disk()

    def on_downloads_panel_arrived(self) -> None:
        self.list_anew()
