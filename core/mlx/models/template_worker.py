"""A process that renders chat templates and can be ended: they are programs out of model folders.

It imports nothing but Jinja, is started without the environment, and answers one request after the other until its
input ends. `core.mlx.models.templates` starts it, and ends it where it goes beyond a limit.
"""

from __future__ import annotations

import json
import marshal
import resource
import signal
import struct
import sys
from collections.abc import Iterable
from datetime import datetime
from typing import Any

REQUEST = struct.Struct("<QdQQ")
"""Before a request: its bytes, and what it may take: seconds of processor time, bytes of memory, characters of text."""
ANSWER = struct.Struct("<cQ")
"""Before an answer: what it is, and its bytes, which are UTF-8 with surrogates let through."""

TEXT, REFUSED, MEMORY, LONG = b"T", b"R", b"M", b"L"
"""An answer is the text asked for, the words with which a template refuses, or says which limit was reached."""

COMPILED = 16
"""Templates that are kept in mind."""
WORDS = 2_000
"""Characters of a refusal that are passed on."""


class TooLong(Exception):
    """A text has more characters than it may."""


def make_environment() -> Any:
    """Jinja as transformers sets it up for chat templates: what they may rely on is what it offers there."""
    from jinja2 import nodes
    from jinja2.exceptions import SecurityError, TemplateError
    from jinja2.ext import Extension, loopcontrols
    from jinja2.sandbox import ImmutableSandboxedEnvironment
    from jinja2.utils import Namespace

    class Generation(Extension):
        """{% generation %}, which marks for training what an assistant wrote; here it stands for what is in it."""

        tags = {"generation"}  # noqa: RUF012  Jinja's own way

        def parse(self, parser: Any) -> nodes.Node:
            line = next(parser.stream).lineno
            body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
            return nodes.CallBlock(self.call_method("written"), [], [], body).set_lineno(line)

        def written(self, caller: Any) -> Any:
            return caller()

    class Mapping:
        def __call__(self, *pairs: Any, **named: Any) -> dict[Any, Any]:
            return dict(*pairs, **named)

        def fromkeys(self, *arguments: Any) -> dict[Any, Any]:
            return dict.fromkeys(*arguments)

    def check(name: Any) -> None:
        if isinstance(name, str) and name.startswith("_"):
            raise SecurityError(f"a namespace takes no names that begin with an underscore, such as {name!r}")

    class Variables(Namespace):
        def __init__(*given: Any, **named: Any) -> None:  # a variable may be called "self"
            self, *pairs = given
            variables = dict(*pairs, **named)
            for name in variables:
                check(name)
            Namespace.__init__(self, variables)

        def __setitem__(self, name: str, value: Any) -> None:
            check(name)
            Namespace.__setitem__(self, name, value)

    def refuse(message: Any) -> None:
        raise TemplateError(message)

    def to_json(
        value: Any, ensure_ascii: bool = False, indent: Any = None, separators: Any = None, sort_keys: bool = False
    ) -> str:
        return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)

    def now(format: str) -> str:
        return datetime.now().strftime(format)

    made = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols])
    made.filters["tojson"] = to_json
    made.globals |= {"raise_exception": refuse, "strftime_now": now, "dict": Mapping(), "namespace": Variables}
    return made


class Renderer:
    """Answers requests, each (what is wanted, a template, its variables)."""

    def __init__(self) -> None:
        self._environment = make_environment()
        self._compiled: dict[str, Any] = {}

    def answer(self, data: bytes, most: int) -> tuple[bytes, str]:
        """What a request comes to: its kind and its words. Templates raise what they like, and more."""
        try:
            wanted, source, variables = marshal.loads(data)
            pieces = self._literals(source) if wanted == "literals" else self._render(source, variables)
            return TEXT, _joined(pieces, most)
        except MemoryError:
            return MEMORY, ""
        except TooLong:
            return LONG, ""
        except RecursionError:
            return REFUSED, "it is nested too deeply, or calls itself without end"
        except Exception as error:
            try:
                return REFUSED, (str(error) or type(error).__name__)[:WORDS]
            except Exception:
                return REFUSED, type(error).__name__

    def _render(self, source: str, variables: dict[str, Any]) -> Iterable[str]:
        template = self._compiled.pop(source, None) or self._environment.from_string(source)
        self._compiled[source] = template  # behind the others: the first is the one that was not used for longest
        while len(self._compiled) > COMPILED:
            del self._compiled[next(iter(self._compiled))]
        generated: Iterable[str] = template.generate(**variables)
        return generated

    def _literals(self, source: str) -> Iterable[str]:
        """What a template writes of itself, and the strings in it, a line for each."""
        from jinja2 import Environment

        for _, kind, value in Environment(autoescape=True).lex(source):
            if kind in ("data", "string"):
                yield f"{value}\n"


def _joined(pieces: Iterable[str], most: int) -> str:
    found: list[str] = []
    length = 0
    for piece in pieces:
        length += len(piece)
        if length > most:
            raise TooLong
        found.append(piece)
    return "".join(found)


def _held() -> int | None:
    """Bytes of address space that this process has taken; None where it cannot be limited."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[0]) * resource.getpagesize()
    except OSError:
        return None


def _limit(kind: int, value: int) -> None:
    resource.setrlimit(kind, (value, resource.getrlimit(kind)[1]))


def main() -> None:
    """Serve standard input."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal's: who waits for an answer shall still get it
    signal.signal(signal.SIGPROF, signal.SIG_DFL)  # ends the process, whatever it is at
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_FSIZE, 0)  # pipes are no files
    renderer = Renderer()
    held = _held()
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    while len(head := source.read(REQUEST.size)) == REQUEST.size:
        length, seconds, memory, most = REQUEST.unpack(head)
        if held is not None:
            _limit(resource.RLIMIT_AS, held + memory)
        signal.setitimer(signal.ITIMER_PROF, seconds)
        kind, words = renderer.answer(source.read(length), most)
        try:
            data = words.encode("utf-8", "surrogatepass")
        except MemoryError:
            kind, data = MEMORY, b""
        signal.setitimer(signal.ITIMER_PROF, 0.0)
        sink.write(ANSWER.pack(kind, len(data)))
        sink.write(data)
        sink.flush()


if __name__ == "__main__":
    sys.path += sys.argv[1:]
    main()
