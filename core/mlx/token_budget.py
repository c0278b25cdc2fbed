"""How many tokens are processed at once, so that nothing waits for long: found out by the clock."""

from __future__ import annotations


class TokenBudget:
    """A prefill budget: `limit` moves towards as many tokens as take `seconds`, between `least` and `most`."""

    def __init__(self, limit: int, least: int, most: int, seconds: float) -> None:
        self.limit = limit
        self._least = least
        self._most = most
        self.seconds = seconds

    def saw(self, tokens: int, seconds: float) -> None:
        """Move half way to what would have taken the right time; a few tokens tell little of many."""
        if tokens >= self.limit // 2 or seconds > self.seconds:
            fitting = int(tokens * self.seconds / max(seconds, 1e-6))
            self.limit = max(self._least, min((self.limit + fitting) // 2, self._most))
