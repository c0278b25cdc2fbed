"""Suites among what pytest collects, and what each of their cases came to."""

from __future__ import annotations

import base64
import mimetypes
import re
import shlex
import shutil
import tempfile
from collections.abc import Generator, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from pytest_assay.process import AssayFailed, ask, runs_in
from pytest_assay.text import answers, failure, place, plain

ATTEMPT = re.compile(r"\s*\d+/\d+ ")
"""How a line of a run begins that tells an answer."""
TIERS = ("quick", "full")
MOST_SHOWN_BYTES = 4_000_000
"""Of an image that goes into a page; a larger one is a link."""


class CaseFailed(Exception):
    """The case does not hold; the message is all there is to say of it."""


class Golden:
    """The hooks of a pytest run that has suites, and what Assay says of them."""

    def __init__(self, config: pytest.Config) -> None:
        if not hasattr(pytest, "Dir"):
            raise pytest.UsageError(f"--assay needs pytest 8 or later; this is {pytest.__version__}.")
        here = config.invocation_params.dir
        named = [(here / Path(one).expanduser()).resolve() for one in config.getoption("assay")]
        usual = [path.resolve() for path in config.getini("assay_suites")]
        for folder in (*named, *usual):
            if not folder.is_dir():
                raise pytest.UsageError(f"There is no suite {folder}: --assay and assay_suites name folders.")
        self.config = config
        self.suites = {*named, *usual}
        self.tiers: list[str] = list(dict.fromkeys(config.getoption("assay_tier")))
        self.models: list[str] = list(dict.fromkeys(config.getoption("assay_model")))
        self.args = [
            *config.getini("assay_args"),
            *(word for one in config.getoption("assay_args") for word in shlex.split(one)),
        ]
        self._told: dict[Path, Mapping[str, Any]] = {}
        told: Mapping[str, Any] | None = getattr(config, "workerinput", None)
        self._mine = told is None
        """Whether this process has the terminal, and is no worker of pytest-xdist."""
        self.folder = Path(tempfile.mkdtemp(prefix="assay-") if told is None else told["assay_folder"])
        self.chosen: dict[str, list[str]] = {} if told is None else told["assay_chosen"]
        """By a suite's folder, the cases of it that the command line names."""
        self._add_arguments(named, usual)

    def _add_arguments(self, named: Iterable[Path], usual: Iterable[Path]) -> None:
        """Have pytest look at the suites, too: at those of the ini file unless something else was asked for, and at
        none of which a case was named. pytest takes no `FOLDER::name`, so that those are noted, and the rest of the
        suite left out later."""
        here = self.config.invocation_params.dir
        args, asked = [], []
        for one in self.config.args:
            folder, _, case = one.partition("::")
            path = (here / folder).resolve()
            if case and path in self.suites:
                self.chosen.setdefault(str(path), []).append(case)
                one = folder
            asked.append(path)
            args.append(one)
        given = self.config.args_source is pytest.Config.ArgsSource.ARGS
        for path in dict.fromkeys([*named, *(() if given else usual)]):
            if not any(path.is_relative_to(other) for other in asked):
                args.append(str(path))
        self.config.args[:] = dict.fromkeys(args)

    # -- what is collected -------------------------------------------------------------------------------------------

    @pytest.hookimpl(tryfirst=True)
    def pytest_collect_directory(self, path: Path, parent: pytest.Collector) -> pytest.Collector | None:
        if path.resolve() not in self.suites:
            return None
        found: SuiteFolder = SuiteFolder.from_parent(parent, path=path)
        return found

    @pytest.hookimpl(tryfirst=True)
    def pytest_ignore_collect(self, collection_path: Path) -> bool | None:
        """A suite is looked at wherever it is, as in a hidden folder; prompts are no doctests, whatever their name."""
        path = collection_path.resolve()
        if any(suite.is_relative_to(path) for suite in self.suites):
            return False
        return True if path.suffix.lower() == ".txt" and not self.suites.isdisjoint(path.parents) else None

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Leave out what the command line does not mean of a suite of which it names cases. Raises UsageError where
        there is no such case."""
        mine = [one for one in items if isinstance(one, Case)]
        for suite, names in self.chosen.items():
            known = {name for one in mine if str(one.suite) == suite for name in (one.name, one.case["id"])}
            if known and (unknown := [name for name in names if name not in known]):
                raise pytest.UsageError(f"The suite {suite} has no case {unknown[0]}: assay golden list names them.")
        out: list[pytest.Item] = [one for one in mine if not self._is_chosen(one)]
        if out:
            self.config.hook.pytest_deselected(items=out)
            items[:] = [one for one in items if one not in out]

    def _is_chosen(self, item: Case) -> bool:
        names = self.chosen.get(str(item.suite))
        return names is None or item.name in names or item.case["id"] in names

    def cases(self, suite: Path) -> Iterator[tuple[str, str, str, Mapping[str, Any]]]:
        """Name, tier, model and table of each test of a suite; "" is every tier, and the tiers' own models."""
        for case in ask(self.folder, ["list", str(suite.resolve())], tell=_nothing)["cases"]:
            for tier in self.tiers or [""]:
                for model in self.models or [""]:
                    place = "-".join(filter(None, (tier, model)))
                    yield f"{case['id']}[{place}]" if place else case["id"], tier, model, case

    # -- what is run -------------------------------------------------------------------------------------------------

    def result(self, item: Case) -> Mapping[str, Any]:
        """The run of the item's suite, of all its cases that pytest will come to. Raises AssayFailed."""
        suite = item.suite
        if suite not in self._told:
            mine = [one for one in item.session.items if isinstance(one, Case) and one.suite == suite]
            words = ["run", str(suite), *self.args]
            for tier in TIERS:
                words += ["--tier", tier] if any(one.tier == tier for one in mine) else []
            for model in self.models:
                words += ["--model", model] if any(one.model == model for one in mine) else []
            ids = list(dict.fromkeys(one.case["id"] for one in mine))
            self._tell(f"assay golden {' '.join(words[:2])}: {len(ids)} case{'s' * (len(ids) != 1)}")
            self._told[suite] = ask(self.folder, words, ids, self._tell_attempt)
        return self._told[suite]

    def _tell(self, line: str) -> None:
        """A line for who waits, where this process has the terminal."""
        reporter = self.config.pluginmanager.getplugin("terminalreporter")
        capture = self.config.pluginmanager.getplugin("capturemanager")
        if reporter is not None and capture is not None and self._mine:
            with capture.global_and_fixture_disabled():
                reporter.ensure_newline()
                reporter.write_line(plain(line))

    def _tell_attempt(self, line: str) -> None:
        """With -v, each answer as it comes."""
        if self.config.option.verbose > 0 and ATTEMPT.match(line):
            self._tell(line)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Times are the case's own and not those of the run that answered all; images go into pytest-html's page."""
        report = yield
        if isinstance(item, Case):
            report.duration = sum(one["total_s"] for one in item.entries) if call.when == "call" else 0.0
            if self.config.pluginmanager.hasplugin("html") and (call.when == "call" or report.failed):
                extras = [_extra(image) for image in item.case["images"]]
                report.extras = [*getattr(report, "extras", []), *filter(None, extras)]  # type: ignore[attr-defined]
        return report

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """What each run came to as a whole, whichever process asked for it."""
        for told in runs_in(self.folder):
            outcome = told["run"].get("outcome", {})
            terminalreporter.section(f"assay: {plain(told['run'].get('suite', {}).get('name', ''))}")
            for line in (*outcome.get("reasons", ()), *outcome.get("notes", ())):
                terminalreporter.line(plain(line))
            terminalreporter.line(f"kept as {told['run'].get('id', 'nothing')}: assay golden review, compare, report")

    # -- with pytest-xdist -------------------------------------------------------------------------------------------

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Workers share what Assay says: whichever comes to a suite first has it run for all."""
        node.workerinput |= {"assay_folder": str(self.folder), "assay_chosen": self.chosen}

    def pytest_unconfigure(self) -> None:
        if self._mine:
            shutil.rmtree(self.folder, ignore_errors=True)


