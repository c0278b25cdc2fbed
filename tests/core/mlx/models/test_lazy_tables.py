"""transformers' lazy tables, kept between runs: the same names as without them, and no harm from what is on disk."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from core.mlx.models.lazy_tables import MOST, Table, read, remembering, write

TABLE: Table = {
    frozenset(): {"bert.configuration_bert": {"BertConfig"}},
    frozenset({"torch", "vision"}): {"a.b": {"C"}},
}

PROGRAM = """
import json, sys
from pathlib import Path
from core.mlx.models import lazy_tables
if sys.argv[1]:
    lazy_tables.install(Path(sys.argv[1]))
opened = []
sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event == "open" else None)
import transformers
from transformers import AutoTokenizer, BertConfig, PreTrainedTokenizerFast
read = [name for name in opened if "/transformers/models/" in name and name.endswith(".py")]
names = sorted(name for name in dir(transformers) if not name.startswith("_"))
print(json.dumps([names, len(read), transformers.__spec__.name, len(sys.meta_path)]))
"""


def names(folder: str) -> list[Any]:
    """What transformers has to offer in a new process, and how many source files of its models were read for that."""
    done = subprocess.run([sys.executable, "-c", PROGRAM, folder], capture_output=True, text=True, check=True)
    told: list[Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def test_the_names_are_those_of_transformers_itself(tmp_path: Path) -> None:
    plain, written, kept = names(""), names(str(tmp_path)), names(str(tmp_path))
    assert plain[0] == written[0] == kept[0]
    assert "BertConfig" in plain[0]
    assert plain[1] > 2000
    assert kept[1] < 100
    assert plain[2:] == kept[2:]  # nothing is left in the import system


@pytest.mark.parametrize(
    "content", ["", "{}", "[1]", '[["a"]]', "[[1, 2]]", "null", "[]", "00000000\\n[]", '[["a", {"b": 3}]]']
)
def test_a_broken_file_is_made_anew(tmp_path: Path, content: str) -> None:
    remembered = remembering(lambda path, prefix=None: TABLE, tmp_path / "kept")
    (tmp_path / "models").mkdir()
    remembered(tmp_path / "models")
    (file,) = (tmp_path / "kept").iterdir()
    file.write_text(content)
    assert remembered(tmp_path / "models") == TABLE
    assert read(file) == TABLE


def test_a_table_comes_back_as_it_was(tmp_path: Path) -> None:
    file = tmp_path / "table.json"
    file.write_bytes(write(TABLE))
    assert read(file) == TABLE


def test_what_is_no_table_is_not_kept(tmp_path: Path) -> None:
    """A later version may return something else: it is passed on."""
    make = remembering(lambda path, prefix=None: {"not": "a table"}, tmp_path / "kept")  # type: ignore[arg-type,dict-item,return-value]
    assert make(tmp_path) == make(tmp_path) == {"not": "a table"}
    assert not list((tmp_path / "kept").glob("*.json"))


def test_a_folder_that_changes_is_read_again(tmp_path: Path) -> None:
    source = tmp_path / "models"
    source.mkdir()
    calls: list[Any] = []

    def make(path: Any, prefix: str | None = None) -> Table:
        calls.append((path, prefix))
        return TABLE

    remembered = remembering(make, tmp_path / "kept")
    assert remembered(source) == remembered(source) == TABLE
    assert len(calls) == 1
    remembered(source, prefix="models")
    assert len(calls) == 2
    (source / "new.py").write_text("")
    remembered(str(source / "new.py"))
    assert len(calls) == 3


def test_old_files_make_room(tmp_path: Path) -> None:
    remembered = remembering(lambda path, prefix=None: TABLE, tmp_path / "kept")
    for number in range(MOST + 9):
        remembered(tmp_path, prefix=str(number))
    assert len(list((tmp_path / "kept").iterdir())) == MOST


def test_without_a_folder_to_write_it_works_as_before(tmp_path: Path) -> None:
    (tmp_path / "a file").write_text("")
    remembered = remembering(lambda path, prefix=None: TABLE, tmp_path / "a file" / "kept")
    assert remembered(tmp_path) == TABLE
    assert remembered(tmp_path / "not" / "there") == TABLE
