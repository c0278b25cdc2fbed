"""Earlier messages, brought back by the up key as a shell does; the draft waits meanwhile. Knows no widget."""

from __future__ import annotations

from collections.abc import Callable


class Recall:
    """What can be brought back, and which of it is shown: what was sent since the start, the chat's own behind it."""

    def __init__(self) -> None:
        self._sent: list[str] = []
        self._before = 0
        """How many of them were sent before the chat was shown that is shown now."""
        self._lines: list[str] = []
        self._at = 0
        self._changed: dict[str, str] = {}
        """What was made of lines that were left again, until something is sent."""
        self.draft: str | None = None
        """What was written when looking back began; None while nothing is looked up."""

    @property
    def active(self) -> bool:
        """Whether an earlier message is shown in place of the draft."""
        return self.draft is not None

    def written(self, text: str) -> str:
        """What is to be kept of what is shown: the draft; an earlier message that was changed is written too."""
        if self.draft is None:
            return text
        return "\n".join(filter(None, (self.draft, text if text != self._lines[self._at] else "")))

    def back(self, text: str, asked: Callable[[], list[str]]) -> str | None:
        """The message before what is shown, None if there is none. `asked` tells what was asked in the chat."""
        if self.draft is None:
            lines = [*self._sent[: self._before], *asked(), *self._sent[self._before :]]
            self._lines = list(dict.fromkeys(line for line in lines[::-1] if line.strip()))[::-1]
            self._at = len(self._lines)
            if not self._lines:
                return None
            self.draft = text
        elif self._at == 0:
            return None
        else:
            self._keep(text)
        self._at -= 1
        return self._now

    def forth(self, text: str) -> str:
        """The message after what is shown, or the draft behind the last one."""
        self._keep(text)
        self._at += 1
        if self._at < len(self._lines):
            return self._now
        draft, self.draft = self.draft or "", None
        return draft

    def leave(self) -> None:
        """Something else is written now."""
        self.draft = None

    def sent(self, text: str) -> None:
        """A message has gone out: it is the last one, and changes of others are forgotten."""
        if text.strip():
            self._sent.append(text.strip())
        self._changed.clear()

    def turn_page(self) -> None:
        """Another chat is shown."""
        self._before = len(self._sent)
        self._changed.clear()

    @property
    def _now(self) -> str:
        line = self._lines[self._at]
        return self._changed.get(line, line)

    def _keep(self, text: str) -> None:
        line = self._lines[self._at]
        if text == line:
            self._changed.pop(line, None)
        else:
            self._changed[line] = text
