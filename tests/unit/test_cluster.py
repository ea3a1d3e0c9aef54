"""Weight sharing: few values, near the best ones, the file is the network, and the values can be trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from tasks import build
from tasks.core import checkpoint, kmeans, srz
from tasks.core.contract import Card, Network, Outcome
from tasks.core.sharing import Codebook, Shared, shared
from tasks.techniques import cluster
from tests.unit import tiny

RNG = np.random.default_rng(3)


def clustered(parent: Network | None = None, **params: Any) -> Outcome:
    settings = cluster.Params(**{"clusters": 16, "coder": "huffman"} | params)
    return cluster.apply(parent or tiny.trained(), tiny.pictures(), settings)


def error(values: np.ndarray[Any, Any], centres: np.ndarray[Any, Any]) -> float:
    """Mean squared distance to the nearest centre, by comparing with every one."""
    return float(np.square(values[:, None] - centres[None]).min(1).mean())


def best_error(values: np.ndarray[Any, Any], clusters: int) -> float:
    """The least mean squared distance there is, by dynamic programming over the sorted values."""
    x = np.sort(values.astype(np.float64))
    sums, squares = (np.concatenate([[0.0], np.cumsum(v)]) for v in (x, x * x))
    first, last = np.meshgrid(np.arange(len(x) + 1), np.arange(len(x) + 1), indexing="ij")
    n = np.maximum(last - first, 1)
    cost = squares[last] - squares[first] - (sums[last] - sums[first]) ** 2 / n
    cost[last <= first] = np.inf
    best = cost[0]
    for _ in range(clusters - 1):
        best = (best[:, None] + cost).min(0)
    return float(best[-1] / len(x))


@pytest.mark.parametrize("kind", ["normal", "laplace", "two heaps"])
@pytest.mark.parametrize("clusters", [4, 16])
def test_centroids_are_not_far_from_the_best(kind: str, clusters: int) -> None:
    """Lloyd's method stops at a local optimum; of a few hundred values, the hardest case, it is within half."""
    draw = {"normal": RNG.normal(size=600), "laplace": RNG.laplace(size=600)}
    values = draw.get(kind, np.concatenate([RNG.normal(-5, 0.1, 300), RNG.normal(3, 1, 300)])).astype(np.float32)
    found = kmeans.centroids(values, clusters)
    assert len(found) <= clusters and (np.diff(found) > 0).all()
    assert error(values, found) <= 1.5 * best_error(values, clusters)


def test_many_values_meet_the_known_error_of_the_normal_distribution() -> None:
    """Max 1960, table I: 16 levels leave 0.009497 of a normal distribution's variance, 8 leave 0.03454."""
    values = RNG.normal(size=400_000).astype(np.float32)
    for clusters, known in ((8, 0.03454), (16, 0.009497)):
        assert error(values[::10], kmeans.centroids(values, clusters)) == pytest.approx(known, rel=0.03)


def test_few_distinct_values_are_kept_as_they_are() -> None:
    values = RNG.choice(np.array([-1.5, 0.1, 7.0], dtype=np.float32), 500)
    assert kmeans.centroids(values, 4).tolist() == np.unique(values).tolist()


def test_every_layer_has_few_values_and_the_rest_is_untouched() -> None:
    parent = tiny.trained()
    outcome = clustered(parent)
    for name, weight in outcome.model.module.named_parameters():
        before = parent.module.get_parameter(name).detach()
        if weight.dim() > 1:
            assert len(weight.unique()) <= 16
            error = float((weight.detach() - before).square().mean() / before.var(correction=0))
            assert outcome.facts["relative_error"][name.removesuffix(".weight")] == pytest.approx(error, abs=1e-6)
        else:
            assert torch.equal(weight, before)
    assert outcome.facts["layers_changed"] == ["body.0.0", "body.2.0", "body.4.0", "body.7"]
    data = tiny.pictures()
    assert tiny.accuracy(tiny.logits(outcome.model, data), data) > 0.95


