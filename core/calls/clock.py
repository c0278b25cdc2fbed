"""The moments of a call's life, and the figures that its caller gets of them."""

from __future__ import annotations

import time
from dataclasses import dataclass

from core.calls.events import Timing


@dataclass
class Clock:
    """Moments in seconds of `time.monotonic()`; 0 means not yet. `load_s` is how long its model was waited for."""

    submitted: float
    load_s: float = 0.0
    admitted: float = 0.0
    first_token: float = 0.0

    def timing(self) -> Timing:
        """The clock read now, in seconds. What has not come yet ends now; without a token, `ttft_s` is 0."""
        now = time.monotonic()
        admitted, first = self.admitted or now, self.first_token or now
        return Timing(
            queued_s=max(admitted - self.submitted - self.load_s, 0.0),
            load_s=self.load_s,
            prefill_s=max(first - admitted, 0.0),
            ttft_s=first - self.submitted if self.first_token else 0.0,
            decode_s=max(now - first, 0.0),
            total_s=now - self.submitted,
        )
