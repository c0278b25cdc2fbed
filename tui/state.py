"""What the whole workbench shows at once: one frozen value that the header and every pane are bound to."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from core.status import EngineStatus, LoadedModel


class Phase(StrEnum):
    """Of the engine."""

    STARTING = "starting"
    READY = "ready"
    FAILED = "failed"
    CLOSING = "closing"


class ApiPhase(StrEnum):
    OFF = "off"
    STARTING = "starting"
    ON = "on"
    STOPPING = "stopping"

    @property
    def says(self) -> str:
        """What goes on, for someone whose key has no effect now."""
        return {
            ApiPhase.OFF: "The API is off: ^t starts it.",
            ApiPhase.STARTING: "The API is still starting.",
            ApiPhase.ON: "The API is on.",
            ApiPhase.STOPPING: "The API is still stopping; ^t starts it again once it is off.",
        }[self]


@dataclass(frozen=True)
class WorkbenchState:
    """`quick` and `full` are model ids, or None where no model of the catalog can take the role.

    `chosen` names the tiers whose model the person has picked here. `text` holds (tier, model id) where conversations
    without images are answered by another model than the tier's.
    """

    phase: Phase = Phase.STARTING
    status: EngineStatus | None = None
    quick: str | None = None
    full: str | None = None
    chosen: frozenset[str] = frozenset()
    text: tuple[tuple[str, str], ...] = ()
    api: ApiPhase = ApiPhase.OFF
    api_url: str = ""

    @property
    def down(self) -> bool:
        """Whether the engine did not start, or has died."""
        died = self.phase is Phase.READY and self.status is not None and not self.status.alive
        return died or self.phase is Phase.FAILED

    def loaded(self, model_id: str | None) -> LoadedModel | None:
        """The engine's entry for a model, if it is in memory or on its way."""
        models = self.status.models if self.status else ()
        return next((model for model in models if model.id == model_id), None)

    def answers(self, tier: str, images: bool) -> str | None:
        """The model that answers for a tier: for one that nobody picked by hand, the one that is better at plain text
        where there are no images."""
        model = self.quick if tier == "quick" else self.full
        return model if images or tier in self.chosen else dict(self.text).get(tier, model)

    def roles(self, model_id: str) -> tuple[str, ...]:
        """Which tiers a model stands for: (), ("quick",), ("full",) or both."""
        return tuple(tier for tier, held in (("quick", self.quick), ("full", self.full)) if held == model_id)
