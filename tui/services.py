"""Everything behind the workbench's panes, opened together on a worker once the first frame is on the screen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from core.errors import EngineError
from tui.state import WorkbenchState

if TYPE_CHECKING:
    from core.catalog import Catalog
    from core.engine import Engine
    from core.golden.models import Chooser
    from core.golden.routes import Route
    from core.settings import Settings
    from server.lifecycle import ApiServer


@dataclass(frozen=True)
class Services:
    """`quick` and `full` are the models that stand for the tiers at the start, if any can."""

    settings: Settings
    engine: Engine
    server: ApiServer
    quick: str | None
    full: str | None
    text: Mapping[str, str] = field(default_factory=dict)
    """By tier, the model for conversations without images, where it is another than the tier's."""

    def wait_until_up(self) -> None:
        """Block until MLX has been imported and the engine answers. Raises EngineClosed with the reason if it dies."""
        self.engine.ready().result()

    def start_anew(self) -> None:
        """Start an engine that has died, without its models. Blocks and raises as `wait_until_up`."""
        self.engine.start()
        self.wait_until_up()

    def chooser(self, state: WorkbenchState) -> Chooser:
        """Which model answers a golden prompt: those that the person put into a role, else the usual ones."""
        from core.golden.models import from_disk

        own = {"quick_model": state.quick, "full_model": state.full}
        chosen = {name: model for name, model in own.items() if name.removesuffix("_model") in state.chosen}
        return from_disk(self.engine.catalog, self.settings.model_copy(update=chosen))

    def golden_routes(self) -> dict[str, Route]:
        """The ways by which the pane's runs reach a model."""
        from core.golden.routes import InProcess

        return {"in-process": InProcess(self.engine)}

    def close(self) -> None:
        """Stop the API and the engine, in this order. Blocks until both have ended."""
        self.server.stop()
        self.engine.close()


def open_services(settings: Settings) -> Services:
    """Start the engine, which goes on importing MLX, and find the tiers' models.

    Raises EngineError when the engine cannot start; nothing is left running then.
    """
    from core.engine import Engine
    from server.lifecycle import ApiServer

    engine = Engine(settings).start()
    try:
        usual = usual_models(engine.catalog, settings)
    except BaseException:
        engine.close()
        raise
    return Services(settings, engine, ApiServer(engine, settings), usual.quick, usual.full, usual.text)


@dataclass(frozen=True)
class Usual:
    """The models that stand for the tiers where nobody picks others; None where nothing can stand in. `text` has those
    for conversations without images."""

    quick: str | None
    full: str | None
    text: Mapping[str, str]


def usual_models(catalog: Catalog, settings: Settings) -> Usual:
    """Look for the models that stand for the tiers now."""
    from core.tiers import Tier, resolve_tier

    chosen: dict[Tier, str | None] = {}
    text: dict[str, str] = {}
    for tier in Tier:
        try:
            chosen[tier] = resolve_tier(catalog, settings, tier).model.id
            text[tier.value] = resolve_tier(catalog, settings, tier, images=False).model.id
        except EngineError:
            chosen[tier] = None  # nothing can stand in: the panes say so where it matters
    return Usual(chosen[Tier.QUICK], chosen[Tier.FULL], text)
