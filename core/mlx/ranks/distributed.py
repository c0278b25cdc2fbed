"""Several processes under mlx.launch as one engine: a model is split over them, and all do what rank 0 decides.

Every rank runs the same scheduler on the same commands. Whatever could differ between machines (time, free memory,
randomness, a template that prints the date) is decided on rank 0 and sent to the others.
"""

from __future__ import annotations

import os
import re
import threading
import time
import zlib
from collections import deque
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any, TypeVar

import mlx.core as mx
import numpy as np
from mlx_lm.sample_utils import greedy_sampler

from core.catalog.bounds import read_file
from core.errors import EngineClosed, EngineError, LoadFailed, ended
from core.mlx.ranks.serialization import Receiver, Sender, Sent, read_value, write_value

T = TypeVar("T")
Sampler = Callable[[mx.array], mx.array]

NAP_S = 0.02
"""Seconds between two words to the followers of an idle engine. A follower that waited in MLX would burn a core."""

PATIENCE_S = 180.0
"""Seconds after which a rank that has said nothing is given up. The longest step has to fit: a chunk of a long prompt,
or the part of a model that is read between two steps, from a slow disk."""

WATCH_S = 1.0
"""Seconds between two looks at the connections to other ranks."""

_MORE, _DONE, _FAILED = range(3)


