"""What a request goes on from: the response before it, items that it only names, and those that it brings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from core.errors import InvalidRequest
from server.body import MAX_MESSAGES
from server.openai.responses.items import listed
from server.openai.responses.schema import InputItem, ResponsesRequest
from server.openai.responses.store import Piece, ResponseStore, pieces


class PreviousNotFound(InvalidRequest):
    """The response before this one is not kept here."""

    code = "previous_response_not_found"


@dataclass(frozen=True)
class Conversation:
    """All items of a request, oldest first, each with its path; and the same as JSON, to be listed and to be kept."""

    items: tuple[tuple[str, InputItem], ...]
    listed: tuple[dict[str, Any], ...]
    pieces: tuple[Piece, ...]

    @property
    def size(self) -> int:
        """Bytes to keep it."""
        return sum(len(piece.text) for piece in self.pieces)


def gathered(body: ResponsesRequest, store: ResponseStore) -> Conversation:
    """The conversation of a request. May read the disk: not for the event loop.

    Raises PreviousNotFound, and InvalidRequest for an item that is named and not kept, or too many of them.
    """
    items: list[tuple[str, InputItem]] = []
    plain: list[dict[str, Any]] = []
    if body.previous_response_id is not None:
        before = store.get(body.previous_response_id)
        if before is None:
            raise PreviousNotFound(
                f"There is no response {body.previous_response_id[:100]!r} here: it was not to be kept, has made room "
                "for newer ones, was deleted, or the API was switched off since. Send the whole conversation as input.",
                "previous_response_id",
            )
        plain += before.conversation
        items += [(f"previous[{index}]", InputItem.model_validate(item)) for index, item in enumerate(plain)]
    brought = iter(listed(item for item in body.input if item.kind != "item_reference"))
    for index, item in enumerate(body.input):
        path = f"input[{index}]"
        if item.kind != "item_reference":
            plain.append(next(brought))
        else:
            if not item.id:
                raise InvalidRequest(
                    f"{path} has neither a type nor a role: a message needs its role, another item its type.", path
                )
            kept = store.item(item.id)
            if kept is None:
                raise InvalidRequest(
                    f"{path} names the item {item.id[:100]!r}, which is not kept here. Send the item itself.",
                    f"{path}.id",
                )
            plain.append(kept)
            item = InputItem.model_validate(kept)
        items.append((path, item))
    if len(items) > MAX_MESSAGES:
        raise InvalidRequest(
            f"The conversation has {len(items):,} items with those of the responses before; at most {MAX_MESSAGES:,} "
            "are read.",
            "previous_response_id",
        )
    return Conversation(tuple(items), tuple(plain), tuple(pieces(plain)))
