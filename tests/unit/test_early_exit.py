"""Early exit: rows leave where they should, whatever stands beside them, and what is skipped is not computed."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from tasks.core import exit_graph, exit_routes, stitch, thresholds
from tasks.core.contract import Data, Graph, Network, Outcome, Split
from tasks.core.errors import TechniqueError
from tasks.core.exit_graph import decided, stitched
from tasks.core.export import LEVELS, session
from tasks.core.graph_macs import graph_macs
from tasks.core.preprocess import Preprocess
from tasks.plan import PlanError, load_plan
from tasks.techniques import early_exit, quantize
from tests.unit import tiny

F = TensorProto.FLOAT


def segment(weight: Any, head: Any, last: bool = False) -> onnx.ModelProto:
    """hidden = x W, logits = hidden H; the last gives the logits alone."""
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["hidden"]),
        helper.make_node("MatMul", ["hidden", "h"], ["logits"]),
    ]
    inits = [numpy_helper.from_array(np.asarray(v, np.float32), k) for k, v in (("w", weight), ("h", head))]
    outs = [helper.make_tensor_value_info(n, F, None) for n in (["logits"] if last else ["logits", "hidden"])]
    graph = helper.make_graph(nodes, "s", [helper.make_tensor_value_info("x", F, ["n", 4])], outs, inits)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def three() -> list[onnx.ModelProto]:
    rng = np.random.default_rng(0)
    return [segment(rng.normal(size=(4, 4)), rng.normal(size=(4, 3)), k == 2) for k in range(3)]


def by_hand(rows: np.ndarray, limits: list[float], measure: str) -> np.ndarray:
    """One row at a time through the three segments, in float64."""
    out = []
    for row in rows.astype(np.float64):
        for k, proto in enumerate(three()):
            w, h = (numpy_helper.to_array(t).astype(np.float64) for t in proto.graph.initializer)
            row = row @ w
            logits = row @ h
            p = np.exp(logits) / np.exp(logits).sum()
            sure = p.max() if measure == "max_probability" else 1 - (-(p * np.log(p)).sum()) / np.log(3)
            if k == 2 or sure >= limits[k]:
                break
        out.append(logits)
    return np.array(out)


@pytest.mark.parametrize("measure", thresholds.MEASURES)
@pytest.mark.parametrize("limits", [[0.6, 0.7], [thresholds.NEVER, 0.5], [0.4, thresholds.ALWAYS]])
def test_every_row_leaves_at_the_first_exit_that_is_sure_enough(measure: str, limits: list[float]) -> None:
    rows = np.random.default_rng(1).normal(size=(64, 4)).astype(np.float32) / 2
    proto = stitched(three(), limits, measure, 3)
    onnx.checker.check_model(proto, full_check=True)
    run = session(proto)
    together = run.run(None, {"x": rows})[0]
    alone = np.concatenate([run.run(None, {"x": rows[i : i + 1]})[0] for i in range(64)])
    np.testing.assert_allclose(together, by_hand(rows, limits, measure), rtol=2e-4, atol=2e-5)
    np.testing.assert_allclose(alone, together, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("measure", thresholds.MEASURES)
def test_a_stitched_graph_that_any_level_of_optimization_spoils_is_caught(
    measure: str, level: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(1)
    part = Split({"x": rng.normal(size=(64, 4)).astype(np.float32) / 2}, np.arange(64) % 3)
    data = Data(part, ("a", "b", "c"), Preprocess(kind="array"), val=part)
    proto = stitched(three(), [0.6, 0.7], measure, 3)
    exit_routes.check(proto, three(), [0.6, 0.7], measure, data)
    wrong = stitched([segment(np.eye(4), np.ones((4, 3))), *three()[1:]], [0.6, 0.7], measure, 3)
    monkeypatch.setattr(exit_routes, "session", lambda p, at: session(wrong if at == level else p, at))
    with pytest.raises(TechniqueError, match="the stitched graph and its segments differ by"):
        exit_routes.check(proto, three(), [0.6, 0.7], measure, data)


@pytest.mark.integration
@pytest.mark.parametrize("level", LEVELS)
def test_an_exit_that_any_level_of_optimization_spoils_is_caught(level: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exit_graph, "session", tiny.spoilt(level))
    with pytest.raises(TechniqueError, match="an exit in ONNX Runtime and in PyTorch differ by"):
        exited(epochs=1)


def test_what_is_skipped_is_not_computed() -> None:
    """A segment that cannot run on any row does no harm while no row goes on, and fails when one does."""
    first, broken = decided(three()[0], "max_probability", 0.5, 3), segment(np.eye(4), np.ones((4, 3)), last=True)
    broken.graph.initializer.append(numpy_helper.from_array(np.full(4, 99), "impossible"))
    broken.graph.node.insert(0, helper.make_node("Gather", ["x", "impossible"], ["y"], axis=1))
    broken.graph.node[1].input[0] = "y"
    run = session(stitch.model([stitch.chain([first, broken], ["x"], "s/", "logits")], first, 3))
    sure = np.full((2, 4), 50, np.float32)
    run.run(None, {"x": sure})
    with pytest.raises(Exception, match="out of data bounds"):
        run.run(None, {"x": np.zeros((2, 4), np.float32)})


def test_calibration_finds_the_cheapest_thresholds_within_the_budget() -> None:
    """Against all pairs of thresholds: never over the budget, and no dearer than the best that exits can share."""
    rng = np.random.default_rng(2)
    sure, right = rng.random((2, 30)), rng.random((3, 30)) < np.array([[0.6], [0.8], [0.9]])
    layers, heads = np.array([10, 50, 100]), np.array([1, 2])
    best = thresholds.calibrate(sure, right, layers, heads, 0.1)
    every = [-1.0, *np.unique(sure).tolist(), 2.0]

    def judged(a: float, b: float) -> tuple[float, float]:
        cost = hits = 0.0
        for n in range(30):
            exit_ = 0 if sure[0, n] >= a else 1 if sure[1, n] >= b else 2
            cost += layers[exit_] + (a < 2) * heads[0] + (b < 2 and exit_ > 0) * heads[1]
            hits += right[exit_, n]
        return cost / 30, hits / 30

    fits = {
        (a, b): judged(a, b)[0] for a, b in product(every, every) if judged(a, b)[1] >= right[2].mean() - 0.1 - 1e-9
    }
    cost, accuracy = judged(*best.thresholds)
    assert (cost, accuracy) == (pytest.approx(best.cost), pytest.approx(best.accuracy))
    assert accuracy >= right[2].mean() - 0.1 - 1e-9
    assert min(fits.values()) <= cost + 1e-9
    assert cost <= min(c for (a, b), c in fits.items() if a == b) + 1e-9


def test_no_exit_that_is_any_good_leaves_all_thresholds_at_never() -> None:
    right = np.array([[False] * 10, [True] * 10])
    best = thresholds.calibrate(np.full((1, 10), 0.9), right, np.array([1, 10]), np.array([1]), 0.05)
    assert best.thresholds == [thresholds.NEVER] and best.cost == 10


def exited(kind: str = "pictures", **params: Any) -> Outcome:
    torch.manual_seed(0)
    data = tiny.pictures() if kind == "pictures" else tiny.numbers()
    settings = {"epochs": 4, "lr": 0.05, "batch": 32, "accuracy_budget": 0.03} | params
    return early_exit.apply(tiny.trained(kind), data, early_exit.Params(**settings))


@pytest.mark.integration
@pytest.mark.parametrize("kind", ["pictures", "numbers"])
@pytest.mark.parametrize("segments", ["float", "int8"])
def test_facts_are_those_of_the_graph(kind: str, segments: str) -> None:
    data, outcome = tiny.pictures() if kind == "pictures" else tiny.numbers(), exited(kind, segments=segments)
    assert isinstance(outcome.model, Graph)
    inputs = {k: np.asarray(v[:]) for k, v in data.split("val").inputs.items()}
    run = session(outcome.model.proto)
    logits = run.run(["logits"], inputs)[0]
    facts: Any = outcome.facts
    assert tiny.accuracy(logits, data) == pytest.approx(facts["val_accuracy"], abs=0.02)
    assert facts["val_accuracy"] >= facts["val_accuracy_of_the_end"] - 0.03 - 1e-6
    assert sum(facts["exit_share"].values()) == pytest.approx(1, abs=1e-5)
    mean = sum(share * facts["exit_macs"][name] for name, share in facts["exit_share"].items())
    assert facts["macs_expected"] == pytest.approx(mean, rel=0.01) and mean < facts["macs_before"]
    rows = {k: v.shape[1:] for k, v in inputs.items()}
    worst = graph_macs(outcome.model.proto, rows)
    assert worst == max(facts["exit_macs"].values()) or facts["exit_share"]["end"] == 0


@pytest.mark.integration
def test_a_frozen_backbone_ends_as_the_parent_does() -> None:
    facts: Any = exited(freeze_backbone=True).facts
    data = tiny.pictures()
    assert facts["val_accuracy_of_the_end"] == pytest.approx(
        tiny.accuracy(tiny.logits(tiny.trained(), data), data), abs=1e-5
    )


@pytest.mark.integration
def test_quantizing_the_result_is_refused() -> None:
    model = exited("numbers").model
    with pytest.raises(TechniqueError, match=r"early_exit .*segments: int8; what act makes stays in float"):
        quantize.apply(model, tiny.numbers(), quantize.Params())


PLAN = """\
seed: 7
threads: 1
data: {source: digits}
model: {arch: resnet}
variants:
  baseline: {from: data, technique: train, epochs: 1, lr: 0.1}
  early: {from: baseline, technique: TECHNIQUE, epochs: 1, lr: 0.1}
  early_int8: {from: early, technique: quantize}
