"""The image on the system's clipboard, through the platform's own tools: Textual sees pasted text alone."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from core.errors import InvalidImage
from core.media.images import ImageData, check_image

_TIMEOUT_S = 5.0

# Writes the clipboard's picture, as PNG, into the file named by its argument; says "none" when there is no picture.
_OSASCRIPT = """
on run argv
  try
    set picture to the clipboard as «class PNGf»
  on error
    return "none"
  end try
  set target to open for access POSIX file (item 1 of argv) with write permission
  set eof target to 0
  write picture to target
  close access target
  return "ok"
end run
"""


def _run(*command: str) -> bytes:
    return subprocess.run(command, capture_output=True, timeout=_TIMEOUT_S, check=False).stdout


def _macos() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "clipboard.png"
        answer = _run("osascript", "-e", _OSASCRIPT, str(target))
        return target.read_bytes() if answer.strip() == b"ok" and target.exists() else b""


def _linux() -> bytes:
    if os.environ.get("WAYLAND_DISPLAY") and shutil.which("wl-paste"):
        return _run("wl-paste", "--no-newline", "--type", "image/png")
    if os.environ.get("DISPLAY") and shutil.which("xclip"):
        return _run("xclip", "-selection", "clipboard", "-target", "image/png", "-out")
    raise InvalidImage(
        "The clipboard cannot be read here: that needs wl-paste (Wayland) or xclip (X11) on this machine. "
        "Type @ and the image's path instead, or drop the file on the terminal."
    )


def clipboard_image() -> ImageData | None:
    """The clipboard's image, or None when it holds no image. Blocks for up to five seconds.

    Raises InvalidImage when no tool can read the clipboard, or when the image is beyond the limits.
    """
    try:
        data = _macos() if sys.platform == "darwin" else _linux()
    except (OSError, subprocess.TimeoutExpired) as error:
        raise InvalidImage(f"The clipboard could not be read: {error}.") from error
    return check_image(data, "clipboard.png") if data else None
