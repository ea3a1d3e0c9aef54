"""Attention heads and feed-forward neurons: what goes is what was asked, and what stays answers as before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from tasks.core import checkpoint
from tasks.core.contract import Outcome
from tasks.core.errors import TechniqueError
from tasks.core.export import export, parity
from tasks.techniques import prune
from tests.unit import tiny, tiny_bert

each = pytest.mark.parametrize("kind", ["bert", "distilbert"])


def pruned(kind: str = "bert", **params: Any) -> Outcome:
    torch.manual_seed(0)
    network, data = tiny_bert.network(kind), tiny_bert.sentences()
    return prune.apply(network, data, prune.Params(**{"round_to": 1} | params))


@each
def test_a_plain_ratio_takes_heads_and_neurons_and_leaves_the_hidden_width(kind: str) -> None:
    outcome = pruned(kind, ratio=0.5)
    units: Any = outcome.facts["units"]
    assert sorted(units.values()) == [[4, 2], [4, 2], [48, 24], [48, 24]]
    left: Any = outcome.facts["layers_left_alone"]
    assert set(left.values()) == {"the hidden width of a transformer stays", "gives the logits"}
    assert tiny.logits(outcome.model, tiny_bert.sentences()).shape == (24, 2)


@each
@pytest.mark.parametrize("importance", ["l1", "l2", "taylor"])
def test_a_head_and_neurons_that_do_nothing_go_first_and_the_answers_stay(kind: str, importance: str) -> None:
    network, data = tiny_bert.network(kind), tiny_bert.sentences()
    linears = dict(network.module.named_modules())
    block: Any
    if kind == "bert":
        block = linears["encoder.encoder.layer.0.attention.self"]
        makers, reader = (
            (block.query, block.key, block.value),
            linears["encoder.encoder.layer.0.attention.output.dense"],
        )
        up, down = (linears[f"encoder.encoder.layer.0.{n}.dense"] for n in ("intermediate", "output"))
    else:
        block = linears["encoder.transformer.layer.0.attention"]
        makers, reader = (block.q_lin, block.k_lin, block.v_lin), block.out_lin
        up, down = (linears[f"encoder.transformer.layer.0.ffn.{n}"] for n in ("lin1", "lin2"))
    with torch.no_grad():
        for layer in makers:
            layer.weight[8:16] *= 1e-6
        reader.weight[:, 8:16] = 0
        up.weight[::2] *= 1e-6
        down.weight[:, ::2] = 0
    before = tiny.logits(network, data)
    names = {n: m for n, m in linears.items() if isinstance(m, nn.Linear)}
    own = {n: 0.0 for n in names if ".layer.1." in n and n.endswith(("query", "q_lin", "intermediate.dense", "lin1"))}
    params = prune.Params(heads=0.25, ffn=0.5, layers=own, importance=importance, round_to=1)
    outcome = prune.apply(network, data, params)
    assert np.allclose(tiny.logits(outcome.model, data), before, atol=1e-4 * before.std())
    units: Any = outcome.facts["units"]
    assert sorted(units.values()) == [[4, 3], [4, 4], [48, 24], [48, 48]]


@each
def test_a_pruned_transformer_is_built_again_from_disk(kind: str, tmp_path: Path) -> None:
    data, once = tiny_bert.sentences(), pruned(kind, heads=0.25, ffn=0.5).model
    twice = prune.apply(once, data, prune.Params(heads=0.4, round_to=1)).model
    checkpoint.save(twice, data, tmp_path)
    loaded = checkpoint.load(tmp_path, data)
    assert [c["change"] for c in loaded.changes] == ["resize", "heads", "resize", "heads"]
    assert np.array_equal(tiny.logits(loaded, data), tiny.logits(twice, data))


def test_one_ranking_never_compares_heads_with_neurons() -> None:
    units: Any = pruned(ratio=0.5, scope="global", importance="taylor").facts["units"]
    heads = [left for before, left in units.values() if before == 4]
    neurons = [left for before, left in units.values() if before == 48]
    assert sum(heads) == 4 and sum(neurons) == 48 and min(heads) >= 1


def test_macs_of_a_transformer_end_under_the_target() -> None:
    facts: Any = pruned(macs_ratio=0.6, importance="taylor").facts
    assert 0.5 < facts["macs_after"] / facts["macs_before"] <= 0.6


def test_recovery_trains_a_pruned_transformer() -> None:
    recover = {"epochs": 1, "lr": 1e-4, "batch": 16, "optimizer": "adamw"}
    facts = pruned(heads=0.5, rounds=2, recover=recover).facts
    assert facts["epochs_trained"] == 1 and isinstance(facts["rounds"], list)


def test_attention_that_is_not_of_plain_layers_is_refused() -> None:
    network = tiny_bert.network()
    attention: Any = network.module.get_submodule("encoder.encoder.layer.0.attention.self")
    attention.query = nn.Sequential(nn.Linear(32, 4), nn.Linear(4, 32))
    with pytest.raises(TechniqueError, match=r"layer\.0\.attention\.self'.*query.*prune before factorizing"):
        prune.apply(network, tiny_bert.sentences(), prune.Params(ratio=0.5))


@pytest.mark.integration
@each
def test_onnx_runtime_answers_as_the_head_pruned_network(kind: str) -> None:
    model, data = pruned(kind, heads=0.5, ffn=0.25).model, tiny_bert.sentences()
    assert parity(model, export(model, data), data) < 1e-4  # type: ignore[arg-type]
