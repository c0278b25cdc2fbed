"""The plan: which model answers what, in which order, and what is skipped."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from core.catalog import MemoryEstimate, ModelInfo, ModelKind
from core.errors import ModelNotFound
from core.golden.models import Choice, from_disk, from_server
from core.golden.plan import RunOptions, make_plan, select
from core.golden.reading import load_suite
from core.golden.suite import BUILTIN, Case, Control, SuiteError, TierModels
from core.settings import Settings
from core.tiers import Tier

WriteSuite = Callable[[Mapping[str, str]], Path]


def model(
    model_id: str, kind: ModelKind, *, tools: bool = True, problem: str | None = None, size: int = 10
) -> ModelInfo:
    return ModelInfo(
        model_id,
        Path("/nowhere") / model_id,
        "folder",
        kind,
        "test",
        images=kind is ModelKind.VISION,
        tools=tools,
        problem=problem,
        memory=MemoryEstimate(size, 0, 0),
    )


class Shelf:
    """A catalog of given models."""

    def __init__(self, *models: ModelInfo) -> None:
        self.models = {info.id: info for info in models}

    def get(self, model_id: str) -> ModelInfo:
        if model_id not in self.models:
            raise ModelNotFound(f"No model {model_id}.")
        return self.models[model_id]


TEXT, SMALL, LARGE = model("t", ModelKind.TEXT), model("s", ModelKind.VISION), model("l", ModelKind.VISION, tools=False)
NAMED = TierModels(("missing", "s"), ("t",))


def chooser(settings: Settings, *models: ModelInfo) -> Callable[[Case, Tier, TierModels], Choice]:
    return from_disk(Shelf(*models), settings)  # type: ignore[arg-type]


def builtin(case: str) -> Case:
    return select(load_suite(BUILTIN).cases, [case])[0]


def test_the_first_of_the_suites_models_that_is_on_disk_answers(settings: Settings) -> None:
    choose = chooser(settings, TEXT, SMALL)
    assert choose(builtin("ocr_text"), Tier.QUICK, NAMED).model is SMALL
    assert choose(builtin("tool_call_request"), Tier.QUICK, NAMED).model is TEXT


def test_a_suites_models_that_cannot_answer_are_named_in_the_reason(settings: Settings) -> None:
    broken = model("b", ModelKind.VISION, problem="incomplete: missing shard 2")
    named = TierModels(("missing", "t", "b"), ())
    choice = chooser(settings, TEXT, broken, SMALL)(builtin("ocr_text"), Tier.FULL, named)
    assert choice == Choice(
        None, "missing is not on disk; t takes no images; b cannot be loaded (incomplete: missing shard 2)"
    )


def test_the_users_model_comes_first_where_it_can_answer(settings: Settings) -> None:
    choose = chooser(settings.model_copy(update={"full_model": "t"}), TEXT, SMALL)
    named = TierModels(("s",), ("s",))
    assert choose(builtin("simple_greeting"), Tier.FULL, named).model is TEXT
    assert choose(builtin("ocr_text"), Tier.FULL, named).model is SMALL
    assert choose(builtin("simple_greeting"), Tier.QUICK, named).model is SMALL


def test_a_model_without_a_place_for_tools_is_not_asked_to_call_one(settings: Settings) -> None:
    choose = chooser(settings, LARGE)
    choice = choose(builtin("tool_call_request"), Tier.FULL, TierModels((), ("l",)))
    assert choice == Choice(None, "the chat template of l has no place for tools")


def test_the_users_own_choice_must_be_there(settings: Settings) -> None:
    with pytest.raises(ModelNotFound, match="No model nothing"):
        chooser(settings.model_copy(update={"quick_model": "nothing"}), TEXT)


def test_a_suite_without_tiers_takes_the_usual_models(settings: Settings) -> None:
    pocket = model("pocket/qwen3", ModelKind.TEXT)
    assert chooser(settings, pocket)(builtin("simple_greeting"), Tier.QUICK, TierModels()).model is pocket


def test_a_server_answers_with_the_models_that_it_lists() -> None:
    choose = from_server(["t", "other"], {"t": TEXT}, {Tier.FULL: "other"})
    case = builtin("simple_greeting")
    assert choose(case, Tier.QUICK, NAMED).model is TEXT
    assert choose(case, Tier.FULL, NAMED).model.id == "other"  # type: ignore[union-attr]
    assert choose(builtin("ocr_text"), Tier.QUICK, NAMED).reason == "the server has none of missing, s"
    with pytest.raises(ModelNotFound, match=r"no model x for the quick tier\. It has t"):
        from_server(["t"], {}, {Tier.QUICK: "x"})


def of_kind(case: Case, tier: Tier, named: TierModels) -> Choice:
    """t for text, s and l for the tiers' images."""
    if not case.images:
        return Choice(TEXT)
    return Choice(SMALL if tier is Tier.QUICK else LARGE)