bench: {}
choose: {reference: baseline}
"""


@pytest.mark.parametrize(
    ("technique", "instead"),
    [
        ("early_exit", "give it `segments: int8`, which quantizes its parts as they are made"),
        ("act", "it stays in float; quantize the row that it comes from, beside it"),
    ],
)
def test_a_plan_that_quantizes_the_result_is_refused(tmp_path: Path, technique: str, instead: str) -> None:
    file = tmp_path / "plan.yaml"
    file.write_text(PLAN.replace("TECHNIQUE", technique))
    with pytest.raises(PlanError) as caught:
        load_plan(file)
    assert str(caught.value).endswith(
        f"plan.yaml:8: variants.early_int8.from: found `early`, of `{technique}`, whose graph no technique takes; "
        f"allowed: another parent for `quantize`; of `early`: {instead}"
    )
    file.write_text(file.read_text().replace("from: early,", "from: baseline,"))
    assert list(load_plan(file).variants) == ["baseline", "early", "early_int8"]


def test_a_network_that_is_no_chain_is_refused() -> None:
    network = Network(torch.nn.Linear(6, 3), {"arch": "linear"})
    with pytest.raises(TechniqueError, match="has a Linear; only a chain"):
        early_exit.apply(network, tiny.numbers(), early_exit.Params(epochs=1, lr=0.1))