class SuiteFolder(pytest.Directory):
    """The folder of a suite: what else pytest finds in it, and its cases."""

    def collect(self) -> Iterable[pytest.Item | pytest.Collector]:
        assert isinstance(self.parent, pytest.Collector)
        kind = pytest.Package if (self.path / "__init__.py").is_file() else pytest.Dir
        usual: pytest.Directory = kind.from_parent(self.parent, path=self.path)
        yield from usual.collect()
        golden: Golden = self.config.pluginmanager.getplugin("assay-golden")
        try:
            found = list(golden.cases(self.path))
        except AssayFailed as error:
            raise self.CollectError(plain(error)) from error
        for name, tier, model, case in found:
            yield Case.from_parent(self, name=name, golden=golden, tier=tier, model=model, case=case)


class Case(pytest.Item):
    """A golden prompt, on every tier or on one."""

    def __init__(self, *, golden: Golden, tier: str, model: str, case: Mapping[str, Any], **more: Any) -> None:
        super().__init__(**more)
        self.golden, self.tier, self.model, self.case = golden, tier, model, case
        self.suite = self.path.resolve()
        self.entries: list[Mapping[str, Any]] = []
        """What the case came to, and its controls."""
        plugins = golden.config.pluginmanager
        if plugins.hasplugin("timeout"):  # the first case waits for the run of all
            self.add_marker(pytest.mark.timeout(0))
        if plugins.hasplugin("xdist"):  # with --dist loadgroup the other workers do not wait for it
            self.add_marker(pytest.mark.xdist_group(str(self.suite)))

    def setup(self) -> None:
        """Raises AssayFailed where nothing can be said of the case."""
        told = self.golden.result(self)
        self.entries = [one for one in told["cases"] if self._is_mine(one)]
        self.user_properties += [("image", image["path"]) for image in self.case["images"]]
        if not self.entries:
            raise AssayFailed(f"The run says nothing of {self.case['id']}.")
        for one in self.entries:
            self.user_properties.append(("verdict", f"{place(one)}: {one['verdict']}"))
            if one["verdict"] == "error":
                raise AssayFailed(f"{plain(self.case['id'])} ({place(one)}) did not come about: {plain(one['why'])}")
            if one["verdict"] == "skip" and _nobody_answers(one["tier"], told):
                raise AssayFailed(f"No model answers on the {one['tier']} tier: {plain(one['why'])}")
        if all(one["verdict"] == "skip" for one in self.entries):
            pytest.skip(plain(self.entries[0]["why"]))
        self._breaks = [one for one in told["parity"] if one["case"] == self.case["id"]]

    def runtest(self) -> None:
        """Raises CaseFailed where it does not hold."""
        if held := [answers(one) for one in self.entries if one["holds"] is not False]:
            self.add_report_section("call", "answers", "\n\n".join(held))
        failed = [failure(self.case, one) for one in self.entries if one["holds"] is False]
        failed += [
            plain(
                f"{one['case']} ({one['tier']}): {' and '.join(one['routes'])} differ in {one['what']}: {one['values']}"
            )
            for one in self._breaks
            if self.tier in ("", one["tier"])
        ]
        if failed:
            raise CaseFailed("\n\n".join(failed))
        known = [one for one in self.entries if one["verdict"] == "xfail"]
        if known and all(one["verdict"] in ("xfail", "skip") for one in self.entries if not one["control"]):
            pytest.xfail(plain(known[0]["why"]))

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """The sentence alone: there is no code of the user's to be shown."""
        if isinstance(excinfo.value, AssayFailed | CaseFailed):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        written = self.case["sidecar"] if self.case["line"] else None
        return Path(written or self.case["file"]), (self.case["line"] or 1) - 1, self.name

    def _is_mine(self, entry: Mapping[str, Any]) -> bool:
        return (
            entry["case"] == self.case["id"]
            and self.tier in ("", entry["tier"])
            and (self.model in ("", entry["model"]) or entry["model"] is None)
        )


def _nobody_answers(tier: str, told: Mapping[str, Any]) -> bool:
    """Whether no case was answered on the tier: a model is missing, and not a case that it cannot take."""
    return all(one["verdict"] == "skip" for one in told["cases"] if one["tier"] == tier)


def _extra(image: Mapping[str, Any]) -> dict[str, Any] | None:
    """An image for pytest-html's page; None where it cannot be read."""
    from pytest_html import extras  # type: ignore[import-not-found,import-untyped,unused-ignore]

    path = Path(image["path"])
    kind = mimetypes.guess_type(path.name)[0] or "image/png"
    try:
        if path.stat().st_size > MOST_SHOWN_BYTES:
            found: dict[str, Any] = extras.url(path.as_uri(), name=path.name)
            return found
        content = base64.b64encode(path.read_bytes()).decode()
    except OSError:
        return None
    shown: dict[str, Any] = extras.image(content, name=path.name, mime_type=kind, extension=path.suffix[1:])
    return shown


def _nothing(line: str) -> None:
    """For who does not watch."""
