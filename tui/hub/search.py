"""A search of the Hub at work: what it lists comes page by page, and what each model is, those first that are seen."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Iterable
from concurrent.futures import CancelledError, Future
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

from core.errors import EngineError, HubBusy, HubOffline
from core.status import EngineStatus
from core.text_safety import clean
from tui.hub.wish import FITS, Wish

if TYPE_CHECKING:
    from core.hub.find import Query
    from core.hub.look import Looker, OnDisk, Remote
    from core.hub.repository import Facts
    from core.settings import Settings

log = logging.getLogger(__name__)

SCREENFUL = 64
"""So many rows fill the highest screens: they are worth showing at once."""
FIRST = 400
"""How many are taken of a listing before anybody scrolls."""
AHEAD = 400
"""How many are there below the last one that is seen, where the Hub has them."""
LOOKS = 8
"""Models that are looked at side by side."""
MOST_LOOKS = 80
"""How many are looked at for a filter before somebody moves on."""
GIVE_UP = 3
"""Failures of the Hub's, one after the other, after which no more models are looked at."""
LONGEST_WAIT_S = 600.0


class Search:
    """One search. `tell` is called on any thread when something has come, with True when it is the first screenful;
    everything else belongs to the event loop.

    What has come is read from `found`, `known` and `problems`, which threads only add to.
    """

    def __init__(self, wish: Wish, looker: Callable[[], Looker], tell: Callable[[bool], None]) -> None:
        self.wish = wish
        self.found: dict[str, Facts] = {}
        """By id, in the Hub's order."""
        self.known: dict[str, Remote] = {}
        """What was looked at."""
        self.problems: dict[str, str] = {}
        """Why something could not be looked at."""
        self.failure: EngineError | None = None
        """Why the listing ended before its end."""
        self.trouble: EngineError | None = None
        """Why no more models are looked at, for now or for good."""
        self.complete = False
        self._new_looker, self._tell = looker, tell
        self._looker: Looker | None = None
        self._query: Query | None = None
        self._wanted, self._more = FIRST, threading.Condition()
        self._closed = False
        self._looking: dict[str, Future[Remote]] = {}
        self._failures = 0
        self._wait_until = 0.0
        self._looked = 0
        self._accepted: tuple[tuple[Wish, int, int, EngineStatus | None], list[str]] | None = None

    def start(self) -> None:
        threading.Thread(target=self._list, name="assay-search", daemon=True).start()

    def close(self) -> None:
        """Nobody wants it any more."""
        with self._more:
            self._closed = True
            self._more.notify_all()
        for future in list(self._looking.values()):
            future.cancel()

    def narrow(self, wish: Wish) -> None:
        """Choose otherwise among what the Hub has answered."""
        self.wish, self._looked = wish, 0
        if self._query is not None:
            self._query = wish.query()

    # -- what is there ------------------------------------------------------------------------------------------------

    def shown(self, status: EngineStatus | None) -> list[str]:
        """The ids that are let through, in the Hub's order: with a filter, only of what has been looked at."""
        if not self.wish.chooses or self._query is None:
            return list(self.found)
        kept_for = (self.wish, len(self.found), len(self.known), status if self.wish.size == FITS else None)
        if self._accepted is None or self._accepted[0] != kept_for:
            query = self._query
            through = [
                id
                for id in list(self.found)
                if (remote := self.known.get(id)) and query.accepts(remote) and self.wish.fits(remote, status)
            ]
            self._accepted = kept_for, through
        return self._accepted[1]

    @property
    def looking(self) -> bool:
        """Whether some model is being looked at."""
        return bool(self._looking)

    @property
    def rests(self) -> bool:
        """Whether as many were looked at for a filter as may be before somebody moves on."""
        return self.wish.chooses and self._looked >= MOST_LOOKS and not self._looking

    @property
    def looked_at(self) -> int:
        return len(self.known) + len(self.problems)

    # -- what is wanted -----------------------------------------------------------------------------------------------

    def want(self, seen: list[str], last: int, status: EngineStatus | None) -> None:
        """Go on with what is needed: `seen` are the rows on the screen and some more, `last` the number of the last."""
        chooses = self.wish.chooses
        if last + AHEAD > len(self.found) and not chooses:
            self._want_listed(last + AHEAD)
        if self._looker is None or self._closed or not self.may_look:
            return
        if not chooses:
            self._look_at(id for id in seen if id not in self.known)
            return
        if len(self.shown(status)) > last + LOOKS or self._looked >= MOST_LOOKS:
            return
        assert self._query is not None
        unknown = [
            id for id, facts in list(self.found.items()) if id not in self.known and self._query.may_accept(facts)
        ]
        self._looked += self._look_at(unknown)
        if len(unknown) < LOOKS:
            self._want_listed(len(self.found) + AHEAD)

    def moved_on(self) -> None:
        """The person goes on: as many may be looked at for a filter again."""
        self._looked = 0

    @property
    def may_look(self) -> bool:
        """Whether the Hub wants to be asked."""
        if isinstance(self.trouble, HubBusy) and time.monotonic() >= self._wait_until:
            self.trouble = None
        return self.trouble is None

    @property
    def wait_s(self) -> float:
        """How long a busy Hub wants to be left alone."""
        return max(self._wait_until - time.monotonic(), 0.0)

    def on_disk(self, states: dict[str, OnDisk], begun: Collection[str]) -> None:
        """What of the models that were looked at is on this disk by now; of those that are `begun`, a part at least."""
        for id, state in states.items():
            if id in self.known:
                part = id in begun and state is type(state).NO
                self.known[id] = replace(self.known[id], on_disk=type(state).PART if part else state)

    # -- on threads ---------------------------------------------------------------------------------------------------

    def _want_listed(self, count: int) -> None:
        with self._more:
            self._wanted = max(self._wanted, count)
            self._more.notify_all()

    def _list(self) -> None:
        try:
            from core.hub.find import find

            self._looker = self._new_looker()
            self._query = self.wish.query()
            for facts in find(self._query):
                if self._closed:
                    return
                self.found[facts.id] = facts
                self._tell(len(self.found) == SCREENFUL)
                with self._more:
                    self._more.wait_for(lambda: self._closed or len(self.found) < self._wanted)
        except EngineError as error:
            self.failure = error
        except Exception as error:
            log.exception("a search of the Hub")
            self.failure = EngineError(f"The search broke off: {type(error).__name__}: {clean(str(error))[:200]}")
        self.complete = True
        self._tell(len(self.found) < SCREENFUL)

    def _look_at(self, ids: Iterable[str]) -> int:
        """Begin to look at as many of these as may be; returns how many."""
        assert self._looker is not None
        fresh = (id for id in ids if id not in self._looking and id not in self.problems)
        begun = 0
        for id in islice(fresh, max(LOOKS - len(self._looking), 0)):
            future = self._looker.begin(self.found[id])
            self._looking[id] = future
            future.add_done_callback(partial(self._end_look, id))
            begun += 1
        return begun

    def _end_look(self, id: str, future: Future[Remote]) -> None:
        try:
            self.known[id] = future.result()
            self._failures = 0
        except CancelledError:
            pass
        except HubOffline as error:
            self.trouble = error
        except HubBusy as error:
            self._wait_until = time.monotonic() + min(error.retry_after_s, LONGEST_WAIT_S)
            self.trouble = error
        except Exception as error:
            if not isinstance(error, EngineError):
                log.exception("looking at a model")
            told = (
                error if isinstance(error, EngineError) else EngineError(f"It cannot be read: {type(error).__name__}.")
            )
            self.problems[id] = told.message
            self._failures += 1
            if self._failures >= GIVE_UP:
                self.trouble = told
        finally:
            self._looking.pop(id, None)
            if not self._closed:
                self._tell(False)


def look_at_disk(settings: Settings, models: Iterable[Facts]) -> dict[str, OnDisk]:
    """What of these models is on the disk now, by id. Reads the disk."""
    from core.hub.look import on_disk

    return {facts.id: on_disk(settings, facts) for facts in models}
