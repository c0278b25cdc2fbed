"""The linter: what it proves, and what it warns of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.calls.events import FinishReason
from core.catalog import Catalog
from core.golden.checks import Answer, check
from core.golden.expressions import parse_expression
from core.golden.lint import lint, lint_folder
from core.golden.proof import TooManyLeaves, can_fail, can_pass, counterexample
from core.golden.reading import load_suite
from core.golden.suite import BUILTIN

WriteSuite = Callable[[Mapping[str, str]], Path]


def found(folder: Path) -> list[str]:
    """Errors and warnings, the latter marked."""
    return [("warning " if problem.warning else "") + problem.message for problem in lint_folder(folder)[1]]


@pytest.mark.parametrize(
    ("full", "quick"),
    [
        ({"all": ["red", ["square", "rectangle"]]}, ["red", "square"]),
        ({"all": ["red", "blue"]}, [{"all": ["red", "blue"]}, {"all": ["square", "circle"]}]),
        ({"all": [{"exact": "Hello"}, {"exact": "MLX"}]}, ["hello", "mlx"]),
        ("hello world", "world"),
        ({"equals": "Hello World"}, {"regex": "W.r"}),
        ({"tool": {"name": "f", "args": {"a": 1, "b": 2}}}, {"tool": {"name": "f", "args": {"a": 1}}}),
        ({"tool": {"name": "f", "args": {"a": 1}}}, {"tool": "f"}),
        ("red", {"not_empty": True}),
        ({"regex": "re+d"}, {"not_empty": True}),
        ({"json_schema": {"type": "object"}}, {"not_empty": True}),
        ({"all": ["red"], "not": "blue"}, {"not": {"all": ["red", "blue"]}}),
    ],
)
def test_an_implication_is_proved(full: Any, quick: Any) -> None:
    assert counterexample(parse_expression(full), parse_expression(quick)) is None


@pytest.mark.parametrize(
    ("full", "quick", "world"),
    [
        (["red", "blue"], {"all": ["red"]}, "has blue and lacks red"),
        ("hello", {"exact": "Hello"}, 'has hello and lacks exactly "Hello"'),
        ({"tool": "f"}, {"tool": {"name": "f", "args": {"a": 1}}}, "has a call f() and lacks a call f(a=1)"),
        ({"tool": "f"}, {"not_empty": True}, "has a call f() and lacks a non-empty answer"),
        ({"all": ["red"], "finish": ["stop", "length"]}, "red", "has red (finish length)"),
    ],
)
def test_a_counterexample_is_given_in_words(full: Any, quick: Any, world: str) -> None:
    assert str(counterexample(parse_expression(full), parse_expression(quick))) == world


words = st.sampled_from(["red", "blue", "box"])
trees = st.recursive(
    words,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3),
        st.builds(lambda parts: {"all": parts}, st.lists(inner, min_size=1, max_size=3)),
        st.builds(lambda part: {"not": part}, inner),
    ),
    max_leaves=5,
)
said = st.lists(words, max_size=3).map(" ".join)


@given(trees, trees, st.lists(st.builds(Answer, said, st.sampled_from(list(FinishReason)[:3])), max_size=8))
@settings(deadline=None)
def test_no_answer_contradicts_what_was_proved(premise: Any, conclusion: Any, answers: list[Answer]) -> None:
    full, quick = parse_expression(premise), parse_expression(conclusion)
    proved = counterexample(full, quick) is None
    for answer in answers:
        if proved and all(item.passed for item in check(full, answer)):
            assert all(item.passed for item in check(quick, answer))


@given(trees)
@settings(deadline=None)
def test_every_counterexample_of_words_is_a_real_answer(tree: Any) -> None:
    expression = parse_expression(tree)
    world = counterexample(parse_expression({"not_empty": True}), expression)
    if world is not None:
        text = " ".join(leaf.text for leaf in world.true if hasattr(leaf, "text")) or "something else"
        assert not all(item.passed for item in check(expression, Answer(text, world.finish)))


def test_checks_that_prove_nothing_are_found() -> None:
    for always in ({"any": ["a", {"not": "a"}]}, {"regex": ".*"}, {"finish": ["stop", "length", "tool_calls"]}):
        assert not can_fail(parse_expression(always))
    for never in ({"all": ["a", {"not": "a"}]}, {"all": [{"equals": "a"}, "b"]}):
        assert not can_pass(parse_expression(never))
    assert can_fail(parse_expression("a"))
    assert can_pass(parse_expression("a"))


def test_a_table_that_would_be_too_long_is_refused() -> None:
    many = parse_expression([f"w{index}" for index in range(20)])
    with pytest.raises(TooManyLeaves, match="20 different leaves"):
        can_fail(many)


def test_the_linter_names_tiers_in_the_wrong_order(write_suite: WriteSuite) -> None:
    sidecar = 'expect.quick = { all = ["red", "box"] }\nexpect.full = "red"\n'
    folder = write_suite({"p.txt": "?", "p.toml": sidecar})
    (problem,) = lint_folder(folder)[1]
    assert problem.line == 1
    assert not problem.warning
    assert problem.message == (
        "p: full does not imply quick: an answer that has red and lacks box passes full and fails quick."
    )


def test_what_hangs_on_a_pattern_is_only_a_warning(write_suite: WriteSuite) -> None:
    folder = write_suite({"p.txt": "?", "p.toml": 'expect.quick = "red"\nexpect.full.regex = "re+d"\n'})
    assert found(folder) == ["warning p: that full implies quick cannot be proved: it hangs on /re+d/."]


@pytest.mark.parametrize(
    ("sidecar", "says"),
    [
        ('expect.regex = ".*"', "p: nothing could fail the check of quick and full (/.*/)."),
        ('expect = { all = ["a"], not = "a" }', "p: nothing could pass the check of quick and full (a and not a)."),
        ('expect = "sea"', "warning p: an echo of the prompt would pass the check of quick and full (sea)."),
        ('expect.tool = "f"', 'p: it expects a call of "f", which it does not offer.'),
    ],
)
def test_the_linter_names_checks_that_prove_nothing(write_suite: WriteSuite, sidecar: str, says: str) -> None:
    assert found(write_suite({"p.txt": "Is the sea blue?", "p.toml": sidecar})) == [says]


def test_the_linter_holds_an_expected_call_against_the_tool(write_suite: WriteSuite) -> None:
    tool = '[[tools]]\nname = "f"\n[tools.parameters.properties.city]\ntype = "string"\n'
    for args, says in (("{ cty = 'x' }", '(did you mean "city"?)'), ("{ city = 3 }", "3 is not of type 'string'")):
        sidecar = f'expect.tool = {{ name = "f", args = {args} }}\n{tool}'
        (problem,) = found(write_suite({"p.txt": "?", "p.toml": sidecar}))
        assert says in problem


def test_the_linter_names_controls_and_images_that_do_not_serve(write_suite: WriteSuite, tmp_path: Path) -> None:
    folder = write_suite({"p.txt": "?", "p.png": "red_square.png", "p.toml": '[controls]\nswap = "p.png"\n'})
    assert found(folder) == ["p: the swap control shows the very images of the case."]
    (folder / "p.png").rename(tmp_path / "outside.png")
    (folder / "p.toml").write_text('images = "../outside.png"')
    assert any(problem.startswith("warning p: ") and "outside the suite" in problem for problem in found(folder))


SEES = {"p.png": "red_square.png"}
GREEDY = "temperature = 0.0\n"


@pytest.mark.parametrize(
    ("sidecar", "says"),
    [
        ('expect.regex = "."', "p: nothing could fail the check of quick and full (/./)."),
        ("expect.json_schema = {}", "p: any JSON would pass the schema of quick and full: say what it holds."),
        (
            'expect.json_schema = { type = "object" }',
            "warning p: any object would pass the schema of quick and full: list its properties.",
        ),
        (
            'expect.json_schema = { type = "string", format = "colour" }',
            'warning p: the format "colour" is not checked.',
        ),
        (
            'expect.json_schema = { "$ref" = "#" }',
            "p: the schema of quick and full cannot be used: the schema refers to itself without end.",
        ),
        (
            'expect.regex = "^(a|aa)+$"',
            "p: /^(a|aa)+$/ tries too many ways to match: it would be given up on long answers.",
        ),
        (
            f'expect = "a"\n{GREEDY}repeats = 5',
            "warning p: repeats = 5 at temperature 0 asks the same 5 times: they count once.",
        ),
        (f'expect = "a"\n{GREEDY}top_k = 3', 'warning "top_k" has no effect here: at temperature 0 nothing is drawn.'),
        (f'expect = "a"\n{GREEDY}seed = 3', 'warning "seed" has no effect here: at temperature 0 nothing is drawn.'),
        ('expect.regex = "[a-z]"', "warning p: almost any answer would pass /[a-z]/."),
        (
            'expect.json_schema = { type = "array" }',
            "warning p: any list would pass the schema of quick and full: say what its items are.",
        ),
        (
            "expect.json_schema = { type = 'object', minProperties = 1 }",
            "warning p: any object would pass the schema of quick and full: list its properties.",
        ),
        ("expect.json_schema = { not = {} }", "p: nothing could pass the schema of quick and full."),
        (
            "expect.json_schema = { properties = { a = { '$ref' = '#/$defs/b' } } }",
            "p: the schema of quick and full refers to #/$defs/b, which is not in it.",
        ),
        *(
            (
                f'expect.regex = "{pattern}"',
                f"p: /{pattern}/ tries too many ways to match: it would be given up on long answers.",
            )
            for pattern in ("(foo|foo)+$", "(Paris|paris|[Pp]aris)+$")
        ),
        (
            'expect = "red"\nxfail.full = { reason = "x", checks = "rad" }',
            'p: xfail names a check "rad" that there is not (did you mean "red"?).',
        ),
    ],
)
def test_the_linter_tells_of_what_proves_less_than_it_seems(write_suite: WriteSuite, sidecar: str, says: str) -> None:
    assert says in found(write_suite({"p.txt": "?", "p.toml": sidecar}))


def test_a_schema_that_names_what_it_wants_is_no_fault(write_suite: WriteSuite) -> None:
    sidecar = 'expect.json_schema = { type = "object", properties = { city = { type = "string" } } }'
    assert found(write_suite({"p.txt": "?", "p.toml": sidecar})) == []


def test_a_vision_case_without_controls_is_told(write_suite: WriteSuite) -> None:
    (problem,) = found(write_suite({"p.txt": "?", "p.toml": 'expect = "red"', **SEES}))
    assert problem.startswith("warning p: it shows images and no control asks whether they are seen")
    assert found(write_suite({"p.txt": "?", "p.toml": 'expect = "red"\ncontrols.blind = true', **SEES})) == []


ON_DISK = ["pocket/qwen3", "pocket/qwen2-vl", "mlx-community/Qwen3-0.6B-4bit-DWQ"]


@pytest.mark.parametrize(
    ("tiers", "says"),
    [
        (
            'quick = "pocket/qwen33"',
            'golden.toml:2: quick: there is no pocket model pocket/qwen33 (did you mean "pocket/qwen3"?).',
        ),
        (
            'quick = "mlx-community/Qwen3-0.6B-4bit-DQW"',
            "golden.toml:2: quick: mlx-community/Qwen3-0.6B-4bit-DQW is not on this disk "
            '(did you mean "mlx-community/Qwen3-0.6B-4bit-DWQ"?).',
        ),
        (
            'full = { text = "pocket/qwen3", vision = "pocket/qwen2-vl" }',
            "full.vision has no effect: no case shows an image.",
        ),
    ],
)
def test_models_that_there_are_not_are_told_with_their_line(write_suite: WriteSuite, tiers: str, says: str) -> None:
    folder = write_suite({"golden.toml": f"[tiers]\n{tiers}\n", "p.txt": "?"})
    assert any(str(problem).endswith(says) for problem in lint_folder(folder, ON_DISK)[1])


def test_a_tier_whose_models_are_all_elsewhere_is_told(write_suite: WriteSuite) -> None:
    tiers = '[tiers]\nquick = "mlx-community/gemma-3-27b-it-4bit"\nfull = ["org/elsewhere", "pocket/qwen3"]\n'
    (problem,) = lint_folder(write_suite({"golden.toml": tiers, "p.txt": "?"}), ON_DISK)[1]
    assert problem.message == (
        "quick: none of mlx-community/gemma-3-27b-it-4bit is on this disk: its cases would be skipped."
    )


def test_the_built_in_suite_has_no_fault(catalog: Catalog) -> None:
    assert lint(load_suite(BUILTIN), [info.id for info in catalog.list()]) == []
