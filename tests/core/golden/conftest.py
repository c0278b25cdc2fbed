"""Suites written for one test, as a person would write them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from core.golden import draw

WriteSuite = Callable[[Mapping[str, str]], Path]


@pytest.fixture
def write_suite(tmp_path: Path) -> WriteSuite:
    """Write files by name into a folder; a name that ends in .png and stands for an image of `draw` gets that image."""

    def write(files: Mapping[str, str]) -> Path:
        folder = tmp_path / "suite"
        for name, content in files.items():
            file = folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            if name.endswith(".png"):
                draw.draw_all()[content].save(file)
            else:
                file.write_text(content, encoding="utf-8")
        return folder

    return write
