"""What pytest loads at every start: options, and nothing more unless a suite is named."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options of `pytest --help`, in a group of their own, and the keys of pytest's ini file."""
    group = parser.getgroup("assay", "golden prompts")
    group.addoption(
        "--assay",
        action="append",
        default=[],
        metavar="SUITE",
        help="A folder of golden prompts, each a test SUITE::case; may be repeated.",
    )
    group.addoption(
        "--assay-tier",
        action="append",
        default=[],
        choices=["quick", "full"],
        help="A test of its own for each case on this tier; may be repeated. Without it, a test is a case on both.",
    )
    group.addoption(
        "--assay-model",
        action="append",
        default=[],
        metavar="ID",
        help="A test of its own for each case and this model, as assay golden run --model asks it; may be repeated.",
    )
    group.addoption(
        "--assay-args",
        action="append",
        default=[],
        metavar="ARGS",
        help="More for assay golden run, in one word: --assay-args='--repeats 3'.",
    )
    parser.addini("assay_suites", "Folders of golden prompts, relative to this file.", type="paths", default=[])
    parser.addini("assay_args", "More for assay golden run.", type="args", default=[])


def pytest_configure(config: pytest.Config) -> None:
    """Have suites collected, where there are any."""
    if config.getoption("assay") or config.getini("assay_suites"):
        from pytest_assay.golden import Golden

        config.pluginmanager.register(Golden(config), "assay-golden")