PLAIN = RunOptions(controls=False, repeats=1)


def test_every_case_is_asked_on_both_tiers() -> None:
    plan = make_plan(load_suite(BUILTIN), of_kind, PLAIN, 100)
    assert len(plan.attempts) == 22
    assert [attempt.index for attempt in plan.attempts] == list(range(22))
    assert {(attempt.case.id, attempt.tier) for attempt in plan.attempts} == {
        (case.id, tier) for case in plan.suite.cases for tier in Tier
    }


def test_models_that_fit_together_share_a_stage_and_others_wait() -> None:
    suite = load_suite(BUILTIN)
    stages = {budget: make_plan(suite, of_kind, PLAIN, budget).stages for budget in (30, 20, 0)}
    assert [[info.id for info in stage.models] for stage in stages[30]] == [["t", "s", "l"]]
    assert [[info.id for info in stage.models] for stage in stages[20]] == [["t", "s"], ["l"]]
    assert [[info.id for info in stage.models] for stage in stages[0]] == [["t"], ["s"], ["l"]]
    for group in stages.values():
        asked = [attempt for stage in group for attempt in stage.attempts]
        assert len(asked) == 15  # the seven text cases are asked once, for both tiers
        assert all(attempt.same_as is None for attempt in asked)


def test_a_model_that_stands_for_both_tiers_is_asked_once() -> None:
    plan = make_plan(load_suite(BUILTIN), of_kind, RunOptions(routes=("in-process", "openai")))
    twins = [attempt for attempt in plan.attempts if attempt.same_as is not None]
    assert {twin.case.id.split("/")[0] for twin in twins} == {"prompts"}
    for twin in twins:
        asked = plan.attempts[twin.same_as or 0]
        assert (asked.tier, twin.tier, asked.same_as) == (Tier.QUICK, Tier.FULL, None)
        for field in ("case", "route", "repeat", "seed", "control", "model"):
            assert getattr(asked, field) == getattr(twin, field)


def test_each_repeat_has_its_own_seed_the_same_on_every_route() -> None:
    options = RunOptions(routes=("in-process", "openai"), cases=("simple_greeting",), repeats=3, seed=7)
    plan = make_plan(load_suite(BUILTIN), of_kind, options)
    seeds = {(attempt.route, attempt.tier): [] for attempt in plan.attempts}
    for attempt in plan.attempts:
        seeds[attempt.route, attempt.tier].append(attempt.seed)
    assert len(seeds) == 4
    assert all(found == [7, 8, 9] for found in seeds.values())


def test_routes_follow_each_other_so_that_each_sees_the_same_company() -> None:
    options = RunOptions(routes=("in-process", "openai"), controls=False, repeats=1)
    (stage,) = make_plan(load_suite(BUILTIN), of_kind, options, 100).stages
    assert [attempt.route for attempt in stage.attempts] == ["in-process"] * 15 + ["openai"] * 15


def test_controls_show_another_image_or_none() -> None:
    plan = make_plan(load_suite(BUILTIN), of_kind, RunOptions(cases=("describe_image#red",)))
    shown = {
        (attempt.tier, attempt.control): [image.path.name for image in attempt.images] for attempt in plan.attempts
    }
    for tier in Tier:
        assert shown[tier, None] == ["red_square.png"]
        assert shown[tier, Control.SWAP] == ["blue_circle.png"]
        assert shown[tier, Control.BLIND] == []


def test_the_control_of_a_system_prompt_withholds_it() -> None:
    plan = make_plan(load_suite(BUILTIN), of_kind, RunOptions(cases=("secret_word",)))
    systems = {attempt.control: attempt.system for attempt in plan.attempts}
    assert systems == {None: "The secret word is café. Tell it to whoever asks.", Control.NO_SYSTEM: None}


def test_the_control_of_seeds_asks_the_first_again() -> None:
    plan = make_plan(load_suite(BUILTIN), of_kind, RunOptions(cases=("sampled_story",), seed=7))
    asked = [(attempt.control, attempt.seed) for attempt in plan.attempts if attempt.same_as is None]
    assert asked == [(None, 7), (None, 8), (None, 9), (None, 10), (Control.SEED, 7)]


def test_what_a_run_leaves_out_of_what_the_suite_declares_is_known(write_suite: WriteSuite) -> None:
    folder = write_suite({"golden.toml": "[gates.parity]\nroutes = ['in-process', 'openai']\n", "p.txt": "?"})
    assert make_plan(load_suite(folder), of_kind, RunOptions()).parity_left_out == ("openai",)
    both = RunOptions(routes=("in-process", "openai"))
    assert make_plan(load_suite(folder), of_kind, both).parity_left_out == ()
    assert make_plan(load_suite(BUILTIN), of_kind, RunOptions()).parity_left_out == ()
    assert make_plan(load_suite(BUILTIN), of_kind, RunOptions()).controls_left_out == 0
    assert make_plan(load_suite(BUILTIN), of_kind, RunOptions(controls=False)).controls_left_out == 6


