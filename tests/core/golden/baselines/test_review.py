"""Pending answers gone through: decisions are on the disk at once, and each can be taken back to the byte."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.golden.baselines.files import BaselineError, read_accepted
from core.golden.baselines.review import Choice, Review
from core.golden.baselines.standing import candidates, pending, rejected
from core.golden.results import Attempt, RunFolder
from core.golden.suite import Suite
from tests.core.golden.baselines.test_standing import said, suite

__all__ = ["suite"]


def review(suite: Suite, folder: RunFolder, *attempts: Attempt) -> Review:
    found = candidates(suite, read_accepted(suite.path)[0], attempts)
    return Review(suite, pending(found, rejected(folder)), folder)


def test_every_decision_can_be_taken_back(suite: Suite, tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path / "runs", {"suite": {}, "planned": []})
    folder.close()
    answers = (said(suite, "colour", "It is red."), said(suite, "shape", "A square."))
    one = review(suite, folder, *answers)
    written = one.accept()
    by_hand = written.path.read_text().replace("finish", "# mine\nfinish")
    one.reject()
    assert one.shown is None
    assert review(suite, folder, *answers).waiting == []
    one.undo()
    assert one.place == 1
    assert [waiting.case.id for waiting in review(suite, folder, *answers).waiting] == ["shape"]
    one.undo()
    assert not (suite.path / "accepted").exists()

    written.path.parent.mkdir()
    written.path.write_text(by_hand)
    two = review(suite, folder, said(suite, "colour", "It is blue."))
    two.accept()
    assert written.path.read_text() != by_hand
    two.undo()
    assert written.path.read_text() == by_hand


def test_what_somebody_changed_since_is_not_taken_back(suite: Suite, tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path / "runs", {"suite": {}, "planned": []})
    folder.close()
    one = review(suite, folder, said(suite, "colour", "It is red."), said(suite, "shape", "A square."))
    first, second = one.accept(), one.accept()
    second.path.write_text("by somebody else")
    with pytest.raises(BaselineError, match="has been changed since it was accepted here: it stays as it is"):
        one.undo()
    assert second.path.read_text() == "by somebody else"
    one.undo()
    assert not first.path.exists()
    assert not one.can_undo


def test_what_is_skipped_is_passed_over_and_can_be_gone_back_to(suite: Suite, tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path / "runs", {"suite": {}, "planned": []})
    folder.close()
    one = review(suite, folder, said(suite, "colour", "It is red."), said(suite, "shape", "A square."))
    one.skip()
    one.accept()
    assert one.shown is None
    assert one.choices == {0: Choice.SKIPPED, 1: Choice.ACCEPTED}
    one.turn(1)
    assert one.place == 0
