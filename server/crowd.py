"""All connections of one server: how many there may be, who makes room when there are more, and who is overdue."""

from __future__ import annotations

import asyncio
import logging
import resource
import time
from collections import OrderedDict
from collections.abc import Hashable
from typing import Protocol

from server.turns import Turns

log = logging.getLogger(__name__)

BESIDE_QUEUE = 1024
"""Connections beside those whose requests may wait in the queue: of a thousand at once, each gets an answer."""

DESCRIPTORS = 4096
"""What the soft limit of open files is raised to where the hard one allows: on a Mac it begins at 256."""

RESERVE = 256
"""Descriptors that are left for models, databases and images, or half of them where there are few."""

LOOK_S = 1.0
"""How often it is looked which connections are overdue."""

QUIET_S = 60.0
"""For how long nothing more is said of a kind of trouble that is in the log."""


class Member(Hashable, Protocol):
    """A connection, as the crowd sees it."""

    def look(self, now: float) -> None:
        """End what takes too long. `now` is of the monotonic clock."""

    def make_room(self) -> None:
        """End at once: another needs the place."""

    def turn_away(self) -> None:
        """End with an answer that says that there is no place."""


class Seldom:
    """Warnings that clients can cause as often as they like: one of each kind a minute."""

    def __init__(self) -> None:
        self._said: dict[str, float] = {}

    def warn(self, kind: str, sentence: str) -> None:
        now = time.monotonic()
        if now - self._said.get(kind, -QUIET_S) >= QUIET_S:
            self._said[kind] = now
            log.warning("%s (This is said once in %.0f s.)", sentence, QUIET_S)


class Crowd:
    """The connections of a server on its event loop.

    All peers share one bound: on loopback, and behind a proxy, they have one address. When it is reached, whoever has
    waited longest without a request makes room, or who has been sending one for longest, so that whoever sends one at
    once is served.
    """

    def __init__(self, max_queue: int) -> None:
        self.seldom = Seldom()
        self.turns = Turns()
        self._wanted = max_queue + BESIDE_QUEUE
        self._all: set[Member] = set()
        self._idle: OrderedDict[Member, None] = OrderedDict()
        self._sending: OrderedDict[Member, None] = OrderedDict()
        self._looks = False
        raise_descriptors(max(DESCRIPTORS, 2 * self._wanted))

    @property
    def most(self) -> int:
        """How many there may be now: libraries change the limit of open files, too."""
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        return self._wanted if limit == resource.RLIM_INFINITY else min(self._wanted, limit - min(RESERVE, limit // 2))

    def enter(self, member: Member) -> None:
        """A new connection, which has no request yet; it or another has to go if there are too many."""
        self._all.add(member)
        self._idle[member] = None
        if len(self._all) > self.most:
            self.seldom.warn(
                "full",
                f"More than {self.most} connections are open; those that have waited longest without a request are "
                "closed.",
            )
            self._make_room()
        if not self._looks:
            self._looks = True
            asyncio.get_running_loop().call_later(LOOK_S, self._look)

    def waits(self, member: Member) -> None:
        """It has no request that is being answered."""
        self._sending.pop(member, None)
        if member in self._all:
            self._idle[member] = None
            self._idle.move_to_end(member)

    def sends(self, member: Member) -> None:
        """It has begun a request, whose body is to come."""
        self._idle.pop(member, None)
        self._sending[member] = None

    def works(self, member: Member) -> None:
        """Its request is being answered."""
        self._idle.pop(member, None)
        self._sending.pop(member, None)

    def leave(self, member: Member) -> None:
        self._all.discard(member)
        self.works(member)

    def _make_room(self) -> None:
        longest = next(iter(self._idle))
        if len(self._idle) > 1:  # the last is the new one
            del self._idle[longest]
            longest.make_room()
        else:
            next(iter(self._sending), longest).turn_away()

    def _look(self) -> None:
        now = time.monotonic()
        for member in list(self._all):
            member.look(now)
        self._looks = bool(self._all)
        if self._looks:
            asyncio.get_running_loop().call_later(LOOK_S, self._look)


def raise_descriptors(wanted: int) -> None:
    """Raise the soft limit of open files to `wanted`, as far as the hard one and the system allow."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    except (OSError, ValueError) as error:
        log.warning("The limit of open files stays at %d: %s.", soft, error)
