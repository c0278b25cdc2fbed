"""Read a suite from its folder, and find every fault in one go: its file, its line and the nearest known key."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from core.calls.requests import Sampling
from core.golden import case_images
from core.golden.case_parts import (
    control_faults,
    declared_controls,
    digest,
    gates,
    known_failures,
    limits,
    read_tool_choice,
    read_tools,
    schema_fault,
    turn_faults,
    with_sha,
)
from core.golden.expressions import OPERATORS, Expression, ExpressionError, parse_expression
from core.golden.faults import sentence
from core.golden.nearest import did_you_mean
from core.golden.schema import CaseKeys, CaseTable, GoldenToml, KindTable, Knobs, Sidecar, TurnTable
from core.golden.suite import Case, Problem, Suite, SuiteError, SuiteImage, TierModels, Turn
from core.golden.toml_lines import TomlLines
from core.golden.variables import combinations, faults, filled
from core.regular_files import read_text
from core.tiers import Tier

KEYS = (*Knobs.model_fields, *CaseKeys.model_fields)
SAMPLED = ("top_p", "top_k", "seed")
"""Keys that nothing hangs on where the likeliest token is taken each time."""
VARIED = ("system", "images", "expect")
"""Keys in which variables stand for their values, as they do in the prompt."""
NOT_PROMPTS = "accepted"
"""The folder of accepted answers; it and folders that begin with . or _ hold no prompts."""

MAX_TEXT_BYTES = 16_000_000
"""Of a prompt or a TOML file; no model reads so much."""

Table = TypeVar("Table", bound=BaseModel)


def load_suite(folder: Path) -> Suite:
    """The suite in `folder`. Raises SuiteError, whose message names the first fault and whose `problems` hold all."""
    suite, problems = read_suite(folder)
    errors = tuple(problem for problem in problems if not problem.warning)
    if errors or suite is None:
        more = f" (1 of {len(errors)} faults)" if len(errors) > 1 else ""
        raise SuiteError(f"{errors[0]}{more}", tuple(problems))
    return suite


def read_suite(folder: Path) -> tuple[Suite | None, list[Problem]]:
    """The suite as far as it can be read, and everything that is wrong with it; None when there is no folder."""
    folder = folder.expanduser()
    if not folder.is_dir():
        return None, [Problem(_no_folder(folder), folder)]
    return _Reader(folder).read()


def suite_text(file: Path) -> str:
    """A text file of a suite. Raises UnicodeDecodeError, and OSError also for one that is none or has no end."""
    return read_text(file, MAX_TEXT_BYTES, "a text of a suite")


def require_suite(folder: Path) -> None:
    """Raises SuiteError when there is no folder of that name, before anything is read."""
    folder = folder.expanduser()
    if not folder.is_dir():
        raise SuiteError(_no_folder(folder))


def _no_folder(folder: Path) -> str:
    what = "is a file" if folder.exists() else "does not exist"
    return f"The suite {folder} {what}: a suite is a folder of .txt prompts."


@dataclass
class _Document:
    """A TOML file's values and lines."""

    file: Path
    values: dict[str, Any] = field(default_factory=dict)
    lines: TomlLines = field(default_factory=lambda: TomlLines(""))


