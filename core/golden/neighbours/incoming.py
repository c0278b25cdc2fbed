"""Cases of other programs made into a suite: promptfoo's projects, and samples of Inspect."""

from __future__ import annotations

from pathlib import Path

from core.atomic import write_atomically
from core.golden.neighbours.incoming_files import Incoming
from core.golden.neighbours.inspect_cases import inspect_cases
from core.golden.neighbours.promptfoo_cases import promptfoo_cases
from core.golden.reading import suite_text
from core.golden.suite import SuiteError
from core.media.images import read_image


def read_incoming(source: Path) -> Incoming:
    """What `source` holds, by its ending: .yaml or .yml of promptfoo; .jsonl, .json and .eval of Inspect. Raises
    SuiteError."""
    ending = source.suffix.lower()
    try:
        if ending in (".yaml", ".yml"):
            import yaml

            return promptfoo_cases(source.parent, yaml.safe_load(suite_text(source)))
        if ending in (".jsonl", ".json", ".eval"):
            return inspect_cases(source)
    except OSError as error:
        raise SuiteError(f"{source} cannot be read: {error.strerror or error}.") from error
    except ValueError as error:
        raise SuiteError(f"{source} cannot be read: {error}.") from error
    except Exception as error:  # what a YAML reader raises for other text
        raise SuiteError(f"{source} is not what its ending says: {' '.join(str(error).split())}.") from error
    raise SuiteError(
        f"{source} has no ending that can be read: .yaml is promptfoo's; .jsonl and .json hold samples of Inspect, "
        ".json and .eval its logs."
    )


def write_incoming(found: Incoming, folder: Path) -> None:
    """Put the files into a folder that is not there or is empty. Raises SuiteError."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise SuiteError(f"{folder} is there already: name a folder that is not, or is empty.")
    home = folder.resolve()
    for name in found.files:
        if not (home / name).resolve().is_relative_to(home):
            raise SuiteError(f"It has a file {name}, which leads out of {folder}: nothing is written.")
    if not found.cases:
        raise SuiteError("There is no prompt in it that could become a case.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in found.files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, Path):
                content = read_image(content).data
            write_atomically(folder / name, content.encode() if isinstance(content, str) else content)
    except OSError as error:
        raise SuiteError(f"{folder} cannot be written: {error.strerror or error}.") from error