@pytest.mark.parametrize("coder", ["ans", "huffman"])
def test_the_file_restores_what_the_checkpoint_holds(coder: str, tmp_path: Path) -> None:
    from safetensors.numpy import load_file

    outcome = clustered(coder=coder)
    checkpoint.save(outcome.model, tiny.pictures(), tmp_path)
    kept, restored = load_file(tmp_path / checkpoint.WEIGHTS), srz.decode(outcome.files["model.srz"])
    assert kept.keys() == restored.keys()
    assert all(kept[name].tobytes() == restored[name].tobytes() for name in kept)
    facts = outcome.facts
    assert facts["srz_bytes"] == len(outcome.files["model.srz"]) < 0.5 * sum(x.nbytes for x in kept.values())
    assert facts["srz_entropy_bytes"] <= facts["srz_index_bytes"] < 1.1 * facts["srz_entropy_bytes"]


def test_the_file_lies_in_the_row_s_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    outcome = clustered()
    card = Card(variant="few", parent="big", technique="cluster", form="torch", params={}, facts=outcome.facts)
    build.write(card, outcome.model, tiny.pictures(), outcome.files)
    folder = Path("artifacts/few")
    assert sorted(p.name for p in folder.iterdir()) == [
        "card.json",
        "model.json",
        "model.onnx",
        "model.srz",
        "weights.safetensors",
    ]
    assert (folder / "model.srz").read_bytes() == outcome.files["model.srz"]
    with pytest.raises(AssertionError, match=r"card\.json is not the technique's to write"):
        build.write(card, outcome.model, tiny.pictures(), {"card.json": b""})


def test_more_clusters_less_error() -> None:
    errors = [sum(clustered(clusters=k).facts["relative_error"].values()) for k in (2, 4, 16, 64)]
    assert errors == sorted(errors, reverse=True) and errors[-1] < 0.01


def test_a_centroids_gradient_is_the_sum_of_its_weights() -> None:
    weight = torch.randn(6, 10)
    book = Codebook(weight, 4)
    share = Shared(book)
    numbers = share.right_inverse(weight).requires_grad_()
    torch.testing.assert_close(share(numbers), book.weight())
    pull = torch.randn(6, 10)
    (share(numbers) * pull).sum().backward()
    sums = torch.stack([pull.ravel()[book.index == k].sum() for k in range(4)])
    torch.testing.assert_close(numbers.grad, sums / torch.bincount(book.index).sqrt())


def test_training_keeps_the_sharing_and_leaves_plain_layers() -> None:
    data = tiny.pictures()
    bare = tiny.accuracy(tiny.logits(clustered(clusters=2).model, data), data)
    torch.manual_seed(0)
    outcome = clustered(clusters=2, recover={"epochs": 6, "lr": 0.05, "batch": 32})
    module = outcome.model.module
    assert all(len(p.unique()) <= 2 for p in module.parameters() if p.dim() > 1)
    assert {type(m) for m in module.modules() if hasattr(m, "weight")} == {nn.Conv2d, nn.BatchNorm2d, nn.Linear}
    assert module.state_dict().keys() == tiny.trained().module.state_dict().keys()
    assert tiny.accuracy(tiny.logits(outcome.model, data), data) > max(bare, 0.9)


def test_layers_left_alone_say_why() -> None:
    left = clustered(clusters=80).facts["layers_left_alone"]
    assert left == {"body.0.0": "it has 72 distinct weights, not more than 80"}
    tied = nn.Module()
    tied.a, tied.b = nn.Linear(9, 9), nn.Linear(9, 9)
    tied.b.weight = tied.a.weight
    assert cluster.to_share(tied, 4) == ({}, dict.fromkeys("ab", "its weight is used in several places"))


def test_a_failure_in_training_leaves_plain_layers() -> None:
    layer = nn.Sequential(nn.Linear(5, 5))
    with pytest.raises(ValueError), shared(layer, {"0.weight": Codebook(layer[0].weight, 3)}):
        raise ValueError
    assert type(layer[0]) is nn.Linear and len(layer[0].weight.unique()) <= 3
