"""Chat templates are programs out of model folders. One that never ends, or takes all memory, ends its own request."""

from __future__ import annotations

import itertools
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from jinja2.exceptions import TemplateError

from core.calls.requests import GenerationRequest, Message, Role, Sampling
from core.catalog.template_features import takes_tools
from core.engine import Engine
from core.errors import InvalidRequest
from core.mlx.models import templates
from core.mlx.models.templates import TemplateStopped, renderers
from core.pocket import MODELS_DIR
from core.settings import Settings

HELD = 99_999
"""As many as Jinja's sandbox lets a range have."""
LOOPS = "".join(f"{{% for {name} in range({HELD}) %}}" for name in "abc") + "{% endfor %}" * 3
NESTED = "{% set n = namespace(x=(1,)) %}{% for i in range(60) %}{% set n.x = (n.x, n.x) %}{% endfor %}"
GROWING = "{% set n = namespace(x=START) %}{% for i in range(99) %}{% set n.x = n.x + n.x %}{% endfor %}"

HOSTILE = {
    "loops": LOOPS,
    "loops that write": LOOPS.replace("{% endfor %}", "xxxxxxxxxx{% endfor %}", 1),
    "power": "{{ 9**(9**9) }}",
    "power, folded": "{% set x = 9**9**9**9 %}{{ (x**999999) % 7 }}",
    "repetition": "{{ ('a' * 3000000000) | length }}",
    "repetition in turn": "{% set a = 'a' * 9999 %}{% for i in range(9) %}{{ (a * 9999 * 9999) | length }}{% endfor %}",
    "list repetition": "{{ ([1] * 3000000000) | length }}",
    "lipsum": "{{ lipsum(n=100000) }}",
    "center": "{{ 'a' | center(3000000000) | length }}",
    "indent": "{{ ('a\n' * 1000000) | indent(100000) | length }}",
    "percent": "{{ '%1000000000d' % 1 }}",
    "format": "{{ '{:>1000000000}'.format(1) }}",
    "format filter": "{{ '%*d' | format(1000000000, 1) }}",
    "precision": "{{ '%.999999999f' % 1.5 }}",
    "zfill": "{{ 'a'.zfill(3000000000) | length }}",
    "tabs": "{{ ('\t' * 1000000).expandtabs(100000) | length }}",
    "join": f"{{{{ range({HELD}) | join('a' * 100000) | length }}}}",
    "replace": "{{ ('a' * 1000000) | replace('', 'b' * 100000) | length }}",
    "slice": "{{ range(9) | slice(1000000000) | list | length }}",
    "batch": "{{ range(9) | batch(1000000000, 1) | list | length }}",
    "wordwrap": "{{ ('a ' * 9000000) | wordwrap(1) | length }}",
    "sort": f"{{{{ (range({HELD}) | map('string') | list * 99) | sort(reverse=true) | length }}}}",
    "unique": f"{{{{ (range({HELD}) | list * 300) | map('string') | unique | list | length }}}}",
    "nested, written": f"{NESTED}{{{{ n.x }}}}",
    "nested, as JSON": f"{NESTED}{{{{ n.x | tojson }}}}",
    "nested, as a key": f"{NESTED}{{{{ {{n.x: 1}} | length }}}}",
    "nested, compared": f"{NESTED}{NESTED.replace('n', 'm', 1).replace('n.x', 'm.x')}{{{{ n.x == m.x }}}}",
    "doubled text": GROWING.replace("START", "'a'"),
    "doubled list": GROWING.replace("START", "[1]"),
    "cycler": f"{{% set c = cycler(1) %}}{{% for i in range({HELD}) %}}{{% for j in range({HELD}) %}}"
    "{% set x = c.next() %}{% endfor %}{% endfor %}",
    "date": "{{ strftime_now('%Y' * 10000000) | length }}",
    "huge refusal": "{{ raise_exception('a' * 1000000000) }}",
    "endless calls": "{% macro m() %}{{ m() }}{{ m() }}{% endmacro %}{{ m() }}",
    "endless loop": "{% for i in [1] recursive %}{{ loop([1]) }}{% endfor %}",
    "range": "{{ range(1000000000) | list | length }}",
    "deep blocks": "{% if true %}" * 3_000 + "{% endif %}" * 3_000,
    "deep brackets": f"{{{{ {'(' * 9_000}1{')' * 9_000} }}}}",
    "deep lists": f"{{{{ {'[' * 9_000}{']' * 9_000} }}}}",
    "long sum": f"{{{{ 1{'+1' * 100_000} }}}}",
    "long path": f"{{{{ messages{'[0]' * 100_000} }}}}",
    "many blocks": "{% if true %}x{% endif %}" * 300_000,
}
MINE = "pocket/qwen3"


def request(model: str, text: str = "Hi", tokens: int = 4) -> GenerationRequest:
    sampling = Sampling(temperature=0.0, max_tokens=tokens)
    return GenerationRequest(model, (Message.text(Role.USER, text),), thinking=False, sampling=sampling)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(templates, "SECONDS", 0.2)


