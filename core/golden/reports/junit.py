"""A report as JUnit XML, as build servers read it: each case a test on each tier and model."""

from __future__ import annotations

from xml.etree import ElementTree

from core.golden.reports.report import CaseReport, Entry, Report
from core.golden.results import Verdict
from core.text_safety import clean

KINDS = {
    Verdict.FAIL: "failure",
    Verdict.ERROR: "error",
    Verdict.SKIP: "skipped",
    Verdict.XFAIL: "skipped",
    Verdict.INCONCLUSIVE: "skipped",
}
"""The element by which a test says that it did not just pass."""


def junit(report: Report) -> str:
    """The report as JUnit XML. A known failure is a skipped test with its reason; one that passes unexpectedly passes
    and says so in its properties. Images are named in the way in which Jenkins and GitLab attach them."""
    root = ElementTree.Element("testsuites", name=_safe(report.suite))
    suites: dict[tuple[str, str], ElementTree.Element] = {}
    for case in report.cases:
        for entry in case.entries:
            place = (entry.tier, entry.model)
            if place not in suites:
                name = _safe(" ".join(filter(None, (report.suite, *place))))
                suites[place] = ElementTree.SubElement(root, "testsuite", name=name, timestamp=report.started)
            suites[place].append(_testcase(report, case, entry))
    for element in (*suites.values(), root):
        tests = element.findall(".//testcase")
        element.set("tests", str(len(tests)))
        for name in ("failure", "error", "skipped"):
            plural = {"failure": "failures", "error": "errors", "skipped": "skipped"}[name]
            element.set(plural, str(sum(one.find(name) is not None for one in tests)))
        element.set("time", f"{sum(float(one.get('time', 0)) for one in tests):.3f}")
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _testcase(report: Report, case: CaseReport, entry: Entry) -> ElementTree.Element:
    name = f"{entry.case} [{entry.control}]" if entry.control else entry.case
    found = ElementTree.Element(
        "testcase", name=_safe(name), classname=_safe(f"{report.suite}.{entry.tier}"), time=f"{entry.total_s:.3f}"
    )
    told = {
        "model": entry.model,
        "verdict": entry.verdict.value,
        "graded": "yes" if entry.graded else "",
        "tries": f"{entry.tries.passes} of {entry.tries.tries}" if entry.tries.tries else "",
        f"since {report.since}": entry.change.value if entry.change else "",
    }
    properties = ElementTree.SubElement(found, "properties")
    for key, value in told.items():
        if value:
            ElementTree.SubElement(properties, "property", name=key, value=_safe(value))
    if kind := KINDS.get(entry.verdict):
        prefix = "known failure: " if entry.verdict is Verdict.XFAIL else ""
        message = ElementTree.SubElement(found, kind, message=_safe(prefix + entry.why))
        if kind != "skipped":
            message.text = _safe(entry.answer)
    out = [_safe(entry.answer), *(f"[[ATTACHMENT|{_safe(str(image.path.resolve()))}]]" for image in case.images)]
    ElementTree.SubElement(found, "system-out").text = "\n".join(out)
    return found


def _safe(text: str) -> str:
    """Text that XML 1.0 can hold."""
    return "".join(sign for sign in clean(text) if sign not in "\ufffe\uffff")