class Ranks:
    """The processes that hold a model together. Alone, with `size` 1, nothing is sent and every method is a no-op.

    Its methods run on the MLX thread, and all ranks call the same ones in the same order: each waits for the others.
    """

    nap_s = NAP_S

    def __init__(self, group: Any = None) -> None:
        self.rank: int = group.rank() if group is not None else 0
        self.size: int = group.size() if group is not None else 1
        self._group = group
        self._sender = Sender()
        self._receiver = Receiver()
        self._sent: deque[tuple[mx.array, bytes, list[Any]]] = deque()
        self._greedy = self._with_rank_0(greedy_sampler) if self.size > 1 else greedy_sampler
        self._heard = time.monotonic()
        self._closed = threading.Event()

    # -- commands ----------------------------------------------------------------------------------------------------

    @property
    def owed(self) -> bool:
        """Whether commands were sent that have not yet come back from `share`."""
        return bool(self._sent)

    def share(self, commands: list[Sent], busy: bool, position: Callable[[], int]) -> list[Sent]:
        """Tell the followers the commands of rank 0 (`commands` is empty elsewhere); returns what all ranks run now.

        While the engine is busy, that is what was told a turn ago: the word then travels beside the step that MLX is
        computing, instead of holding up the next. `position` is a number in which ranks that are in step agree.
        Raises EngineClosed when they are not, and what MLX raises when a rank is lost.
        """
        if self.size == 1:
            return commands
        payload, travelling = self._sender.pack(commands)
        header = mx.distributed.all_gather(
            mx.array([[len(payload), position()]], mx.int64), group=self._group, stream=mx.cpu
        )
        mx.async_eval(header)  # type: ignore[no-untyped-call]
        self._sent.append((header, payload, travelling))
        arrived: list[Sent] = []
        while len(self._sent) > busy:
            header, payload, travelling = self._sent.popleft()
            rows = np.array(header)
            strays = [rank for rank in range(self.size) if rows[rank, 1] != rows[0, 1]]
            if strays:
                self._exchange(0)  # raises when it is the connection that is lost, and the numbers mean nothing
                raise EngineClosed(
                    f"Rank {strays[0]} is no longer in step with rank 0, after an error on one of them alone. "
                    "Its log says more."
                )
            if rows[0, 0]:
                data = self._spread(payload, int(rows[0, 0]), 0)
                arrived += travelling if self.rank == 0 else self._receiver.unpack(data)
        self._heard = time.monotonic()
        return arrived

    def watch(self, lost: Callable[[EngineError], None]) -> None:
        """Call `lost`, on a thread of its own, once another rank has ended, or has been silent for PATIENCE_S.

        MLX itself does not always notice the first, and never the second.
        """
        if self.size > 1:
            threading.Thread(target=self._watch, args=(lost, _links()), name="assay-ranks", daemon=True).start()

    def _watch(self, lost: Callable[[EngineError], None], links: set[tuple[Any, Any]]) -> None:
        self._heard = time.monotonic()
        broken = False
        while not self._closed.wait(WATCH_S):
            if time.monotonic() - self._heard > PATIENCE_S:
                lost(EngineClosed(f"The other {self.size - 1} rank(s) have not answered for {PATIENCE_S:g} s."))
                return
            before, broken = broken, not links <= _links()
            if before and broken:  # twice, since a rank that was told to close may be quicker than this one
                lost(EngineClosed("Another rank has ended: its connection to this one is closed."))
                return

    def close(self) -> None:
        """Stop watching."""
        self._closed.set()
        self._sent.clear()

    # -- decisions ---------------------------------------------------------------------------------------------------

    def decide(self, make: Callable[[], T]) -> T:
        """What `make` returns on rank 0, where alone it is called; an exception is raised on every rank."""
        if self.size == 1:
            return make()
        data, value, error = b"", None, None
        if self.rank == 0:
            try:
                value = make()
                data = write_value((value, None))
                read_value(data)
            except Exception as raised:
                error = raised
                data = write_value((None, str(raised)))
        data = self._spread(data, self._exchange(len(data))[0][0], 0)
        if error is not None:
            raise error
        if self.rank > 0:
            value, sentence = read_value(data)
            if sentence is not None:
                raise EngineError(sentence)
        return value  # type: ignore[return-value]

    def least(self, value: int) -> int:
        """The smallest of the ranks' values."""
        return value if self.size == 1 else min(row[0] for row in self._exchange(value))

    def in_lockstep(
        self, steps: Generator[float | None, None, T], mark: Callable[[], int]
    ) -> Generator[float | None, None, T]:
        """`steps`, until every rank has finished its own; what fails on one rank fails on all.

        `mark` gives a number, called before the first step, in which the ranks have to agree: see `fingerprint`.
        Raises LoadFailed with the first other rank that failed and its sentence.
        """
        if self.size == 1:
            return (yield from steps)
        fraction: float | None = 0.0
        state, check, result, error = _MORE, 0, None, None
        while True:
            try:
                check = check or mark()
                if state == _MORE:
                    fraction = next(steps)
            except StopIteration as finished:
                state, fraction, result = _DONE, 1.0, finished.value
            except Exception as raised:
                state, error = _FAILED, raised
            sentence = b"" if error is None else _sentence(error).encode()
            rows = self._exchange(state, len(sentence), check)
            states = [row[0] for row in rows]
            if _FAILED in states:
                first = states.index(_FAILED)
                said = self._spread(sentence, rows[first][1], first).decode(errors="replace")
                raise error if error is not None else LoadFailed(f"Rank {first} could not follow: {said}")
            if any(row[2] != rows[0][2] for row in rows):
                raise LoadFailed(
                    "The model's files are not the same on every rank. Copy the folder, or download the same revision."
                )
            if states == [_DONE] * self.size:
                return result  # type: ignore[return-value]
            yield fraction

    # -- models ------------------------------------------------------------------------------------------------------

    def split(self, model: Any, name: str) -> bool:
        """Keep this rank's part of a model whose weights are not yet read; returns whether it got layers of its own.

        Each layer is divided where mlx-lm can do that (tensor parallel), else each rank takes some of the layers.
        Raises LoadFailed where neither is possible.
        """
        if self.size == 1:
            return False
        inner: Any = getattr(model, "model", None)
        if not hasattr(model, "shard") and not hasattr(inner, "pipeline"):
            raise LoadFailed(
                f"{name} cannot be split over {self.size} ranks: mlx-lm does not split models of type "
                f"{getattr(model, 'model_type', 'unknown')}. Run it on one machine, without mlx.launch."
            )
        if not hasattr(model, "shard"):
            inner.pipeline(self._group)
            return True
        heads = getattr(getattr(model, "args", None), "num_key_value_heads", None) or self.size
        if heads % self.size:
            raise LoadFailed(
                f"{name} cannot be split over {self.size} ranks: it has {heads} key-value heads, and each rank takes "
                "as many as the others. Launch fewer ranks."
            )
        model.shard(self._group)
        return False

    def agreed(self, sampler: Sampler) -> Sampler:
        """A sampler that returns what rank 0 has drawn. Machines that differ round differently, and a draw follows."""
        if self.size == 1:
            return sampler
        return self._greedy if sampler is greedy_sampler else self._with_rank_0(sampler)

    def _with_rank_0(self, sampler: Sampler) -> Sampler:
        def sample(logprobs: mx.array) -> mx.array:
            drawn = sampler(logprobs)
            return mx.distributed.all_sum(drawn * mx.array(self.rank == 0, drawn.dtype), group=self._group)

        return sample

    # -- the wire ----------------------------------------------------------------------------------------------------

    def _exchange(self, *numbers: int) -> list[list[int]]:
        """Every rank's numbers, by rank."""
        rows = mx.distributed.all_gather(mx.array([numbers], mx.int64), group=self._group, stream=mx.cpu)
        gathered: list[list[int]] = np.array(rows).tolist()
        return gathered

    def _spread(self, data: bytes, length: int, root: int) -> bytes:
        """The `length` bytes that rank `root` holds, on every rank."""
        if length == 0:
            return b""
        mine = np.frombuffer(data, np.uint8) if self.rank == root else np.zeros(length, np.uint8)
        return np.array(mx.distributed.all_sum(mx.array(mine), group=self._group, stream=mx.cpu)).tobytes()


