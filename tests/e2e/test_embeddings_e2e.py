"""Embeddings over HTTP with the official client: unit vectors, the same alone and in company."""

from __future__ import annotations

import math

from tests.e2e.conftest import Target, on

ALIKE = ("A cat sleeps on the sofa.", "A kitten naps on the couch.", "The stock market fell on Monday.")


@on("embeddings")
def test_vectors_have_length_one_and_do_not_depend_on_company(target: Target) -> None:
    with target.openai() as client:
        made = client.embeddings.create(model=target.model, input=list(ALIKE))
        alone = [client.embeddings.create(model=target.model, input=text).data[0].embedding for text in ALIKE]
    assert [item.index for item in made.data] == [0, 1, 2]
    assert made.usage.prompt_tokens == made.usage.total_tokens > 0
    for item, other in zip(made.data, alone, strict=True):
        assert math.isclose(dot(item.embedding, item.embedding), 1, abs_tol=1e-4)
        assert dot(item.embedding, other) > 0.999
    if target.reference:  # random weights know nothing of cats
        cat, kitten, market = (item.embedding for item in made.data)
        assert dot(cat, kitten) > dot(cat, market) + 0.1


def dot(a: list[float], b: list[float]) -> float:
    return math.fsum(x * y for x, y in zip(a, b, strict=True))
