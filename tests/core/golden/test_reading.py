"""A suite on disk: what is read from it, and how its faults are named."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from PIL import Image

from core.calls.events import FinishReason
from core.golden.checks import Answer, check
from core.golden.expressions import SMOKE, AllOf, AnyOf, Word
from core.golden.reading import load_suite, read_suite
from core.golden.suite import Control, KnownFailure, Limits, SuiteError, TierModels
from core.tiers import Tier

WriteSuite = Callable[[Mapping[str, str]], Path]


def faults(folder: Path) -> list[str]:
    """Every problem as `file:line: message`, the file by its name in the suite."""
    return [str(problem).replace(f"{folder}/", "") for problem in read_suite(folder)[1]]


def test_a_text_file_alone_is_a_smoke_case(write_suite: WriteSuite) -> None:
    suite = load_suite(write_suite({"hello.txt": "Hello there!\n"}))
    (case,) = suite.cases
    assert (case.id, case.prompt, case.images) == ("hello", "Hello there!", ())
    assert case.expected(Tier.QUICK) == case.expected(Tier.FULL) == SMOKE
    assert all(item.passed for item in check(SMOKE, Answer("Hi.")))
    assert not all(item.passed for item in check(SMOKE, Answer("  ")))
    assert not all(item.passed for item in check(SMOKE, Answer("Hi", FinishReason.LENGTH)))


def test_an_image_of_the_same_stem_belongs_to_the_prompt(write_suite: WriteSuite) -> None:
    (case,) = load_suite(write_suite({"v/cat.txt": "What?", "v/cat.png": "red_square.png"})).cases
    (image,) = case.images
    assert (image.path.name, image.width, image.height) == ("cat.png", 256, 256)
    assert len(image.sha256) == 64


def test_a_sidecar_says_what_is_expected_of_each_tier(write_suite: WriteSuite) -> None:
    sidecar = 'system = "Be brief."\nexpect.quick = ["a", "b"]\nexpect.full = { all = ["a", "b"] }\n'
    (case,) = load_suite(write_suite({"p.txt": "?", "p.toml": sidecar})).cases
    assert case.system == "Be brief."
    assert case.expected(Tier.QUICK) == AnyOf((Word("a"), Word("b")))
    assert case.expected(Tier.FULL) == AllOf((Word("a"), Word("b")))


def test_an_expectation_without_a_tier_holds_for_both(write_suite: WriteSuite) -> None:
    (case,) = load_suite(write_suite({"p.txt": "?", "p.toml": 'expect = "paris"'})).cases
    assert case.expected(Tier.QUICK) == case.expected(Tier.FULL) == Word("paris")


def test_cases_share_a_prompt_and_override_the_sidecar_which_overrides_the_defaults(write_suite: WriteSuite) -> None:
    sidecar = """
        images = "red_square.png"
        temperature = 0.5
        expect.quick = "shape"
        [[case]]
        id = "one"
        [[case]]
        id = "two"
        temperature = 0.7
        seed = 9
        images = ["blue_circle.png", "red_square.png"]
        expect.full = "circle"
    """
    suite = load_suite(
        write_suite(
            {
                "golden.toml": "[defaults]\ntemperature = 0.1\nmax_tokens = 7\nrepeats = 3\n",
                "p.txt": "?",
                "p.toml": sidecar,
                "q.txt": "??",
                "red_square.png": "red_square.png",
                "blue_circle.png": "blue_circle.png",
            }
        )
    )
    one, two, plain = suite.cases
    assert [case.id for case in suite.cases] == ["p#one", "p#two", "q"]
    assert [case.sampling.temperature for case in suite.cases] == [0.5, 0.7, 0.1]
    assert [case.sampling.max_tokens for case in suite.cases] == [7, 7, 7]
    assert [case.repeats for case in suite.cases] == [3, 3, 3]
    assert (one.seed, two.seed) == (0, 9)
    assert [image.path.name for image in two.images] == ["blue_circle.png", "red_square.png"]
    assert two.expected(Tier.QUICK) == Word("shape")
    assert two.expected(Tier.FULL) == Word("circle")
    assert plain.images == ()


def test_tools_limits_and_expected_failures_are_read(write_suite: WriteSuite) -> None:
    sidecar = """
        expect.tool = "now"
        limits.total_s = 9
        limits.full = { ttft_s = 8 }
        xfail = { anthropic = "no tools there" }
        [[tools]]
        name = "now"
        description = "The time"
    """
    (case,) = load_suite(write_suite({"p.txt": "?", "p.toml": sidecar})).cases
    assert [tool.name for tool in case.tools] == ["now"]
    assert case.limits == {Tier.QUICK: Limits(total_s=9), Tier.FULL: Limits(ttft_s=8, total_s=9)}
    assert case.xfail == {"anthropic": KnownFailure("no tools there")}


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ('xfail = "weak"', dict.fromkeys(Tier, KnownFailure("weak"))),
        ('xfail.full = { reason = "weak", checks = "red" }', {"full": KnownFailure("weak", ("red",))}),
        ('xfail = { reason = "weak", checks = ["a", "b"] }', dict.fromkeys(Tier, KnownFailure("weak", ("a", "b")))),
    ],
)
def test_a_known_failure_may_name_its_checks(
    write_suite: WriteSuite, written: str, read: Mapping[str, KnownFailure]
) -> None:
    (case,) = load_suite(write_suite({"p.txt": "?", "p.toml": written})).cases
    assert case.xfail == read


def test_what_is_expected_may_change_and_the_question_stays_the_same(write_suite: WriteSuite) -> None:
    files = {"p.txt": "?", "p.toml": 'expect = "red"', "q.txt": "?", "q.toml": "temperature = 0.1"}
    before = load_suite(write_suite(files)).cases
    after = load_suite(write_suite(files | {"p.toml": 'expect = "blue"', "q.toml": "temperature = 0.2"})).cases
    assert (before[0].ask_sha == after[0].ask_sha, before[0].sha == after[0].sha) == (True, False)
    assert before[1].ask_sha != after[1].ask_sha


def test_a_picture_beside_a_prompt_is_shown_whatever_the_case_of_its_ending(write_suite: WriteSuite) -> None:
    folder = write_suite({"p.txt": "?", "p.png": "red_square.png"})
    (folder / "p.png").rename(folder / "p.PNG")
    assert [image.path.name for image in load_suite(folder).cases[0].images] == ["p.PNG"]


def test_a_picture_of_a_phone_that_holds_several_is_a_jpeg(write_suite: WriteSuite) -> None:
    folder = write_suite({"p.txt": "?"})
    frames = [Image.new("RGB", (40, 30), colour) for colour in ("red", "blue")]
    frames[0].save(folder / "p.MPO", format="MPO", save_all=True, append_images=frames[1:])
    (case,) = load_suite(folder).cases
    assert [(image.path.name, image.width, image.height) for image in case.images] == [("p.MPO", 40, 30)]


def test_a_picture_that_is_not_read_is_told(write_suite: WriteSuite) -> None:
    folder = write_suite({"p.txt": "?"})
    (folder / "p.HEIC").write_bytes(b"....ftypheic")
    assert faults(folder) == [
        "p.txt: p.HEIC lies beside the prompt and is not shown: HEIC is not read. Convert it to PNG or JPEG."
    ]


def test_a_picture_whose_name_is_nearly_the_prompts_is_told(write_suite: WriteSuite) -> None:
    folder = write_suite({"pic.txt": "?", "PIC.png": "red_square.png"})
    assert faults(folder) == [
        "pic.txt: PIC.png lies beside the prompt and is not shown: its name is not pic, to the letter."
    ]


def test_prompts_may_end_in_capitals(write_suite: WriteSuite) -> None:
    suite = load_suite(write_suite({"p.TXT": "?", "p.toml": 'expect = "a"'}))
    assert [(case.id, case.prompt) for case in suite.cases] == [("p", "?")]


def test_a_path_may_begin_at_home(write_suite: WriteSuite, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_suite({"p.txt": "?", "p.toml": 'images = "~/red.png"', "home/red.png": "red_square.png"})
    monkeypatch.setenv("HOME", str(folder / "home"))
    assert [image.path for image in load_suite(folder).cases[0].images] == [folder / "home" / "red.png"]


def test_keys_that_no_case_goes_by_are_told(write_suite: WriteSuite) -> None:
    files = {
        "golden.toml": "[defaults]\ntemperature = 0.5\nmax_tokens = 9\n",
        "p.txt": "?",
        "p.toml": 'expect = "a"\nseed = 3\n[[case]]\nid = "a"\nseed = 1\ntemperature = 0.1\nexpect = "b"\n',
    }
    assert faults(write_suite(files)) == [
        'p.toml:1: "expect" has no effect here: every case says its own.',
        'p.toml:2: "seed" has no effect here: every case says its own.',
        'golden.toml:2: "temperature" has no effect here: every case says its own.',
    ]


def test_tiers_name_models_for_both_kinds_or_for_each(write_suite: WriteSuite) -> None:
    golden = '[tiers]\nquick = ["a", "b"]\nfull = { vision = "v", text = ["t"] }\n'
    suite = load_suite(write_suite({"golden.toml": golden, "p.txt": "?"}))
    assert suite.tiers == {
        Tier.QUICK: TierModels(("a", "b"), ("a", "b")),
        Tier.FULL: TierModels(("v",), ("t",)),
    }


def test_swap_takes_the_images_of_other_cases_first_those_of_the_same_prompt(write_suite: WriteSuite) -> None:
    sidecar = """
        [controls]
        swap = true
        blind = true
        [[case]]
        id = "red"
        images = "i/red_square.png"
        [[case]]
        id = "blue"
        images = "i/blue_circle.png"
    """
    files = {
        "a.txt": "?",
        "a.toml": 'images = "i/text_sample.png"',
        "p.txt": "?",
        "p.toml": sidecar,
        **{f"i/{name}.png": f"{name}.png" for name in ("red_square", "blue_circle", "text_sample")},
    }
    _, red, blue = load_suite(write_suite(files)).cases
    assert [image.path.name for image in red.swap] == ["blue_circle.png"]
    assert [image.path.name for image in blue.swap] == ["red_square.png"]
    assert red.controls == blue.controls == (Control.SWAP, Control.BLIND)


def test_a_case_changes_its_sha_with_its_content_only(write_suite: WriteSuite) -> None:
    files = {"p.txt": "?", "p.toml": 'expect = "a"', "q.txt": "!"}
    before = load_suite(write_suite(files))
    again = load_suite(write_suite(files))
    after = load_suite(write_suite(files | {"p.toml": 'expect = "b"'}))
    assert [case.sha for case in before.cases] == [case.sha for case in again.cases]
    assert before.cases[0].sha != after.cases[0].sha
    assert before.cases[1].sha == after.cases[1].sha
    assert before.sha == again.sha != after.sha


def test_accepted_answers_and_hidden_folders_hold_no_prompts(write_suite: WriteSuite) -> None:
    files = {"p.txt": "?", "accepted/p@m.txt": "x", ".git/x.txt": "x", "_old/x.txt": "x"}
    assert [case.id for case in load_suite(write_suite(files)).cases] == ["p"]


def test_every_fault_is_named_with_file_line_and_nearest_key(write_suite: WriteSuite) -> None:
    folder = write_suite(
        {
            "golden.toml": "format = 1\n[defaults]\ntemprature = 0\nmax_tokens = 0\n[tiers]\nquick = { vison = [] }\n",
            "p.txt": "?",
            "p.toml": 'system = "x"\nexpect.quik = "a"\n',
            "q.txt": "?",
            "q.toml": 'expect = { all = ["a",\n  { regexp = "b" }] }\nimages = "red_sqare.png"\n',
            "r.toml": "",
            "red_square.png": "red_square.png",
        }
    )
    assert faults(folder) == [
        "golden.toml:4: defaults.max_tokens cannot be 0: input should be greater than or equal to 1.",
        'golden.toml:3: There is no key "temprature" here (did you mean "temperature"?).',
        'golden.toml:6: There is no key "vison" here (did you mean "vision"?).',
        'r.toml: The sidecar has no prompt: there is no "r.txt" (known: golden, p, q).',
        'p.toml:2: "quik" is neither a tier nor an operator (did you mean "quick"?).',
        'q.toml:2: There is no operator "regexp" (did you mean "regex"?).',
        'q.toml:3: There is no image red_sqare.png (did you mean "red_square.png"?).',
    ]


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({"golden.toml": "[defaults\n", "p.txt": "?"}, "golden.toml:1: This is not TOML"),
        ({"golden.toml": "format = 2\n", "p.txt": "?"}, "golden.toml:1: format cannot be 2"),
        ({"p.txt": " \n"}, "p.txt: The prompt is empty."),
        ({"readme.md": "nothing"}, "There is no .txt file in the suite"),
        ({"p.txt": "?", "p.png": "red_square.png", "p.toml": "[controls]\nswap = true"}, "finds no other image"),
        ({"p.txt": "?", "p.toml": "controls.blind = true"}, "p.toml:1: The controls swap and blind need an image"),
        (
            {"p.txt": "?", "p.toml": "controls.no_system = true"},
            "p.toml:1: The control no_system needs a system prompt",
        ),
        (
            {"p.txt": "?", "p.toml": "controls.seed = true\ntemperature = 0.0\nrepeats = 2"},
            "needs a temperature over 0",
        ),
        ({"p.txt": "?", "p.toml": "controls.seed = true\ntemperature = 0.5"}, "needs repeats = 2 at least"),
        (
            {"golden.toml": "[gates]\nfull.metric = 'pass~3'", "p.txt": "?"},
            "full.metric cannot be 'pass~3': a metric is",
        ),
        ({"p.txt": "?", "p.toml": "expect.regex = '(a'"}, "cannot be read"),
        ({"golden.toml": "[gates.parity]\nroutes = ['openai']", "p.txt": "?"}, "gates.parity.routes cannot be"),
        ({"p.txt": "?", "p.toml": '[[case]]\nid = "a"\n[[case]]\nid = "a"'}, 'p.toml:4: The id "a" is taken.'),
        ({"p.txt": "?", "p.toml": "[[case]]\nseed = 1"}, 'p.toml:1: "id" is missing.'),
        ({"p.txt": "?", "p.toml": 'expect.quick = "a"\nexpect.any = ["b"]'}, "Beside a tier stand only tiers"),
        ({"p.txt": "?", "p.toml": "[controls]\nswap = 3"}, "p.toml:2: controls.swap cannot be 3"),
        (
            {"p.txt": "?", "p.toml": 'tool_choice = "g"\n[[tools]]\nname = "f"'},
            'tool_choice is auto, none, required, or a tool of the case: "g" is none',
        ),
        (
            {"p.txt": "?", "p.toml": 'tool_choice = "required"'},
            "p.toml:1: tool_choice chooses among tools, and the case offers none",
        ),
        (
            {"p.txt": "?", "p.toml": 'json_schema = { type = "objekt" }'},
            "p.toml:1: json_schema is no JSON schema",
        ),
        (
            {"p.txt": "?", "p.toml": "json_schema = { not = {} }"},
            "cannot be held while an answer is written",
        ),
        (
            {"p.txt": "?", "p.toml": '[[tools]]\nname = "f"\nparameters = { type = "objekt" }'},
            "p.toml:3: The parameters of f are no JSON schema",
        ),
        (
            {"p.txt": "?", "p.toml": '[[tools]]\nname = "f"\nstrict = true\nparameters = { not = {} }'},
            "cannot be held while an answer is written",
        ),
    ],
)
def test_a_fault_is_a_sentence(write_suite: WriteSuite, files: Mapping[str, str], says: str) -> None:
    found = faults(write_suite(files))
    assert len(found) == 1
    assert says in found[0]


def test_an_image_that_is_none_is_named(write_suite: WriteSuite) -> None:
    folder = write_suite({"p.txt": "?"})
    (folder / "p.png").write_bytes(b"no image")
    assert "p.png is not a readable PNG" in faults(folder)[0]


def test_text_that_is_not_utf8_is_named(write_suite: WriteSuite) -> None:
    folder = write_suite({"p.txt": "?"})
    (folder / "p.txt").write_bytes(b"caf\xe9 au lait")
    assert "p.txt: The file is not UTF-8 text" in faults(folder)[0]


def test_gates_are_read_and_say_nothing_of_what_is_not_written(write_suite: WriteSuite) -> None:
    folder = write_suite({"golden.toml": "[gates]\nfull = { pass = 0.5, max_regressions = 0 }\n", "p.txt": "?"})
    suite = load_suite(folder)
    assert suite.gates.passing == {Tier.QUICK: 1.0, Tier.FULL: 0.5}
    assert suite.gates.max_regressions == {Tier.FULL: 0}
    assert faults(folder) == []


def test_loading_a_faulty_suite_raises_with_the_first_fault_and_all_problems(write_suite: WriteSuite) -> None:
    folder = write_suite({"p.txt": "?", "p.toml": "a = 1\nb = 2\n"})
    with pytest.raises(SuiteError, match=r"p\.toml:1: .* \(1 of 2 faults\)") as caught:
        load_suite(folder)
    assert len(caught.value.problems) == 2
    with pytest.raises(SuiteError, match="does not exist"):
        load_suite(folder / "nothing")
    with pytest.raises(SuiteError, match="is a file"):
        load_suite(folder / "p.txt")
