"""A request of the wire record as a curl command that asks it again."""

from __future__ import annotations

import hashlib
import json
import shlex
from typing import Any

from server.wire import WireEntry

LONGEST = 1_000
"""Characters of an image's data that stay in the command; more stands there as a digest."""


def curl(entry: WireEntry, body: bytes, url: str) -> tuple[str, bool]:
    """The command, and whether something in it is named by its digest alone: images would make it megabytes long.

    The key is not in it: it asks for $ASSAY_KEY. Raises ValueError for a body that is not JSON.
    """
    found: list[str] = []
    told = json.dumps(_shortened(json.loads(body), found), ensure_ascii=False)
    headers = ['"Authorization: Bearer $ASSAY_KEY"', "'Content-Type: application/json'"]
    if entry.protocol == "anthropic":
        headers.append("'anthropic-version: 2023-06-01'")
    lines = [f"curl {'-N ' if entry.stream else ''}{shlex.quote(url + entry.path)}"]
    lines += [f"  -H {header}" for header in headers]
    lines.append(f"  -d {shlex.quote(told)}")
    return " \\\n".join(lines), bool(found)


def _shortened(value: Any, found: list[str]) -> Any:
    """The same with a digest in place of each long run of base64; those go to `found`."""
    if isinstance(value, dict):
        return {key: _shortened(one, found) for key, one in value.items()}
    if isinstance(value, list):
        return [_shortened(one, found) for one in value]
    if isinstance(value, str) and len(value) > LONGEST and _is_data(value):
        digest = hashlib.sha256(value.encode("utf-8", "replace")).hexdigest()
        found.append(digest)
        return f"<{len(value):,} characters, SHA-256 {digest[:16]}>"
    return value


def _is_data(text: str) -> bool:
    return text.startswith("data:") or not any(sign.isspace() for sign in text)
