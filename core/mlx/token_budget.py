"""How many tokens are processed at once, so that nothing waits for long: found out by the clock."""

from __future__ import annotations

STANDING_S = 0.25
"""How long others stand at most for a piece of a prompt that is not theirs, as far as SMALLEST lets it be cut and no
longer time is allowed."""
SMALLEST = 8
"""Into so many pieces what is read at once otherwise is cut at most: each reads all of a model's weights."""


class TokenBudget:
    """A prefill budget: `limit` moves towards as many tokens as take `seconds`, between `least` and `most`."""

    def __init__(self, limit: int, least: int, most: int, seconds: float) -> None:
        self.limit = limit
        self._least = least
        self._most = most
        self.seconds = seconds
        self._pace = 0.0
        """Tokens a second of late; 0 means not known."""

    @property
    def beside(self) -> int:
        """As `limit`, but fewer where others would stand for longer than STANDING_S."""
        if not self._pace or not self.seconds:
            return self.limit
        return max(min(self.limit, int(self._pace * max(STANDING_S, self.seconds))), self._least // SMALLEST, 1)

    def saw(self, tokens: int, seconds: float) -> None:
        """Move half way to what would have taken the right time; a few tokens tell little of many."""
        pace = tokens / max(seconds, 1e-6)
        if tokens >= self.limit // 2 or seconds > self.seconds:
            fitting = int(pace * self.seconds)
            self.limit = max(self._least, min((self.limit + fitting) // 2, self._most))
        if tokens >= self.beside // 2 or seconds > STANDING_S:
            self._pace = min((self._pace or pace) + pace, 2 * pace) / 2  # a slower one is believed at once
