"""What a model's files have its image processor make of an image, within bounds, before it is shown one.

The libraries do as preprocessor_config.json and processor_config.json say: a side of 200,000 pixels is 480 GB. Real
models stay far below: the most that one is known to ask for is 4096 x 4096.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from core.catalog.config import read_json

MOST_PIXELS = 4096 * 4096
"""Pixels of an image as a processor makes it, all its tiles together."""
MOST_SHORT = 1024
"""Of a shorter side that is asked for alone: the longer one may be 200 times as long."""
MOST_TOKENS = 65_536
"""Tokens or patches of one image."""
MOST_TILES = 1024
"""Tiles of one image, whatever their size."""
MOST_FOR_ALL = {"merge_size": 16, "temporal_patch_size": 16, "patch_size": 1024}
"""A side is rounded up to a multiple of these, and an image is repeated as one of so many frames."""
FILES = ("preprocessor_config.json", "processor_config.json")
PARTS = ("image_processor", "media_proc_cfg", "images_kwargs")
DEEPEST = 4

_PIXELS = re.compile(r"(min|max)(_total)?_pixels")
_TOKENS = re.compile(
    r"(image_(seq_length|seq_len|token_length)|num_(image|img)_tokens|num_image_token|tokens_per_image)"
)
_COUNTS = re.compile(
    r"(min|max)_(num_)?(image_tokens|soft_tokens|num_patches|patches)|max_num_image_tokens|in_(token|patch)_limit"
)
_TILES = re.compile(r"(max_(image_|num_)?tiles|(max|num|pan_and_scan_max_num)_crops|max_slice_nums|max_num_chunks)")
_TILES_TOO = re.compile(r"dynamic_max_num|max_dynamic_patch|max_num|split_resolutions_max")
_SIDES = re.compile(
    r"(max_|min_|crop_|image_|img_|input_|tile_|base_|pad_|new_|final_|max_image_|min_image_|base_image_input_|base_input_|)"
    r"size|scale_resolution|candidate_resolutions|possible_resolutions|split_resolutions|image_grid_pinpoints|"
    r"(size_|pad_size_)?divisor|pad_to_multiple_of|ensure_multiple_of|size_divisibility|factor|"
    r"rescale_image_max_upscaled_long_edge|min_short_side_pixel"
)


def told_too_much(folder: Path) -> str | None:
    """What a model's files say that is too much, as a clause that names file and value; None where there is nothing.

    Asked before a processor is built, which may itself build too much. Raises ValueError as `read_json`.
    """
    for name in FILES:
        found = _judged(read_json(folder / name) or {}, counts_pixels=True)  # the milder reading
        if found is not None:
            return f"{name}: {found}"
    return None


def too_much(processor: Any) -> str | None:
    """What a processor would make too much of, as a clause that names the value; None where there is nothing.

    Its class says what a size means, and it has values that no file names.
    """
    for part in (processor, getattr(processor, "image_processor", None)):
        counts_pixels = any(hasattr(sys.modules.get(kind.__module__), "smart_resize") for kind in type(part).__mro__)
        found = _judged(_values(part), counts_pixels)
        if found is not None:
            return found
    return None


def _values(part: Any) -> Mapping[str, Any]:
    return part if isinstance(part, Mapping) else getattr(part, "__dict__", {})


def _plain(value: Any) -> Any:
    """A value as JSON would have it: transformers has a class for sizes."""
    return vars(value) if type(value).__name__ == "SizeDict" else value


def _judged(values: Mapping[str, Any], counts_pixels: bool, depth: int = 0) -> str | None:
    """The first value that is beyond its bound; `counts_pixels` says that edges stand for numbers of pixels."""
    values = {str(name): _plain(value) for name, value in values.items()}
    area = max((_area(value) for name, value in values.items() if _SIDES.fullmatch(name)), default=0.0)
    for name, value in values.items():
        if name in PARTS and isinstance(value, Mapping) and depth < DEEPEST:
            found = _judged(value, counts_pixels, depth + 1)
        else:
            found = _of_one(name, value, counts_pixels, area)
        if found is not None:
            return found
    return _upside_down(values.get("min_pixels"), values.get("max_pixels"), "min_pixels", "max_pixels")


def _of_one(name: str, value: Any, counts_pixels: bool, area: float) -> str | None:
    if _PIXELS.fullmatch(name):
        return _beyond(name, value, MOST_PIXELS, "pixels of an image")
    if (most := MOST_FOR_ALL.get(name)) is not None:
        return next((found for one in _numbers(value) if (found := _beyond(name, one, most, "of it"))), None)
    if _TOKENS.match(name) or _COUNTS.fullmatch(name):
        return next(
            (found for one in _numbers(value) if (found := _beyond(name, one, MOST_TOKENS, "of an image"))), None
        )
    if _TILES.fullmatch(name) or _TILES_TOO.fullmatch(name):
        most = min(MOST_TILES, int(MOST_PIXELS / area) if area else MOST_TILES)
        return _beyond(name, value, most, "tiles of an image")
    if _SIDES.fullmatch(name):
        return _of_sides(name, value, counts_pixels)
    return None


def _of_sides(name: str, value: Any, counts_pixels: bool) -> str | None:
    """Of a size, in any of its spellings: a side, two, named ones, or a list of them."""
    if isinstance(value, Mapping):
        named = {str(key): one for key, one in value.items()}
        edges = [f"{name}.{edge}" for edge in ("shortest_edge", "longest_edge")]
        shortest, longest = named.get("shortest_edge"), named.get("longest_edge")
        if counts_pixels:
            for edge, one in zip(edges, (shortest, longest), strict=True):
                if (found := _beyond(edge, one, MOST_PIXELS, "pixels of an image")) is not None:
                    return found
            if (found := _upside_down(shortest, longest, *edges)) is not None:
                return found
        else:
            most = MOST_PIXELS**0.5 if _numbers(longest) else MOST_SHORT
            for edge, one in zip(edges, (shortest, longest), strict=True):
                if (found := _beyond(edge, one, int(most), "pixels of a side")) is not None:
                    return found
        for key in ("min_pixels", "max_pixels"):
            if (found := _beyond(f"{name}.{key}", named.get(key), MOST_PIXELS, "pixels of an image")) is not None:
                return found
        if found := _upside_down(named.get("min_pixels"), named.get("max_pixels"), f"{name}.min_pixels", "max_pixels"):
            return found
    if any(not number >= 1 for number in _numbers(value)):
        return f"{name} is {_short(value)}, and no side of an image has less than one pixel"
    if _area(value) > MOST_PIXELS:
        return f"{name} is {_short(value)}, and at most {MOST_PIXELS:,} pixels are made of an image"
    return None


def _area(value: Any) -> float:
    """Pixels of the largest size that a value spells."""
    if isinstance(value, Mapping):
        named = [*_numbers(value.get("height")), *_numbers(value.get("width"))]
        sides = named or [*_numbers(value.get("max_height")), *_numbers(value.get("max_width"))]
        return sides[0] * sides[-1] if sides else 0.0
    if isinstance(value, Sequence) and not isinstance(value, str):
        if any(isinstance(one, Sequence) for one in value):
            return max((_area(one) for one in value), default=0.0)
        sides = list(_numbers(value))
        return sides[0] * sides[-1] if sides else 0.0
    sides = _numbers(value)
    return sides[0] * sides[0] if sides else 0.0


def _numbers(value: Any) -> list[float]:
    if isinstance(value, Mapping):
        return [number for one in value.values() for number in _numbers(one)]
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [number for one in value for number in _numbers(one)]
    return [value] if isinstance(value, int | float) and not isinstance(value, bool) else []


def _beyond(name: str, value: Any, most: int, what: str) -> str | None:
    number = next(iter(_numbers(value)), None)
    if number is None or number <= most:
        return None
    return f"{name} is {_short(value)}, and at most {most:,} {what} are possible"


def _upside_down(least: Any, most: Any, least_name: str, most_name: str) -> str | None:
    low, high = next(iter(_numbers(least)), None), next(iter(_numbers(most)), None)
    if low is None or high is None or low <= high:
        return None
    return f"{least_name} is {_short(low)}, which is more than {most_name}, {_short(high)}"


def _short(value: Any) -> str:
    try:
        spelled = f"{value:,}" if isinstance(value, int | float) else str(value)
    except ValueError:  # an integer of thousands of digits
        return "a number of thousands of digits"
    return spelled if len(spelled) <= 80 else f"{spelled[:79]}…"
