"""Adaptive computation time: the weighted mean, who halts where, and what is not computed for those that have."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from torch import nn

from tasks.core import halting, halting_graph, halting_stages, stitch
from tasks.core.contract import Network
from tasks.core.errors import TechniqueError
from tasks.core.exits import front_of
from tasks.core.export import LEVELS, session
from tasks.core.fit import fit
from tasks.core.graph_macs import graph_macs
from tasks.core.halting_work import histogram, mean_work, scores_of, work
from tasks.core.imitate import frozen
from tasks.core.layers import Sum
from tasks.techniques import act
from tests.unit import tiny

EPSILON = 0.1


def stage(units: int = 4) -> halting.AdaptiveStage:
    """Units x + W x on four features, whose scores differ from row to row."""
    torch.manual_seed(0)
    halts = [halting.Halt(4) for _ in range(units - 1)]
    for halt in halts:
        nn.init.normal_(halt.linear.weight)
        nn.init.zeros_(halt.linear.bias)
    return halting.AdaptiveStage([Sum(nn.Linear(4, 4)) for _ in range(units)], halts, EPSILON)


def by_hand(layer: halting.AdaptiveStage, row: torch.Tensor) -> tuple[torch.Tensor, int]:
    """The answer of one row and the units it computes, by the definition: stop when the sum is there."""
    x, mean, spent = row[None], torch.zeros(1, *row.shape), 0.0
    for n, unit in enumerate(layer.units, 1):
        x = unit(x)
        score = 1.0 if n == len(layer.units) else float(layer.halts[n - 1](x))
        if spent + score >= 1 - layer.epsilon:
            return mean + (1 - spent) * x, n
        mean, spent = mean + score * x, spent + score
    raise AssertionError("the last score is 1")


def test_the_weighted_mean_is_that_of_a_loop_over_one_row() -> None:
    layer, rows = stage(), torch.randn(40, 4)
    with torch.no_grad():
        found, scores = layer.scored(rows)
        expected = [by_hand(layer, row) for row in rows]
    torch.testing.assert_close(found, torch.cat([mean for mean, _ in expected]))
    units = halting.shares(scores, EPSILON).units_N.tolist()
    assert units == [n for _, n in expected] and len(set(units)) >= 3


def test_weights_of_a_row_sum_to_one_and_end_where_it_halts() -> None:
    scores = torch.rand(200, 5)
    found = halting.shares(scores, EPSILON)
    torch.testing.assert_close(found.weights_NL.sum(1), torch.ones(200))
    assert torch.equal((found.weights_NL > 0).sum(1), found.units_N)
    last = found.weights_NL.gather(1, found.units_N[:, None] - 1)[:, 0]
    assert torch.equal(last, found.remainder_N)
    torch.testing.assert_close(halting.ponder([scores, scores], EPSILON), 2 * (found.units_N + last))


def test_the_ponder_cost_pushes_scores_up() -> None:
    scores = torch.full((1, 4), 0.2, requires_grad=True)
    halting.ponder([scores], EPSILON).sum().backward()
    assert scores.grad is not None and scores.grad.tolist() == [[-1, -1, -1, 0]]


def net_of(epsilon: float, scatter: float) -> halting.AdaptiveNet:
    """The tiny residual network with stages; scores scatter from row to row as far as asked."""
    parent = tiny.trained("residual")
    body, front = parent.module.body, front_of(parent)
    x = front(tiny.inputs(tiny.pictures())[0])
    assert isinstance(body, nn.Sequential)
    found = halting_stages.stages(body, x)
    assert found == [["1", "2"], ["3", "4"], ["5", "6"]]
    net = halting_stages.adaptive(front, body, x, found, epsilon)
    torch.manual_seed(1)
    for layer in net.stages.values():
        for halt in layer.halts:
            nn.init.normal_(halt.linear.weight, std=scatter)  # type: ignore[arg-type, union-attr]
    return net


def test_an_untrained_score_leaves_the_network_near_its_parent() -> None:
    data, net = tiny.pictures(), net_of(0.01, 0.0).eval()
    with torch.no_grad():
        ours = net(*tiny.inputs(data)).numpy()
    assert tiny.accuracy(ours, data) == tiny.accuracy(tiny.logits(tiny.trained("residual"), data), data)


@pytest.mark.integration
def test_the_graph_answers_as_the_network_whatever_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    data, net = tiny.pictures(), net_of(0.5, 2.0)
    scores = scores_of(net, data.split("val"))
    units = [halting.shares(s, 0.5).units_N for s in scores]
    assert any(len(set(u.tolist())) == 2 for u in units), "no stage tells rows apart"
    proto = halting_graph.stitched(net, data)
    onnx.checker.check_model(proto, full_check=True)
    halting_graph.check(proto, net, 0.5, data)
    rows = np.asarray(data.split("val").inputs["images"][:])
    run = session(proto)
    together = run.run(None, {"images": rows})[0]
    alone = np.concatenate([run.run(None, {"images": rows[i : i + 1]})[0] for i in range(len(rows))])
    np.testing.assert_allclose(alone, together, rtol=1e-4, atol=1e-5)
    with torch.no_grad():
        reference = net(torch.from_numpy(rows)).numpy()
    sure = halting_graph.clear(scores, 0.5).numpy()
    assert sure.mean() > 0.9
    np.testing.assert_allclose(together[sure], reference[sure], rtol=1e-3, atol=1e-4)
    fixed, costs = work(net, torch.from_numpy(rows[:2]))
    every = fixed + sum(map(sum, costs))
    assert graph_macs(proto, {"images": rows.shape[1:]}) == every
    assert mean_work([torch.full((3,), 2)] * 3, fixed, costs) == every > mean_work(units, fixed, costs)
    planted = "the stitched graph and the network differ by"
    with pytest.raises(TechniqueError, match=planted):  # another network's graph
        halting_graph.check(proto, net_of(0.5, 3.0), 0.5, data)
    for level in LEVELS:
        with monkeypatch.context() as patch, pytest.raises(TechniqueError, match=planted):
            patch.setattr(halting_graph, "session", tiny.spoilt(level))
            halting_graph.check(proto, net, 0.5, data)


@pytest.mark.integration
def test_a_unit_is_not_computed_for_rows_that_have_halted() -> None:
    """A second unit that cannot run on any row does no harm while all rows halt at the first."""
    layer = stage(2)
    with torch.no_grad():
        layer.halts[0].linear.weight.copy_(torch.zeros(1, 4))  # type: ignore[operator, union-attr]
        layer.units[0].body.weight.zero_()  # type: ignore[operator, union-attr]
        layer.halts[0].linear.weight[0, 0] = 50  # type: ignore[index, union-attr]
    first, second = halting_graph.stage_steps(layer, nn.Identity(), torch.ones(2, 4), "x")
    (read,) = [n for n in second.graph.node if "state_x_in" in n.input and n.op_type in ("Gemm", "MatMul")]
    read.input[0] = "broken"
    second.graph.initializer.append(numpy_helper.from_array(np.full(4, 99), "impossible"))
    second.graph.node.insert(0, onnx.helper.make_node("Gather", ["state_x_in", "impossible"], ["broken"], axis=1))
    run = session(stitch.model([stitch.chain([first, second], ["x"], "s/", "logits")], first, 4))
    halts = np.full((3, 4), 2, np.float32)
    with torch.no_grad():
        np.testing.assert_allclose(run.run(None, {"x": halts})[0], layer(torch.from_numpy(halts)), rtol=1e-5)
    with pytest.raises(Exception, match="out of data bounds"):
        run.run(None, {"x": np.concatenate([halts, -halts[:1]])})


def test_a_larger_ponder_cost_uses_fewer_units() -> None:
    def units(tau: float) -> float:
        data, net = tiny.pictures(), net_of(0.5, 0.0)
        params = act.Params(epochs=8, lr=0.05, batch=32, epsilon=0.5, ponder_cost=tau)
        torch.manual_seed(0)
        fit(net, data, act.act_loss(frozen(tiny.trained("residual")), params), params)
        return sum(float(halting.shares(s, 0.5).units_N.float().mean()) for s in scores_of(net, data.split("val")))

    assert units(1.0) < units(0.0) == 6


def test_the_histogram_counts_rows() -> None:
    assert histogram(torch.tensor([1, 3, 3, 1]), 3) == [0.5, 0.0, 0.5]


def adapted(parent: Network, data: Any, **params: Any) -> None:
    act.apply(parent, data, act.Params(epochs=1, lr=0.001, batch=32, **params))


def test_what_cannot_be_done_raises() -> None:
    data = tiny.pictures()
    with pytest.raises(TechniqueError, match=r"small_cnn.*no stage of 2 residual units.*longest has 0"):
        adapted(tiny.trained(), data)
    with pytest.raises(TechniqueError, match="every row of val computes all 6 units"):
        adapted(tiny.trained("residual"), data, ponder_cost=0)
    with pytest.raises(TechniqueError, match=r"act: .*has a Linear; only a chain"):
        adapted(Network(nn.Linear(6, 3), {"arch": "linear"}), tiny.numbers())
