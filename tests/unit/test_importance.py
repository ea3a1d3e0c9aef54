"""Importance: every kind against its definition written out, on a network small enough to do so."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tasks.core import importance
from tasks.core.contract import Network
from tasks.core.errors import TechniqueError
from tasks.core.shape import body_of, example, spec_of
from tasks.core.shrink import survey
from tasks.techniques import prune
from tests.unit import tiny, tiny_bert


def scored(network: Network, kind: importance.Importance, data: object = None) -> dict[str, Tensor]:
    data = data or tiny.pictures()
    parts = survey(network.module, example(spec_of(data), 2))  # type: ignore[arg-type]
    return importance.scores(network.module, parts, data, kind)  # type: ignore[arg-type]


def middle(network: Network) -> tuple[nn.Module, nn.Module, nn.Module]:
    """The second convolution of small_cnn, its norm, and the convolution that reads it."""
    body = body_of(network.module)
    return body[2][0], body[2][1], body[4][0]  # type: ignore[index]


@pytest.mark.parametrize(("kind", "p"), [("l1", 1), ("l2", 2)])
def test_norms_are_over_rows_scales_and_columns(kind: importance.Importance, p: int) -> None:
    network = tiny.trained()
    conv, norm, reader = (m.weight.detach().numpy().astype(float) for m in middle(network))  # type: ignore[union-attr,operator]
    expected = np.array(
        [
            np.linalg.norm(np.concatenate([conv[c].ravel(), [norm[c]], reader[:, c].ravel()]), ord=p)
            for c in range(len(conv))
        ]
    )
    assert np.allclose(scored(network, kind)["body.2.0"], expected / expected.mean())


def test_batch_norm_scale_is_the_size_of_gamma() -> None:
    network = tiny.trained()
    gamma = middle(network)[1].weight.detach().abs()  # type: ignore[operator,union-attr]
    assert torch.equal(scored(network, "bn_scale")["body.2.0"].float(), gamma)


def test_taylor_is_weight_times_slope_in_batches() -> None:
    network, data = tiny.trained(), tiny.pictures()
    calibration = data.split("calibration")
    conv, norm, reader = middle(network)
    expected = torch.zeros(16)
    for start in range(0, len(calibration), importance.BATCH):
        rows = slice(start, start + importance.BATCH)
        logits = network.module(torch.tensor(calibration.inputs["images"][rows]))
        network.module.zero_grad()
        nn.CrossEntropyLoss(reduction="sum")(logits, torch.tensor(calibration.labels[rows])).backward()
        for layer, dims in ((conv, (1, 2, 3)), (reader, (0, 2, 3))):
            expected += (layer.weight * layer.weight.grad).abs().sum(dims).detach()  # type: ignore[operator,union-attr]
        for p in norm.parameters():
            expected += (p * p.grad).abs().detach()  # type: ignore[operator]
    found = scored(network, "taylor")["body.2.0"].float()
    assert torch.allclose(found, expected / len(calibration), rtol=1e-4)


def test_taylor_finds_the_channels_that_the_loss_does_not_see() -> None:
    network = tiny.trained()
    _, _, reader = middle(network)
    silent = [2, 7, 11]
    with torch.no_grad():
        reader.weight[:, silent] = 0  # type: ignore[index,operator]
    assert scored(network, "taylor")["body.2.0"].argsort()[:3].sort().values.tolist() == silent


@pytest.mark.parametrize("kind", ["bert", "distilbert"])
def test_the_gate_of_a_head_predicts_what_closing_it_a_little_does(kind: str) -> None:
    """|dL/dg| of each row by a difference: the head's columns of the next layer made 0.1 % smaller and larger."""
    network, data = tiny_bert.network(kind), tiny_bert.sentences()
    module = network.module.double()
    parts = survey(module, example(spec_of(data), 2))
    found = importance.taylor(module, parts, data)
    for part in (parts[0], parts[-1]):
        assert part.gated is not None
        rows = data.split("calibration")
        columns = part.slices[-1].unit == 1
        losses = []
        for factor in (0.999, 1.001):
            kept = part.gated.weight.detach().clone()
            with torch.no_grad():
                part.gated.weight[:, columns] *= factor
                logits = module(*(torch.tensor(x) for x in rows.inputs.values()))
                part.gated.weight.copy_(kept)
            losses.append(nn.functional.cross_entropy(logits, torch.tensor(rows.labels), reduction="none"))
        expected = ((losses[1] - losses[0]) / 0.002).abs().mean()
        assert float(found[part.name][1]) == pytest.approx(float(expected), rel=1e-3)


def test_random_follows_the_seed_and_nothing_else() -> None:
    torch.manual_seed(3)
    first = scored(tiny.trained(), "random")
    torch.manual_seed(3)
    assert all(torch.equal(first[n], s) for n, s in scored(tiny.trained(), "random").items())
    assert not any(torch.equal(first[n], s) for n, s in scored(tiny.trained(), "random").items())


def test_batch_norm_scale_without_batch_norm_is_refused() -> None:
    with pytest.raises(TechniqueError, match=r"bn_scale: no batch norm follows.*allowed here: l1, l2"):
        prune.apply(tiny.trained("numbers"), tiny.numbers(), prune.Params(ratio=0.5, importance="bn_scale"))