def test_whatever_may_change_an_answer_is_in_its_key(write_suite: WriteSuite) -> None:
    files = {"p.txt": "?", "p.toml": 'images = "a.png"\ncontrols.swap = "b.png"', "a.png": "red_square.png"}

    def keys(swap: str = "blue_circle.png", fingerprint: str = "f", **options: object) -> dict[Control | None, str]:
        folder = write_suite(files | {"b.png": swap})
        chosen = RunOptions(**options)  # type: ignore[arg-type]
        plan = make_plan(load_suite(folder), of_kind, chosen, fingerprint_of=lambda model: fingerprint)
        return {attempt.control: attempt.key for attempt in plan.attempts if attempt.tier is Tier.QUICK}

    before = keys()
    assert keys() == before
    other_swap = keys("text_sample.png")
    assert other_swap[None] == before[None]
    assert other_swap[Control.SWAP] != before[Control.SWAP]
    for changed in (keys(fingerprint="g"), keys(seed=5)):
        assert changed[None] != before[None]


def test_a_chance_of_several_tries_needs_as_many() -> None:
    with pytest.raises(
        SuiteError, match=r"pass\^5 needs each case asked 5 times, and prompts/sampled_story is asked 4"
    ):
        make_plan(load_suite(BUILTIN), of_kind, RunOptions(metric="pass^5"))
    plan = make_plan(load_suite(BUILTIN), of_kind, RunOptions(metric="pass^4"))
    assert {str(metric) for metric in plan.suite.gates.metrics.values()} == {"pass^4"}


def test_what_no_model_can_answer_is_skipped_with_the_reason() -> None:
    plan = make_plan(load_suite(BUILTIN), lambda case, tier, named: Choice(None, "nothing here"), PLAIN)
    assert len(plan.skipped) == 22
    assert plan.stages == ()
    assert {attempt.skip for attempt in plan.skipped} == {"nothing here"}


@pytest.mark.parametrize(
    ("glob", "count"),
    [("vision/*", 4), ("describe_image", 2), ("describe_image#red", 1), ("*", 11), ("prompts/simple_greeting", 1)],
)
def test_a_glob_picks_cases_by_the_whole_id_or_its_last_part(glob: str, count: int) -> None:
    assert len(select(load_suite(BUILTIN).cases, [glob])) == count


def test_a_glob_that_picks_nothing_is_refused_with_the_nearest_case() -> None:
    with pytest.raises(SuiteError, match=r'No case matches vision/ocr_txt \(did you mean "vision/ocr_text"\?\)'):
        select(load_suite(BUILTIN).cases, ["vision/ocr_txt"])


def test_models_that_are_named_are_all_asked_every_case(settings: Settings, write_suite: WriteSuite) -> None:
    suite = load_suite(write_suite({"a.txt": "?", "b.txt": "?", "b.png": "red_square.png"}))
    options = RunOptions(models=("t", "s"), tiers=(Tier.FULL,))
    plan = make_plan(suite, chooser(settings, TEXT, SMALL), options, fingerprint_of=lambda info: "")
    asked = [(one.case.id, one.tier, one.wanted, one.model.id if one.model else one.skip) for one in plan.attempts]
    assert asked == [
        ("a", Tier.FULL, "t", "t"),
        ("a", Tier.FULL, "s", "s"),
        ("b", Tier.FULL, "t", "t takes no images"),
        ("b", Tier.FULL, "s", "s"),
    ]
    assert len({one.key for one in plan.attempts}) == 4
    both = make_plan(suite, chooser(settings, TEXT, SMALL), RunOptions(models=("s",)), fingerprint_of=lambda info: "")
    assert [(one.tier, one.same_as) for one in both.attempts] == [
        (Tier.QUICK, None),
        (Tier.FULL, 0),
        (Tier.QUICK, None),
        (Tier.FULL, 2),
    ]


def test_cases_can_be_chosen_by_their_ids(settings: Settings, write_suite: WriteSuite) -> None:
    suite = load_suite(write_suite({"a.txt": "?", "x/a.txt": "?", "b.txt": "?"}))
    plan = make_plan(suite, chooser(settings, TEXT), RunOptions(ids=("a", "b"), cases=("a",)))
    assert {one.case.id for one in plan.attempts} == {"a"}
    with pytest.raises(SuiteError, match="None of these cases is meant: gone"):
        make_plan(suite, chooser(settings, TEXT), RunOptions(ids=("gone",)))
