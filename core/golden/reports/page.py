"""A report as one HTML page that needs nothing beside it: images inside, no script and no style from elsewhere."""

from __future__ import annotations

import base64
import hashlib
import io
import re
from functools import cached_property
from pathlib import Path
from typing import Any

from core.errors import InvalidImage
from core.golden.expressions import describe
from core.golden.reports.report import CaseReport, Report
from core.golden.suite import SuiteImage
from core.media.images import decode, read_image
from core.text_safety import clean
from core.tiers import Tier

TEMPLATE = Path(__file__).with_name("page.html.j2")
LONGEST_SIDE = 480
"""Pixels of an image on the page."""
MOST_IMAGE_BYTES = 8_000_000
"""Of all images together; those beyond are named only."""
MOST_SHOWN = 20_000
"""Characters of one text."""


def page(report: Report) -> str:
    """The report as HTML. What models said stands there as text, whatever it holds."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["shown"] = shown
    environment.filters["expected"] = _expected
    template = TEMPLATE.read_text(encoding="utf-8")
    scripts = re.findall(r"<script>(.*?)</script>", template, flags=re.DOTALL)
    digests = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    policy = " ".join(f"'sha256-{digest}'" for digest in digests)
    return environment.from_string(template).render(report=report, images=_Images(), policy=policy) + "\n"


def shown(text: object) -> str:
    """A text without control characters, and not without end."""
    safe = clean(str(text))
    return safe if len(safe) <= MOST_SHOWN else f"{safe[:MOST_SHOWN]}… {len(safe) - MOST_SHOWN:,} more characters"


def _expected(case: CaseReport, tier: str) -> str:
    return describe(case.case.expected(Tier(tier))) if case.case else ""


class _Images:
    """Images as data addresses, each made once, as long as there is room."""

    def __init__(self) -> None:
        self._room = MOST_IMAGE_BYTES

    @cached_property
    def _made(self) -> dict[str, str]:
        return {}

    def address(self, image: SuiteImage) -> str:
        """The image small; "" where it cannot be read, is another one now, or there is no room left."""
        if image.sha256 not in self._made:
            self._made[image.sha256] = self._make(image)
        return self._made[image.sha256]

    def _make(self, image: SuiteImage) -> str:
        try:
            data = read_image(image.path)
            picture: Any = decode(data)
        except (InvalidImage, OSError):
            return ""
        if data.sha256 != image.sha256:
            return ""
        picture.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
        out = io.BytesIO()
        picture.save(out, "WEBP", quality=85)
        if out.tell() > self._room:
            return ""
        self._room -= out.tell()
        return "data:image/webp;base64," + base64.b64encode(out.getvalue()).decode()
