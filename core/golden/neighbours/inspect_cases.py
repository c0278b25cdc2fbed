"""Inspect's samples as files of a suite, out of a dataset or out of an eval log; of a log of ours, the cases again."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from core.errors import InvalidImage
from core.golden.case_images import ENDING_OF, IMAGE_ENDINGS
from core.golden.neighbours.incoming_files import Incoming, Told, listed, put
from core.golden.neighbours.inspect_log import OURS
from core.media.images import image_from_data_uri
from core.regular_files import read_text

MOST_BYTES = 512_000_000
"""Of a log, and of all samples in one; images are inside."""
ATTACHED = "attachment://"
"""What stands in a log for a long text that is kept once, beside the messages."""
INDEX = re.compile(r"^samples/.+\.json$")


def inspect_cases(source: Path) -> Incoming:
    """The samples of a .jsonl or .json dataset, or of a .json or .eval log. Raises ValueError for what is none, and
    OSError."""
    found = Incoming()
    samples, log = _samples(source)
    if log and log.get("metadata", {}).get("tier"):
        tier, model = str(log["metadata"]["tier"]), str(log.get("model", ""))
        found.models.append(model)
        found.add_tiers({tier: [model]})
    cases: list[Told] = []
    for number, sample in enumerate(samples, 1):
        if not isinstance(sample, Mapping):
            raise ValueError(f"sample {number} is no table")
        told = _case(found, source.parent, number, sample, {one.id for one in cases})
        cases += [told] if told else []
    put(found, cases)
    return found


def _samples(source: Path) -> tuple[list[Any], Mapping[str, Any]]:
    """The samples, of repeated ones the first, and what a log says of itself; that is empty for a dataset."""
    ending = source.suffix.lower()
    if ending == ".eval":
        head, samples = _zipped(source)
        return _first(samples), head
    text = read_text(source, MOST_BYTES, "a log")
    if ending == ".jsonl":
        return [json.loads(line) for line in text.splitlines() if line.strip()], {}
    whole = json.loads(text)
    if isinstance(whole, list):
        return whole, {}
    if not isinstance(whole, Mapping) or not isinstance(whole.get("eval"), Mapping):
        raise ValueError("it is neither a list of samples nor an eval log")
    return _first(listed(whole.get("samples"))), whole["eval"]


def _zipped(source: Path) -> tuple[Mapping[str, Any], list[Any]]:
    try:
        with zipfile.ZipFile(source) as archive:
            names = [one for one in archive.infolist() if INDEX.match(one.filename)]
            if sum(one.file_size for one in names) > MOST_BYTES:
                raise ValueError(f"its samples take more than {MOST_BYTES:,} bytes")
            head = json.loads(archive.read("header.json")) if "header.json" in archive.namelist() else {}
            return head.get("eval") or {}, [json.loads(archive.read(one)) for one in names]
    except NotImplementedError as error:
        raise ValueError(
            f"it is packed in a way that is not read here ({error}): inspect log convert makes a .json of it"
        ) from error
    except zipfile.BadZipFile as error:
        raise ValueError(f"it is no eval log ({error})") from error


def _first(samples: Sequence[Any]) -> list[Any]:
    """Of each sample its first epoch; controls of ours ask what must fail and are no cases."""
    found: dict[str, Any] = {}
    for one in samples:
        if isinstance(one, Mapping) and not (one.get("metadata") or {}).get("control"):
            found.setdefault(str(one.get("id", len(found))), one)
    return list(found.values())


def _case(found: Incoming, home: Path, number: int, sample: Mapping[str, Any], taken: set[str]) -> Told | None:
    """The input is asked, and the target, or any of several, is expected; None, with a note, for what is no single
    question."""
    asked = sample.get("input", "")
    messages = [{"role": "user", "content": asked}] if isinstance(asked, str) else listed(asked)
    users = [one for one in messages if one.get("role") == "user"]
    systems = [one for one in messages if one.get("role") == "system"]
    if len(users) != 1 or len(messages) != len(users) + len(systems) or len(systems) > 1:
        found.notes.append(f"Sample {number} is no single question in words: it is left out.")
        return None
    attached = sample.get("attachments") or {}
    name = _name(number, sample, taken)
    prompt, images = _content(found, home, f"Sample {number}", name, users[0].get("content"), attached, sample)
    if choices := sample.get("choices"):
        letters = (f"{chr(65 + place)}) {choice}" for place, choice in enumerate(choices))
        prompt = "\n".join((prompt, "", *letters, "", "Answer with the letter alone."))
    if not prompt.strip():
        found.notes.append(f"Sample {number} asks nothing in words: it is left out.")
        return None
    system = " ".join(_texts(systems[0].get("content"), attached)) if systems else None
    words = [str(one) for one in listed(sample.get("target")) if str(one).strip()]
    kept = (sample.get("metadata") or {}).get(OURS) or {}
    expect = kept["expect"] if "expect" in kept else (words[0] if len(words) == 1 else words)
    told = {**kept.get("asked", {}), "system": system, "images": images, "expect": expect}
    for key in ("sandbox", "setup"):
        if sample.get(key):
            found.notes.append(f"Sample {number}: {key} is not known here and left out.")
    return Told(
        str(kept.get("case") or name), prompt, {key: one for key, one in told.items() if one not in (None, "", [])}
    )


def _name(number: int, sample: Mapping[str, Any], taken: set[str]) -> str:
    name = re.sub(r"[^\w.-]+", "-", str(sample.get("id", f"sample-{number}"))).strip("-._") or f"sample-{number}"
    return f"{name}-{number}" if name in taken else name


def _texts(content: Any, attached: Mapping[str, str]) -> Iterator[str]:
    for part in [{"type": "text", "text": content}] if isinstance(content, str) else listed(content):
        if part.get("type") == "text":
            yield _whole(str(part.get("text", "")), attached)


def _content(
    found: Incoming,
    home: Path,
    label: str,
    name: str,
    content: Any,
    attached: Mapping[str, str],
    sample: Mapping[str, Any],
) -> tuple[str, list[str]]:
    """The words of a message, and the names of its images, which are among the suite's files then."""
    images: list[str] = []
    for part in listed(content) if not isinstance(content, str) else []:
        if part.get("type") == "image":
            where = _whole(str(part.get("image", "")), attached)
            where = str((sample.get("files") or {}).get(where, where))
            file = f"images/{name}-{len(images) + 1}"
            if image := _image(found, home, file, where):
                images.append(image)
            else:
                found.notes.append(f"{label}: the image {where[:60]} cannot be had here and is left out.")
        elif part.get("type") not in ("text", "reasoning"):
            found.notes.append(f"{label}: {part.get('type')} is not known here and left out.")
    return "\n".join(_texts(content, attached)), images


def _image(found: Incoming, home: Path, name: str, where: str) -> str | None:
    """An image out of a data: address or a file beside the source; its name in the suite, or None."""
    if where.startswith("data:"):
        try:
            image = image_from_data_uri(where)
        except InvalidImage:
            return None
        name += ENDING_OF.get(image.media_type, ".png")
        found.files[name] = image.data
        return name
    path = home / where.removeprefix("file://")
    if "://" in where.removeprefix("file://") or path.suffix.lower() not in IMAGE_ENDINGS or not path.is_file():
        return None
    name += path.suffix.lower()
    found.files[name] = path
    return name


def _whole(text: str, attached: Mapping[str, str]) -> str:
    return str(attached.get(text.removeprefix(ATTACHED), text)) if text.startswith(ATTACHED) else text
