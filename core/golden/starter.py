"""A starter suite made of what lies in a folder: images, and questions as text files."""

from __future__ import annotations

from pathlib import Path

from core.atomic import write_atomically
from core.golden.case_images import IMAGE_ENDINGS
from core.golden.suite import SuiteError

QUESTION = "What does this image show? Answer in one sentence.\n"
GOLDEN_TOML = """\
format = 1

[defaults]
temperature = 0.0
max_tokens = 256

# Models to try from left to right; the first on disk answers. Without any, the settings say who does.
# [tiers]
# quick = ["pocket/qwen2-vl"]
# full = ["pocket/gemma3"]
"""
SIDECAR = """\
# Words that the answer must have; a list means any of them. Until something stands here, any answer passes.
# expect = "cat"
"""
CONTROL = """\
# Ask again without the image: the check must fail then.
# controls.blind = true
"""
EXAMPLE = {
    "capital.txt": "What is the capital of France? Answer in one word.\n",
    "capital.toml": 'expect = "paris"\n',
}


def start_suite(folder: Path) -> list[str]:
    """Make a suite of a folder: golden.toml, a question for each image without one, a sidecar for each question without
    one; an example where there is neither. Nothing that is there is changed. Returns the names of the new files. Raises
    SuiteError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        there = {file.name for file in folder.iterdir()}
        images = sorted(name for name in there if Path(name).suffix.lower() in IMAGE_ENDINGS and name[0] != ".")
        shown = {Path(name).stem for name in images}
        asked = {Path(name).stem for name in there if name.lower().endswith(".txt") and name[0] != "."}
        made = {"golden.toml": GOLDEN_TOML}
        made |= {f"{stem}.txt": QUESTION for stem in sorted(shown - asked)}
        made |= {f"{stem}.toml": SIDECAR + (CONTROL if stem in shown else "") for stem in sorted(shown | asked)}
        for stem in shown:
            named = [name for name in images if Path(name).stem == stem]
            if len(named) > 1:  # which of them is meant would not be clear
                made[f"{stem}.toml"] = f"images = [{', '.join(map(_quoted, named))}]\n" + made[f"{stem}.toml"]
        if not shown | asked:
            made |= EXAMPLE
        new = {name: text for name, text in made.items() if name not in there}
        for name, text in new.items():
            write_atomically(folder / name, text.encode())
    except OSError as error:
        raise SuiteError(f"{folder} cannot become a suite: {error.strerror or error}.") from error
    return list(new)


def _quoted(name: str) -> str:
    """A name as TOML has it."""
    import json

    return json.dumps(name, ensure_ascii=False)
