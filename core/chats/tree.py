"""A chat as a tree: a turn that was changed or answered anew has siblings, and one branch of the tree is shown."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from core.calls.events import Finished
from core.calls.requests import Message
from core.chats.settings import ChatSettings


@dataclass(frozen=True)
class Turn:
    """One message with, for an answer, who gave it, how it ended, and the settings that were in force.

    `created` is in seconds since the epoch; `tier` is the one that the model stood for, "" where it was asked by name.
    """

    message: Message
    model: str = ""
    finished: Finished | None = None
    settings: ChatSettings | None = None
    created: float = field(default_factory=time.time, compare=False)
    tier: str = ""


class Place:
    """Where turns follow: the beginning of a chat, or a turn of it. `shown` is that which was seen last."""

    def __init__(self) -> None:
        self.children: list[Node] = []
        self.shown: Node | None = None


class Node(Place):
    """A turn at its place. `id` is the file's for it, None as long as it is not written.

    `written` is the turn as the file has it: an answer is written while it grows.
    """

    def __init__(self, turn: Turn, parent: Place, id: int | None = None) -> None:
        super().__init__()
        self.turn = turn
        self.parent = parent
        self.id = id
        self.written = turn if id is not None else None

    @property
    def number(self) -> int:
        """Which of its siblings it is, the oldest being 1."""
        return self.parent.children.index(self) + 1

    def sibling(self, by: int) -> Node | None:
        """The sibling `by` places after it, or before it if that is negative; None beyond the ends."""
        index = self.number - 1 + by
        return self.parent.children[index] if 0 <= index < len(self.parent.children) else None


class Tree(Place):
    """All turns of a chat. `chat` is the file's id for it, None as long as it is not written."""

    def __init__(self, *turns: Turn) -> None:
        super().__init__()
        self.chat: int | None = None
        self.every: list[Node] = []
        """In the order in which they were said: each after the one that it follows."""
        self.moved: dict[Place, None] = {}
        """Places that show another turn than the file knows of."""
        for turn in turns:
            self.add(turn)

    @property
    def branch(self) -> list[Node]:
        """The turns that are shown, in order."""
        return list(self._down(self))

    @property
    def turns(self) -> list[Turn]:
        """The same without their places."""
        return [node.turn for node in self._down(self)]

    @property
    def last(self) -> Place:
        """What the next turn follows."""
        branch = self.branch
        return branch[-1] if branch else self

    def above(self, place: Place) -> list[Node]:
        """The turns before a place, and that of the place itself, in order."""
        found: list[Node] = []
        while isinstance(place, Node):
            found.append(place)
            place = place.parent
        return found[::-1]

    def add(self, turn: Turn, after: Place | None = None, id: int | None = None) -> Node:
        """A turn behind the last one that is shown, or a branch behind another place; it is shown."""
        return self.attach(Node(turn, after or self.last, id))

    def attach(self, node: Node) -> Node:
        """Take a turn in behind its parent; it is shown."""
        node.parent.children.append(node)
        node.parent.shown = node
        self.every.append(node)
        return node

    def show(self, node: Node) -> None:
        """Show the branch that a node is on; below it, what was seen there last."""
        for step in self.above(node):
            if step.parent.shown is not step:
                step.parent.shown = step
                self.moved[step.parent] = None

    def drop(self, node: Node) -> None:
        """Take out a turn that nothing follows; its youngest sibling is shown again."""
        self.every.remove(node)
        siblings = node.parent.children
        siblings.remove(node)
        if node.parent.shown is node:
            node.parent.shown = siblings[-1] if siblings else None

    def _down(self, place: Place) -> Iterator[Node]:
        while place.shown is not None:
            place = place.shown
            yield place
