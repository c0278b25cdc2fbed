"""Throwing models away from the pane, once that has been asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual import work

from core.errors import EngineError, ModelInUse
from tui.background import off_loop
from tui.figures import size_in_words
from tui.models.loading import LoadingPane

# The Hub's client comes along, which takes a second of a processor: it is imported when somebody deletes.
if TYPE_CHECKING:
    from core.hub.delete import Deletion
    from core.hub.disk import Duplicate
    from tui.services import Services


class DeletingPane(LoadingPane):
    """Deletes the `selected` model, or a revision of it."""

    def list_anew(self) -> None:
        """Look at the disk again, without a word."""
        raise NotImplementedError

    @work(exclusive=True, group="deleting")
    async def action_delete(self) -> None:
        info, services = self.selected, self._services
        if info is None or services is None:
            self.notify("No model is chosen." if services else "The engine is still starting.")
            return
        try:
            plans, free, twice = await off_loop(lambda: _plans(services, info.id), "delete-plan")
        except EngineError as error:
            self.notify(error.message, title="Not deleted", severity="warning", timeout=10)
            return
        from tui.models.delete_screen import DeleteScreen

        plan = await self.app.push_screen_wait(DeleteScreen(plans, free, twice))
        if plan is None:
            return
        try:
            freed = await off_loop(lambda: _delete(services, plan), "delete")
        except EngineError as error:
            self.notify(error.message, title="Not deleted", severity="error", timeout=10)
        else:
            self.notify(f"{plan.done}; {size_in_words(freed)} are free again.")
        self.list_anew()


def _plans(services: Services, model_id: str) -> tuple[tuple[Deletion, ...], int, tuple[Duplicate, ...]]:
    """What can be deleted of a model; the bytes that are free on the disk; what other models hold as well.

    Raises EngineError where nothing can be deleted now.
    """
    from core.hub.delete import plan_deletions, refuse_in_use
    from core.hub.disk import read_disk

    _refuse_loaded(services, model_id)
    disk = read_disk(services.settings)
    plans = plan_deletions(services.engine.catalog, disk, model_id)
    refuse_in_use(services.settings, plans[0])
    twice = tuple(duplicate for duplicate in disk.duplicates if model_id in duplicate.models)
    return plans, disk.free, twice


def _delete(services: Services, plan: Deletion) -> int:
    from core.hub.delete import delete

    _refuse_loaded(services, plan.id)
    return delete(services.settings, plan)


def _refuse_loaded(services: Services, model_id: str) -> None:
    """Raise ModelInUse for a model that is in memory here, or on its way."""
    if any(model.id == model_id for model in services.engine.status().models):
        raise ModelInUse(f"{model_id} is in memory here. u unloads it; then it can be deleted.")
