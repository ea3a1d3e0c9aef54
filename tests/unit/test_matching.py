"""Hidden layers and attention: each loss against its paper's own formula, written again in numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import softmax
from scipy.stats import entropy
from torch import nn

from tasks.core import matching
from tasks.core.errors import TechniqueError
from tasks.core.pairing import pair_loss
from tests.unit import tiny, tiny_reader

RNG = np.random.default_rng(3)
MASK = np.array([[1, 1, 1, 0], [1, 1, 0, 0]])


def test_attention_map_is_the_normalised_sum_of_squares_over_channels() -> None:
    student, teacher = RNG.normal(size=(2, 3, 4, 4)), RNG.normal(size=(2, 5, 4, 4))
    q = [np.square(x).sum(1).reshape(2, 16) for x in (student, teacher)]
    q = [x / np.linalg.norm(x, axis=1, keepdims=True) for x in q]
    expected = np.mean(np.linalg.norm(q[0] - q[1], axis=1) ** 2)
    found = matching.map_loss(torch.tensor(student), torch.tensor(teacher))
    assert found.item() == pytest.approx(expected, rel=1e-5)
    assert matching.map_loss(torch.tensor(student), torch.tensor(-7 * student)).item() == pytest.approx(0, abs=1e-9)


def test_cosine_loss_leaves_padding_out() -> None:
    student, teacher = RNG.normal(size=(2, 4, 6)), RNG.normal(size=(2, 4, 6))
    cosines = [
        student[n, t] @ teacher[n, t] / np.linalg.norm(student[n, t]) / np.linalg.norm(teacher[n, t])
        for n, t in zip(*np.nonzero(MASK), strict=True)
    ]
    found = matching.cosine_loss(torch.tensor(student), torch.tensor(teacher), torch.tensor(MASK))
    assert found.item() == pytest.approx(1 - np.mean(cosines), rel=1e-5)


def numpy_relations(a: np.ndarray, b: np.ndarray, heads: int) -> dict[tuple[int, int, int], np.ndarray]:  # type: ignore[type-arg]
    size, out = a.shape[-1] // heads, {}
    for n, t in zip(*np.nonzero(MASK), strict=True):
        for h in range(heads):
            part = slice(h * size, (h + 1) * size)
            seen = np.flatnonzero(MASK[n])
            out[n, t, h] = softmax(np.array([a[n, t, part] @ b[n, u, part] for u in seen]) / np.sqrt(size))
    return out


@pytest.mark.parametrize("values", [False, True])
def test_relations_are_minilm_s(values: bool) -> None:
    """The mean over tokens and heads of KL(teacher || student); the teacher is wider and has heads of another size."""
    own, theirs = RNG.normal(size=(3, 2, 4, 8)), RNG.normal(size=(3, 2, 4, 12))

    def kl(i: int, j: int) -> float:
        s, t = numpy_relations(own[i], own[j], 2), numpy_relations(theirs[i], theirs[j], 2)
        return float(np.mean([entropy(t[key], s[key]) for key in t]))

    found = matching.attention_loss(
        matching.Attention(*torch.tensor(own), heads=2),
        matching.Attention(*torch.tensor(theirs), heads=3),
        torch.tensor(MASK),
        values=values,
    )
    assert found.item() == pytest.approx(kl(0, 1) + (kl(2, 2) if values else 0), rel=1e-4)


def test_what_is_watched_is_what_transformers_attends_with() -> None:
    module = tiny_reader.seeded(1)
    ids, mask = tiny.inputs(tiny_reader.sentences())
    name = "encoder.encoder.layer.0.attention.self"
    with matching.watching_attention(module, name, "student") as seen, torch.no_grad():
        theirs = module.encoder(ids, mask, output_attentions=True).attentions[0]  # type: ignore[operator, union-attr]
        found = matching.relation(seen[0].query, seen[0].key, seen[0].heads, mask).exp()
    kept = mask[:, None, :, None].bool().expand_as(found)
    assert torch.allclose(found[kept], theirs[kept], atol=1e-5)


def test_a_layer_without_projections_is_refused_and_one_that_has_them_is_named() -> None:
    with pytest.raises(TechniqueError, match=r"is a Linear; allowed.*encoder\.encoder\.layer\.0\.attention\.self"):
        with matching.watching_attention(tiny_reader.seeded(1), "classifier", "student"):
            pass


@pytest.mark.parametrize(
    ("match", "student", "teacher", "why"),
    [
        ("cosine", (2, 3, 4), (2, 3, 8), "needs equal features"),
        ("map", (2, 3, 4), (2, 3, 4), "for convolutions"),
        ("map", (2, 3, 4, 4), (2, 3, 2, 2), "same resolution"),
    ],
)
def test_pairs_that_cannot_be_matched(match: str, student: tuple[int, ...], teacher: tuple[int, ...], why: str) -> None:
    with pytest.raises(TechniqueError, match=why):
        pair_loss(match, [torch.zeros(student)], [torch.zeros(teacher)], nn.ModuleList())
