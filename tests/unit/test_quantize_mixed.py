"""Mixed precision: a planted frail layer is found and kept, and the search against brute force."""

from __future__ import annotations

from itertools import chain, combinations
from typing import Any

import numpy as np
import pytest

from tasks.core.errors import TechniqueError
from tasks.core.sensitivity import Score, cheapest, most_sensitive, ranked, score
from tasks.techniques import quantize
from tests.unit.float_graph import constants, data_for, logits, mlp


@pytest.mark.parametrize("scheme", ["static", "dynamic", "weight_only"])
def test_the_frail_layer_is_ranked_first_and_kept_in_float(scheme: str) -> None:
    parent = mlp(frail="body.1")
    data = data_for(parent)
    how: dict[str, Any] = {"scheme": scheme, "weights": "per_tensor"} if scheme != "weight_only" else {"scheme": scheme}
    x, y = data.split("val").inputs["features"][:], data.split("val").labels
    plain = quantize.apply(parent, data, quantize.Params(**how)).model.proto
    assert (logits(plain, x).argmax(axis=1) == y).mean() < 0.9
    outcome = quantize.apply(parent, data, quantize.Params(**how, keep_float={"accuracy_drop": 0.09}))
    facts: Any = outcome.facts
    accuracy = (logits(outcome.model.proto, x).argmax(axis=1) == y).mean()
    assert accuracy >= 1 - 0.09
    assert facts["nodes_quantized"] == ["body.0", "body.2"]
    assert "of the answers on val change" in facts["nodes_left_float"]["body.1"]
    ranking = facts["sensitivity"]
    assert ranking[0]["layer"] == "body.1" and len(ranking) == 3
    assert [r["kept_in_float"] for r in ranking] == [True, False, False]
    assert facts["val_accuracy_float"] == 1 and facts["val_accuracy_drop"] == pytest.approx(1 - accuracy)
    assert facts["val_accuracy_all_quantized"] < 0.9
    assert facts["cost_kept_in_float"] == pytest.approx(48 * 32 / (40 * 48 + 48 * 32 + 32 * 4))
    assert facts["weights_left_float"] == pytest.approx(48 * 32 / (40 * 48 + 48 * 32 + 32 * 4), abs=1e-4)
    assert "warnings" not in facts


@pytest.mark.parametrize("scheme", ["static", "dynamic", "weight_only", "fp16", "bf16"])
def test_most_weights_in_float_is_a_warning(scheme: str) -> None:
    parent = mlp()
    data = data_for(parent)
    facts: Any = quantize.apply(parent, data, quantize.Params(scheme=scheme, exclude=["body.0", "body.1"])).facts
    assert facts["weights_left_float"] == pytest.approx(1 - 32 * 4 / (40 * 48 + 48 * 32 + 32 * 4), abs=1e-4)
    assert facts["warnings"] == ["96% of the weights stay in float; nodes_left_float says why"]
    assert quantize.apply(parent, data, quantize.Params(scheme=scheme)).facts["weights_left_float"] == 0


def test_one_layer_at_a_time_is_what_is_measured() -> None:
    parent = mlp()
    data = data_for(parent)
    how: dict[str, Any] = {"scheme": "weight_only", "block_size": 16}
    found = quantize.apply(parent, data, quantize.Params(**how, keep_float={"accuracy_drop": 0.5, "cost": "bytes"}))
    facts: Any = found.facts
    x = data.split("val").inputs["features"][:]
    before = logits(parent.proto, x)
    for row in facts["sensitivity"]:
        others = [f"body.{i}" for i in range(3) if f"body.{i}" != row["layer"]]
        alone = logits(quantize.apply(parent, data, quantize.Params(**how, exclude=others)).model.proto, x)
        assert row["answers_changed"] == pytest.approx((alone.argmax(1) != before.argmax(1)).mean())
        assert row["logit_noise"] == pytest.approx(((alone - before) ** 2).mean() / before.var(), rel=1e-3)
        assert row["cost"] == 4 * constants(parent.proto)[f"{row['layer']}.weight"].size
    assert facts["sets_measured"] == 1 and facts["cost_kept_in_float"] == 0


def test_nothing_kept_within_the_budget_is_the_same_file() -> None:
    parent = mlp()
    data = data_for(parent)
    plain = quantize.apply(parent, data, quantize.Params()).model.proto
    loose = quantize.apply(parent, data, quantize.Params(keep_float={"accuracy_drop": 0.5})).model.proto
    assert plain == loose


def test_an_excluded_layer_is_not_measured() -> None:
    parent = mlp(frail="body.1")
    params = quantize.Params(exclude=["body.1"], keep_float={"accuracy_drop": 0.5})
    facts: Any = quantize.apply(parent, data_for(parent), params).facts
    assert sorted(r["layer"] for r in facts["sensitivity"]) == ["body.0", "body.2"]
    assert facts["nodes_left_float"] == {"body.1": "excluded by 'body.1'"}


def test_a_budget_that_only_float_meets_is_an_error_with_figures() -> None:
    parent = mlp((), frail="body.0")
    params = quantize.Params(scheme="weight_only", block_size=64, keep_float={"accuracy_drop": 0.0})
    with pytest.raises(TechniqueError, match=r"accuracy_drop 0.0: val accuracy is 1.0000 in float, 0\.\d+ with all 1"):
        quantize.apply(parent, data_for(parent), params)


def test_score_by_hand() -> None:
    reference = np.array([[2.0, 0.0], [0.0, 2.0], [2.0, 0.0], [0.0, 2.0]])
    other = reference.copy()
    other[0] = [0.0, 2.0]
    assert score(other, reference, np.array([0, 1, 1, 0])) == (0.25, 0.75, 1.0)


def test_rankings() -> None:
    alone = {"a": Score(0.9, 0.9, 1.0), "b": Score(0.9, 0.95, 2.0), "c": Score(1, 1, 0.5), "d": Score(1, 1, 0.4)}
    costs = {"a": 100, "b": 10, "c": 1000, "d": 1}
    assert most_sensitive(alone) == ["a", "b", "c", "d"]
    assert ranked(alone, costs) == ["b", "a", "d", "c"]


@pytest.mark.parametrize("seed", range(12))
def test_the_set_is_within_budget_irreducible_and_near_the_best(seed: int) -> None:
    rng = np.random.default_rng(seed)
    names = "abcdef"
    harms = dict(zip(names, rng.exponential(size=6) ** 2, strict=True))
    costs = {n: int(rng.integers(1, 50)) for n in names}

    def drop(kept: frozenset[str]) -> float:
        return sum(h for n, h in harms.items() if n not in kept)

    budget = 0.3 * sum(harms.values())
    order = sorted(names, key=lambda n: -harms[n] / costs[n])
    found = cheapest(order, costs, drop, budget)
    assert found.accuracy_drop == drop(found.kept) <= budget
    assert all(drop(found.kept - {n}) > budget for n in found.kept)
    every = map(frozenset, chain.from_iterable(combinations(names, k) for k in range(7)))
    best = min(sum(costs[n] for n in s) for s in every if drop(s) <= budget)
    # greedy by ratio: no more than the best and the dearest member together
    assert sum(costs[n] for n in found.kept) <= best + max(costs.values())