ALONE = Ranks()


def connect(rank: int | None) -> Ranks:
    """Meet the other ranks that were launched with this one. Blocks until all are there; None connects to nobody.

    MLX waits with Python's lock held, so nothing else of the process goes on meanwhile.
    Raises EngineClosed when the launch's other ranks cannot be reached.
    """
    if rank is None:
        return ALONE
    try:
        group = mx.distributed.init()
    except Exception as error:
        raise EngineClosed(f"Rank {rank} cannot reach the others: {ended(error)}") from error
    if group.size() == 1 and rank > 0:
        raise EngineClosed(
            f"This process was launched as rank {rank}, but none of MLX's back ends found the others. Give mlx.launch "
            "a --backend that this build of MLX has."
        )
    return Ranks(group) if group.size() > 1 else ALONE


def _links() -> set[tuple[Any, Any]]:
    """The open connections over which MLX speaks to other ranks, told by the ports that the launcher gave out."""
    import psutil

    try:
        hosts = Path(os.environ.get("MLX_HOSTFILE", "")).read_text()
    except OSError:  # back ends other than the ring have none
        hosts = os.environ.get("MLX_JACCL_COORDINATOR", "")
    ports = {int(port) for port in re.findall(r":(\d+)", hosts)}
    return {
        (link.laddr, link.raddr)
        for link in psutil.Process().net_connections("tcp")
        if link.raddr and link.status == psutil.CONN_ESTABLISHED and ports & {link.laddr.port, link.raddr.port}
    }


def fingerprint(folder: Path) -> int:
    """A number in which copies of a model agree: its configuration, its tokenizer, and the sizes of its weights."""
    told = [
        (file.name, read_file(file) if file.name in ("config.json", "tokenizer.json") else file.stat().st_size)
        for file in sorted(folder.iterdir())
        if file.name in ("config.json", "tokenizer.json") or file.suffix == ".safetensors"
    ]
    return zlib.crc32(repr(told).encode())


def _sentence(error: Exception) -> str:
    return error.message if isinstance(error, EngineError) else f"{type(error).__name__}: {error}"