class _Reader:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.problems: list[Problem] = []
        self.defaults = Knobs()
        self.swap_wanted: set[str] = set()
        """Ids of the cases whose sidecar leaves the choice of the other image to the reader."""
        self.heard: set[tuple[int, str]] = set()
        """Tables, by their id, and keys that some case has gone by."""
        self.idle: set[tuple[int, str]] = set()
        """The same of keys on which nothing hung there."""
        self.silent: list[tuple[BaseModel, _Document, tuple[str | int, ...]]] = []
        """Tables that cases go by, with where they stand."""

    def read(self) -> tuple[Suite, list[Problem]]:
        golden_toml = self.folder / "golden.toml"
        document = self._document(golden_toml) if golden_toml.exists() else _Document(golden_toml)
        golden = self._validate(GoldenToml, document) or GoldenToml()
        self.defaults = golden.defaults
        prompts = list(self._prompts())
        self._check_sidecars(prompts)
        cases: list[Case] = []
        for prompt in prompts:
            cases.extend(self._cases(prompt))
        if not prompts:
            self._fault("There is no .txt file in the suite: each prompt is one.", self.folder)
        cases = [with_sha(self._with_swap(case, cases)) for case in cases]
        self.silent.append((self.defaults, document, ("defaults",)))
        if cases and not any(not problem.warning for problem in self.problems):
            self._tell_of_unheard()
        suite = Suite(
            name=self.folder.resolve().name,
            path=self.folder,
            cases=tuple(cases),
            tiers={
                tier: TierModels(tuple(table.vision), tuple(table.text))
                for tier, table in ((Tier.QUICK, golden.tiers.quick), (Tier.FULL, golden.tiers.full))
                if table != KindTable()
            },
            gates=gates(golden.gates),
            sha=digest([document.values, [(case.id, case.sha) for case in cases]]),
        )
        return suite, list(dict.fromkeys(self.problems))

    # -- files -------------------------------------------------------------------------------------------------------

    def _prompts(self) -> Iterator[Path]:
        for parent, folders, files in os.walk(self.folder):
            folders[:] = sorted(name for name in folders if name[0] not in "._" and name != NOT_PROMPTS)
            yield from (
                Path(parent, name) for name in sorted(files) if name.lower().endswith(".txt") and name[0] != "."
            )

    def _check_sidecars(self, prompts: Sequence[Path]) -> None:
        """A .toml that belongs to no prompt is a misspelt file name."""
        for folder in sorted({self.folder, *(prompt.parent for prompt in prompts)}):
            stems = [prompt.stem for prompt in prompts if prompt.parent == folder]
            for file in sorted(folder.glob("*.toml")):
                if file.stem not in stems and file != self.folder / "golden.toml":
                    known = [*stems, "golden"] if folder == self.folder else stems
                    message = (
                        f'The sidecar has no prompt: there is no "{file.stem}.txt"{did_you_mean(file.stem, known)}.'
                    )
                    self._fault(message, file)

    def _text(self, file: Path) -> str | None:
        try:
            return suite_text(file)
        except UnicodeDecodeError as error:
            self._fault(f"The file is not UTF-8 text ({error.reason} at byte {error.start}).", file)
        except OSError as error:
            self._fault(f"The file cannot be read: {error.strerror}.", file)
        return None

    def _document(self, file: Path) -> _Document:
        text = self._text(file)
        if text is None:
            return _Document(file)
        try:
            return _Document(file, tomllib.loads(text), TomlLines(text))
        except tomllib.TOMLDecodeError as error:
            place = re.search(r"at line (\d+)", str(error))
            line = int(place[1]) if place else text.count("\n") + 1
            self._fault(f"This is not TOML: {error}.", file, line)
            return _Document(file)

    def _validate(self, table: type[Table], document: _Document) -> Table | None:
        try:
            return table.model_validate(document.values)
        except ValidationError as error:
            for fault in error.errors():
                path = tuple(fault["loc"])
                message = sentence(table, path, fault)
                self._fault(message, document.file, document.lines.line(path))
            return None

    def _tell_of_unheard(self) -> None:
        """Warn of keys that no case goes by, because each has its own."""
        for table, document, at in self.silent:
            for key in sorted(table.model_fields_set & set(KEYS)):
                if (id(table), key) not in self.heard and getattr(table, key) is not None:
                    idle = (id(table), key) in self.idle
                    why = "at temperature 0 nothing is drawn" if idle else "every case says its own"
                    message = f'"{key}" has no effect here: {why}.'
                    self.problems.append(Problem(message, document.file, document.lines.line((*at, key)), warning=True))

    def _fault(self, message: str, file: Path, line: int | None = None) -> None:
        self.problems.append(Problem(message, file, line))

    # -- cases -------------------------------------------------------------------------------------------------------

    def _cases(self, file: Path) -> Iterator[Case]:
        prompt = self._text(file)
        if prompt is not None and not prompt.strip():
            self._fault("The prompt is empty.", file)
        sidecar_file = file.with_suffix(".toml")
        document = self._document(sidecar_file) if sidecar_file.exists() else _Document(sidecar_file)
        sidecar = self._validate(Sidecar, document)
        if prompt is None or sidecar is None:
            return
        stem = file.relative_to(self.folder).with_suffix("").as_posix()
        if not sidecar.case:
            yield from self._filled_cases(stem, file, prompt, document, (), sidecar, sidecar)
        self.silent.append((sidecar, document, ()))
        seen: set[str] = set()
        for index, table in enumerate(sidecar.case):
            if table.id in seen:
                self._fault(f'The id "{table.id}" is taken.', document.file, document.lines.line(("case", index, "id")))
                continue
            seen.add(table.id)
            self.silent.append((table, document, ("case", index)))
            at = ("case", index)
            yield from self._filled_cases(f"{stem}#{table.id}", file, prompt, document, at, sidecar, table)

    def _filled_cases(
        self,
        case_id: str,
        file: Path,
        prompt: str,
        document: _Document,
        at: tuple[str | int, ...],
        sidecar: Sidecar,
        table: CaseKeys,
    ) -> Iterator[Case]:
        """A case for each combination of the variables' values; one where there are none."""
        self.heard |= {(id(table), "vars"), (id(sidecar), "vars")}
        variables = {**(sidecar.vars or {}), **(table.vars or {})}
        texts = [getattr(one, key) for one in (table, sidecar) for key in VARIED]
        texts += [turn.model_dump() for one in (table, sidecar) for turn in one.turns or ()]
        line = document.lines.line((*at, "vars") if at and table.vars else ("vars",))
        for message, warning in faults(variables, prompt, *texts):
            self.problems.append(Problem(message, document.file, line, warning=warning))
        try:
            found = combinations(variables)
        except ValueError as error:
            self._fault(f"{case_id}: {error}.", document.file, line)
            return
        for name, values in found:
            joined = f"{case_id}{',' if at else '#'}{name}" if name else case_id
            yield self._case(joined, file, filled(prompt, values), document, at, sidecar, table, values)

    def _case(
        self,
        case_id: str,
        file: Path,
        prompt: str,
        document: _Document,
        at: tuple[str | int, ...],
        sidecar: Sidecar,
        table: CaseKeys,
        values: Mapping[str, str],
    ) -> Case:
        """One case; `at` is where its table stands in the sidecar, () for a sidecar without [[case]]. `values` are
        those of its variables, which the prompt has already."""

        def said(key: str) -> Any:
            """What the case, else the sidecar, else [defaults] says."""
            for level in (table, sidecar, self.defaults):
                value = getattr(level, key, None)
                if value is not None:
                    idle = key in SAMPLED and said("temperature") == 0
                    (self.idle if idle else self.heard).add((id(level), key))
                    return filled(value, values) if key in VARIED else value
            return None

        def place(key: str) -> tuple[str | int, ...]:
            return (*at, key) if getattr(table, key) is not None else (key,)

        expect = self._expect(document, filled(sidecar.expect, values), ("expect",))
        mine = filled(table.expect, values)
        own = self._expect(document, mine, (*at, "expect")) if isinstance(table, CaseTable) else {}
        self.heard.add((id(table), "expect"))
        if expect.keys() - own.keys():
            self.heard.add((id(sidecar), "expect"))
        expect |= own
        images = self._images(file, document, said("images"), place("images"))
        turns, expect = self._turns(file, document, said("turns") or [], place("turns"), expect, values)
        controls = said("controls")
        swap: tuple[SuiteImage, ...] = ()
        if controls and controls.swap:
            if controls.swap is True:
                self.swap_wanted.add(case_id)
            else:
                swap = self._images(file, document, controls.swap, (*place("controls"), "swap"))
        shown = (*images, *(image for turn in turns for image in turn.images))
        if controls is not None:
            for fault in control_faults(controls, shown, said):
                self._fault(fault, document.file, document.lines.line(place("controls")))
        tools, problems = read_tools(said("tools") or [])
        for (index, key), message in problems:
            self._fault(message, document.file, document.lines.line((*place("tools"), index, key)))
        choice, fault = read_tool_choice(said("tool_choice"), tools)
        for key, wrong in (("tool_choice", fault), ("json_schema", schema_fault(said("json_schema")))):
            if wrong:
                self._fault(wrong, document.file, document.lines.line(place(key)))
        for index, message in turn_faults(turns, tools, controls):
            self._fault(message, document.file, document.lines.line((*place("turns"), index)))
        xfail = said("xfail")
        return Case(
            id=case_id,
            file=file,
            line=document.lines.line((*at, "expect") if at else place("expect")),
            prompt=prompt.strip(),
            system=said("system"),
            images=images,
            turns=turns,
            tools=tools,
            tool_choice=choice,
            json_schema=said("json_schema"),
            sampling=Sampling(
                temperature=said("temperature"),
                top_p=said("top_p"),
                top_k=said("top_k"),
                max_tokens=said("max_tokens") or 256,
                stop=tuple(said("stop") or ()),
            ),
            thinking=said("thinking"),
            seed=said("seed") or 0,
            repeats=said("repeats") or 1,
            expect=expect,
            limits=limits(said("limits")),
            xfail=known_failures(xfail) if xfail else {},
            controls=declared_controls(controls) if controls else (),
            swap=swap,
        )

    def _expect(self, document: _Document, value: Any, path: tuple[str | int, ...]) -> dict[Tier, Expression]:
        """The expectation of each tier; one that names no tier holds for both."""
        if value is None:
            return {}
        tiers = {tier.value for tier in Tier}
        by_tier = isinstance(value, Mapping) and not tiers.isdisjoint(value)
        if isinstance(value, Mapping) and (unknown := [key for key in value if key not in OPERATORS.keys() | tiers]):
            for key in unknown:
                message = f'"{key}" is neither a tier nor an operator{did_you_mean(key, OPERATORS.keys() | tiers)}.'
                self._fault(message, document.file, document.lines.line((*path, key)))
            return {}
        found: dict[Tier, Expression] = {}
        for key, part in value.items() if by_tier else [("", value)]:
            below = (*path, key) if by_tier else path
            if by_tier and key not in tiers:
                message = f'Beside a tier stand only tiers: "{key}" is none{did_you_mean(key, tiers)}.'
                self._fault(message, document.file, document.lines.line(below))
                continue
            try:
                expression = parse_expression(part)
            except ExpressionError as error:
                self._fault(error.message, document.file, document.lines.line((*below, *error.path)))
                continue
            found.update({Tier(key): expression} if by_tier else dict.fromkeys(Tier, expression))
        return found

    def _turns(
        self,
        prompt: Path,
        document: _Document,
        tables: Sequence[TurnTable],
        at: tuple[str | int, ...],
        first: dict[Tier, Expression],
        values: Mapping[str, str],
    ) -> tuple[tuple[Turn, ...], dict[Tier, Expression]]:
        """The turns after the prompt, and what is expected of the last answer. `first` is what is of the first."""
        turns: list[Turn] = []
        expected = first
        for index, table in enumerate(tables):
            named = filled(table.images or [], values)
            images = self._images(prompt, document, named, (*at, index, "images"))
            user = None if table.user is None else filled(table.user, values).strip()
            turns.append(Turn(user, images, filled(table.results or {}, values), expected))
            expected = self._expect(document, filled(table.expect, values), (*at, index, "expect"))
        return tuple(turns), expected

    def _images(
        self, prompt: Path, document: _Document, named: list[str] | None, path: tuple[str | int, ...]
    ) -> tuple[SuiteImage, ...]:
        """The images that the case names, else the one of the prompt's stem."""
        line = document.lines.line(path) if named is not None else None
        if named is None:
            images, problems = case_images.beside(prompt)
            self.problems += problems
        else:
            images = [document.file.parent / Path(name).expanduser() for name in named]
        found = [case_images.read(image, prompt if named is None else document.file, line) for image in images]
        self.problems += [one for one in found if isinstance(one, Problem)]
        return tuple(one for one in found if isinstance(one, SuiteImage))

    # -- once all cases are known ------------------------------------------------------------------------------------

    def _with_swap(self, case: Case, cases: Sequence[Case]) -> Case:
        """For `swap = true`: as many images of other cases as the case shows, those of the same prompt first."""
        if case.id not in self.swap_wanted or not case.images:
            return case
        own = {image.sha256 for image in case.images}
        others = sorted(cases, key=lambda other: other.file != case.file)
        choices = {image.sha256: image for other in others for image in other.images if image.sha256 not in own}
        if not choices:
            message = f'swap = true finds no other image in the suite for {case.id}: name one (swap = "other.png").'
            self._fault(message, case.file.with_suffix(".toml"), case.line)
            return case
        pool = list(choices.values())
        return replace(case, swap=tuple(pool[index % len(pool)] for index in range(len(case.images))))
