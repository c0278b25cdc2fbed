"""What looks like a secret in a text: keys and tokens in the forms that their makers give them.

Nothing is sought that is told from its looks alone: a password looks like any word.
"""

from __future__ import annotations

import re

_FORMS = {
    "a private key": r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----",
    "a key of Assay": r"\bassay-[\w-]{32}",
    "a key of OpenAI or Anthropic": r"\bsk-[\w-]{20,}",
    "a token of GitHub": r"\b(?:gh[opsur]_[A-Za-z0-9]{36}|github_pat_\w{22,})",
    "a token of GitLab": r"\bglpat-[\w-]{20,}",
    "a token of Hugging Face": r"\bhf_[A-Za-z0-9]{30,}",
    "a key of AWS": r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b",
    "a key of Google": r"\bAIza[\w-]{35}",
    "a token of Slack": r"\bxox[abeoprs]-[\w-]{10,}",
    "a key of Stripe": r"\b[rs]k_live_[A-Za-z0-9]{16,}",
    "a token of npm or PyPI": r"\b(?:npm_[A-Za-z0-9]{36}|pypi-AgEIcHlwaS[\w-]{20,})",
    "a signed token": r"\beyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{8,}",
    "an Authorization header": r"(?i)\bauthorization[\"']?\s*[:=]\s*[\"']?(?:bearer|basic)\s+[\w.~+/=-]{8,}",
    "a password in an address": r"\b[a-z][a-z0-9+.-]*://[^\s/:@]+:[^\s/@]{3,}@",
}
_KNOWN = {name: re.compile(form) for name, form in _FORMS.items()}


def secret_in(text: str) -> str | None:
    """What kind of secret a text seems to hold, in words; None for none."""
    return next((name for name, form in _KNOWN.items() if form.search(text)), None)
