"""Reports of a kept run, whatever models said in it."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest

from core.golden.baselines.files import Accepted, path_of, write_accepted
from core.golden.compare.change import Change
from core.golden.compare.sides import part_of
from core.golden.reading import load_suite
from core.golden.reports.junit import junit
from core.golden.reports.page import page
from core.golden.reports.report import Report, report_of
from core.golden.reports.text import markdown, table
from core.golden.reports.write import NoSuchReport, writer_for
from core.golden.results import Attempt, Verdict
from tests.core.golden.records import attempt
from tests.tui.cli.golden_places import keep_run

HOSTILE = '=1+1 </pre><script>alert(1)</script> ```` | "x" \x1b[31m\x00\ufffe\ud800 ]]> <img src=http://a.example/x>'

WriteSuite = Callable[[Mapping[str, str]], Path]


@pytest.fixture
def report(write_suite: WriteSuite, tmp_path: Path) -> Report:
    """Of a case with an image that fails with a hostile answer and changed, a known failure, a skip and a control."""
    files = {
        "cat.txt": "What is this?",
        "cat.png": "text_sample.png",
        "cat.toml": 'expect = "cat"\ncontrols.blind = true',
    }
    folder = write_suite({**files, "b.txt": "Say b.", "c.txt": "Say c."})
    suite = load_suite(folder)
    case = {one.id: one for one in suite.cases}["cat"]
    key = ("cat", "m", 0)
    write_accepted(suite, Accepted(path_of(folder, key), *key, case.ask_sha, "a black cat"))

    def one(name: str, answer: str, verdict: Verdict, **changes: object) -> Attempt:
        asked = {found.id: found.ask_sha for found in suite.cases}[name]
        return attempt(answer, verdict, case=name, ask_sha=asked, key=f"{name}{changes}", **changes)

    run = keep_run(
        tmp_path / "data",
        folder,
        one("cat", HOSTILE, Verdict.FAIL, why="no cat <b>"),
        one("cat", "a cat", Verdict.FAIL, control="blind", why="the check holds although no image was shown"),
        one("b", "c", Verdict.XFAIL, why="cannot spell"),
        one("c", "", Verdict.SKIP, why="no model"),
    )
    return report_of(run)


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def test_the_page_holds_everything_and_runs_nothing_of_an_answer(report: Report) -> None:
    text = page(report)
    text.encode()
    tags = Tags()
    tags.feed(text)
    names = [name for name, _ in tags.found]
    assert names.count("script") == 1
    (image,) = [about for name, about in tags.found if name == "img"]
    assert str(image["src"]).startswith("data:image/webp;base64,")
    assert "&lt;script&gt;alert(1)" in text
    assert "<del>" in text
    assert "<ins>" in text
    assert "default-src &#39;none&#39;" in text or "default-src 'none'" in text
    assert "prefers-color-scheme: dark" in text
    assert "\x1b" not in text


def test_junit_tells_failures_known_failures_and_skips_apart(report: Report) -> None:
    root = ElementTree.fromstring(junit(report).encode())
    assert (root.get("tests"), root.get("failures"), root.get("skipped"), root.get("errors")) == ("4", "2", "2", "0")
    cases = {one.get("name"): one for one in root.iter("testcase")}
    assert cases.keys() == {"cat", "cat [blind]", "b", "c"}
    known = cases["b"].find("skipped")
    assert known is not None
    assert known.get("message") == "known failure: cannot spell"
    out = cases["cat"].find("system-out")
    assert out is not None
    assert "cat.png]]" in str(out.text)


def test_markdown_fences_what_was_said(report: Report) -> None:
    text = markdown(report)
    text.encode()
    assert "`````text\n=1+1" in text
    assert "| cat | full | m | ❌ fail |  | " in text
    assert "<script" not in text.replace(HOSTILE.split(" ````")[0].split("=1+1 ")[1], "")


def test_a_table_has_a_row_for_each_attempt_and_no_formula(report: Report) -> None:
    rows = list(csv.DictReader(io.StringIO(table(report))))
    assert [row["verdict"] for row in rows] == ["fail", "fail", "xfail", "skip"]
    assert rows[0]["answer"].startswith("'=1+1")


def test_an_ending_that_no_report_has_is_named(tmp_path: Path) -> None:
    assert writer_for(Path("a.HTML")) is page
    with pytest.raises(NoSuchReport, match=r"\.md is Markdown"):
        writer_for(Path("report.pdf"))


def test_a_pass_by_graded_checks_is_marked_everywhere(tmp_path: Path) -> None:
    plain = attempt("red")
    checks = tuple(replace(one, graded=True) for one in plain.checks)
    report = report_of(keep_run(tmp_path / "data", tmp_path / "gone", replace(plain, checks=checks)))
    assert "pass (graded)" in markdown(report)
    assert "pass (graded)" in page(report)
    assert '<property name="graded" value="yes" />' in junit(report)
    assert next(csv.DictReader(io.StringIO(table(report))))["graded"] == "yes"


def test_a_run_stands_beside_another_one_with_the_swapped_image(write_suite: WriteSuite, tmp_path: Path) -> None:
    names = ("better", "worse", "other", "same")
    files = {f"{name}.txt": f"Say {name}." for name in names}
    cat = {"cat.txt": "?", "cat.png": "red_square.png", "cat.toml": 'expect = "red"\ncontrols.swap = "swapped.png"\n'}
    folder = write_suite({**files, **cat, "swapped.png": "blue_circle.png"})
    asked = {one.id: one.ask_sha for one in load_suite(folder).cases}

    def kept(*told: tuple[str, str, Verdict], control: str | None = None) -> list[Attempt]:
        return [
            attempt(text, verdict, case=name, ask_sha=asked.get(name, ""), key=f"{name}{control}", control=control)
            for name, text, verdict in told
        ]

    good, bad = Verdict.PASS, Verdict.FAIL
    before = kept(
        ("better", "no", bad), ("worse", "a b", good), ("other", "x y", good), ("same", "s", good), ("away", "?", good)
    )
    after = kept(("better", "yes", good), ("worse", "a c", bad), ("other", "x z", good), ("same", "s", good))
    after += kept(("cat", "blue", good), control="swap")
    base = keep_run(tmp_path / "data", folder, *before)
    run = keep_run(tmp_path / "data", folder, *after)
    report = report_of(run, part_of(base, ()))
    changes = {entry.case: entry.change for entry in report.entries if entry.change}
    assert changes == {
        "better": Change.IMPROVED,
        "worse": Change.REGRESSED,
        "other": Change.CHANGED,
        "same": Change.SAME,
    }
    assert report.gone == ("away",)
    text = page(report)
    assert f"Held against the run {base.id}: 1 regressed, 1 improved, 1 changed, 1 same" in text
    assert "answered there alone: away" in text
    for button in ('data-change="*" aria-pressed="false">any change 3', 'data-change="regressed"', '"improved"'):
        assert button in text
    assert "<del>b</del><ins>c</ins>" in text
    assert "shown instead: swapped.png, 256×256" in text
    assert text.count("data:image/webp") == 2
    assert f"| since {base.id} |" in markdown(report)
    assert "alone: away" in markdown(report)
    assert f'name="since {base.id}" value="regressed"' in junit(report)


def test_the_page_shows_the_answers_between_the_turns(tmp_path: Path) -> None:
    turns = (
        {
            "answer": "",
            "reasoning": "",
            "tool_calls": ({"name": "look", "arguments": {"at": "<b>"}},),
            "finish": "stop",
        },
        {"answer": "A cat.", "reasoning": "", "tool_calls": (), "finish": "stop"},
    )
    text = page(report_of(keep_run(tmp_path / "data", tmp_path / "gone", attempt("Yes.", turns=turns))))
    places = [text.index(said) for said in ("answer 1", "look(", "answer 2", "A cat.", "answer 3", "Yes.")]
    assert places == sorted(places)
    assert "<b>" not in text
    alone = page(report_of(keep_run(tmp_path / "data", tmp_path / "gone", attempt("Yes."))))
    assert "answer 1" not in alone