@pytest.mark.parametrize("name", HOSTILE)
def test_it_is_stopped(name: str, impatient: None) -> None:
    before = psutil.Process().memory_info().rss
    began = time.monotonic()
    with pytest.raises((TemplateStopped, TemplateError)) as stopped:
        renderers.ask("text", HOSTILE[name], {"messages": [{"role": "user", "content": "Hi"}]})
    assert time.monotonic() - began < templates.PATIENCE_S + 5
    assert 3 < len(str(stopped.value)) <= 2_000
    assert psutil.Process().memory_info().rss - before < 100e6


def test_memory_is_watched_where_the_system_does_not_hold_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(templates, "MEMORY_BYTES", 1 << 20)
    process = templates._Process()
    try:
        with pytest.raises(TemplateStopped, match="memory"):
            process._wait(process._from, templates.select.POLLIN, time.monotonic() + 60, 1 << 20)
    finally:
        process.end()


def test_what_is_never_closed_is_looked_through_once() -> None:
    began = time.monotonic()
    assert not takes_tools("{%" * 1_000_000)
    assert takes_tools("{{ x }}" * 100_000 + "{% for tool in tools %}")
    assert time.monotonic() - began < 5


@pytest.fixture(scope="module")
def engine(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """One that has pocket/qwen3, and others like it whose templates are hostile."""
    folder = tmp_path_factory.mktemp("models") / "bad"
    whole = (MODELS_DIR / "qwen3" / "chat_template.jinja").read_text()
    for name, template in {
        "endless": LOOPS,
        "folded": HOSTILE["power"],
        "large": HOSTILE["repetition"],
        "sly": f"{{% if messages[-1].content == 'now' %}}{LOOPS}{{% endif %}}{whole}",
    }.items():
        shutil.copytree(MODELS_DIR / "qwen3", folder / name)
        (folder / name / "chat_template.jinja").write_text(template)
    chosen = settings.model_copy(update={"model_folders": [folder.parent]})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(templates, "SECONDS", 1.0)
        with Engine(chosen) as engine:
            engine.load(MINE).result(60)
            yield engine


def longest_gap(engine: Engine, meanwhile: Callable[[], None]) -> float:
    """Seconds between two events of an answer that another model gives meanwhile."""
    over = threading.Event()
    moments: list[float] = []

    def listen() -> None:
        while not over.is_set():
            with engine.generate(request(MINE, "Tell me a long story.", 200)) as answer:
                for _ in answer:
                    moments.append(time.monotonic())
                    if over.is_set():
                        return

    thread = threading.Thread(target=listen)
    thread.start()
    while not moments:
        thread.join(0.01)
    try:
        meanwhile()
    finally:
        over.set()
        thread.join(60)
    return max(later - earlier for earlier, later in itertools.pairwise(moments))


@pytest.mark.parametrize("name", ["endless", "folded", "large"])
def test_its_requests_end_and_other_models_go_on(engine: Engine, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if name != "endless":
        monkeypatch.setattr(templates, "SECONDS", 0.3)

    def ask() -> None:
        with pytest.raises(InvalidRequest, match="was stopped: it"):
            engine.generate(request(f"bad/{name}")).result()
        with pytest.raises(InvalidRequest, match="was stopped: it"):
            engine.count_tokens(request(f"bad/{name}")).result(60)

    assert longest_gap(engine, ask) < 3  # a load of the model is among them, on a busy machine
    assert engine.generate(request(MINE)).result().finished is not None


def test_one_that_waits_for_its_moment_does_not_hold_up_its_own_model(engine: Engine) -> None:
    engine.load("bad/sly").result(60)
    with engine.generate(request("bad/sly", "Tell me a story.", 100)) as answer:
        hostile = engine.generate(request("bad/sly", "now"))
        counted = engine.count_tokens(request("bad/sly", "now"))
        assert answer.result().finished is not None
        for ends in (hostile.result, lambda: counted.result(60)):
            with pytest.raises(InvalidRequest, match="did not end within 1 s"):
                ends()
    assert engine.count_tokens(request("bad/sly")).result(60) == engine.count_tokens(request(MINE)).result(60)


def test_who_leaves_or_unloads_need_not_wait_for_it(engine: Engine) -> None:
    engine.load("bad/sly").result(60)
    began = time.monotonic()
    answer = engine.generate(request("bad/sly", "now"))
    answer.cancel()
    assert answer.wait(60)
    answer = engine.generate(request("bad/sly", "now"))
    assert engine.count_tokens(request("bad/sly", "now")).cancel()
    engine.unload("bad/sly", cancel=True).result(60)
    with pytest.raises(Exception, match="unloaded"):
        answer.result()
    assert time.monotonic() - began < 0.9


def test_an_engine_closes_meanwhile_and_leaves_no_process(settings: Settings, tmp_path: Path) -> None:
    shutil.copytree(MODELS_DIR / "qwen3", tmp_path / "bad" / "endless")
    (tmp_path / "bad" / "endless" / "chat_template.jinja").write_text(LOOPS)
    with Engine(settings.model_copy(update={"model_folders": [tmp_path]})) as engine:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(templates, "SECONDS", 0.2)  # a load tries it out
            engine.load("bad/endless").result(60)
        answer = engine.generate(request("bad/endless"))
        began = time.monotonic()
    assert time.monotonic() - began < 1.5
    assert answer.error is not None
    while templates_alive():
        time.sleep(0.01)
        assert time.monotonic() - began < 5


def templates_alive() -> list[psutil.Process]:
    children = psutil.Process().children()
    return [child for child in children if any("template_worker" in part for part in child.cmdline())]
