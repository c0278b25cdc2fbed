"""Images of a case: those that lie beside a prompt, and each read and known by its content."""

from __future__ import annotations

import os
from pathlib import Path

from core.errors import InvalidImage
from core.golden.nearest import did_you_mean
from core.golden.suite import Problem, SuiteImage
from core.media.images import read_image

IMAGE_ENDINGS = (".png", ".jpg", ".jpeg", ".mpo", ".webp", ".gif")
"""In any case: cameras write .JPG."""
ENDING_OF = {"image/jpeg": ".jpg", "image/png": ".png", "image/webp": ".webp", "image/gif": ".gif"}
"""How an image that came without a name is called."""
NOT_SHOWN = (".heic", ".heif", ".avif", ".tif", ".tiff", ".bmp", ".svg", ".jxl", ".jp2", ".ico", ".pdf", ".psd")
"""Pictures that are not read."""


def beside(prompt: Path) -> tuple[list[Path], list[Problem]]:
    """The image of the prompt's stem, and what is wrong with the pictures that lie there."""
    problems: list[Problem] = []
    near = [file for file in sorted(prompt.parent.iterdir()) if file.stem.lower() == prompt.stem.lower()]
    shown = [file for file in near if file.stem == prompt.stem and file.suffix.lower() in IMAGE_ENDINGS]
    for file in near:
        why = ""
        if file.suffix.lower() in NOT_SHOWN:
            why = f"{file.suffix[1:].upper()} is not read. Convert it to PNG or JPEG"
        elif file.suffix.lower() in IMAGE_ENDINGS and file not in shown:
            why = f"its name is not {prompt.stem}, to the letter"
        if why:
            message = f"{file.name} lies beside the prompt and is not shown: {why}."
            problems.append(Problem(message, prompt, warning=True))
    if len(shown) > 1:
        names = " and ".join(image.name for image in shown)
        problems.append(Problem(f"{names} both belong to this prompt: name the images in a sidecar.", prompt))
    return shown[:1], problems


def read(image: Path, file: Path, line: int | None) -> SuiteImage | Problem:
    """An image that `file` names in this line, or why it cannot be shown."""
    image = Path(os.path.normpath(image))
    if not image.is_file():
        near = [other.name for other in image.parent.glob("*") if other.suffix.lower() in IMAGE_ENDINGS]
        return Problem(f"There is no image {image}{did_you_mean(image.name, near)}.", file, line)
    try:
        data = read_image(image)
    except InvalidImage as error:
        return Problem(str(error), file, line)
    return SuiteImage(image, data.sha256, data.width, data.height)
