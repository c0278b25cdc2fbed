"""Sizes in sentences: small ones are not rounded to nothing."""

from __future__ import annotations

import pytest

from core.sizes import readable_size


@pytest.mark.parametrize(
    ("nbytes", "said"),
    [
        (0, "0.0 MB"),
        (430_000, "0.4 MB"),
        (31e6, "31 MB"),
        (99.9e6, "100 MB"),
        (0.1e9, "0.10 GB"),
        (17.256e9, "17.26 GB"),
    ],
)
def test_a_size_is_said_in_the_unit_that_fits(nbytes: float, said: str) -> None:
    assert readable_size(nbytes) == said
