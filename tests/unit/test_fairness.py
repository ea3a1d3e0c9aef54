"""Demographic parity and equalized odds against Fairlearn's own two-class definitions and cases worked by hand."""

from __future__ import annotations

import numpy as np
import pytest
from fairlearn.metrics import demographic_parity_difference, equalized_odds_difference

from tasks.evidence.fairness import fairness

OLD = np.arange(200) % 2 == 0
GROUPS = {"old": OLD, "young": ~OLD}


def test_two_classes_are_as_fairlearn_defines_them() -> None:
    draw = np.random.default_rng(3)
    labels, predicted = draw.integers(0, 2, 200), draw.integers(0, 2, 200)
    found = fairness(predicted, labels, ("no", "yes"), GROUPS)
    assert found is not None
    same = {"sensitive_features": np.where(OLD, "old", "young")}
    assert found.demographic_parity_difference == pytest.approx(
        demographic_parity_difference(labels, predicted, **same)
    )
    assert found.equalized_odds_difference == pytest.approx(equalized_odds_difference(labels, predicted, **same))


def test_equal_treatment_is_nought_and_its_opposite_one() -> None:
    labels = np.repeat(np.arange(2), 100)
    right = fairness(labels, labels, ("no", "yes"), GROUPS)
    assert right is not None
    assert (right.demographic_parity_difference, right.equalized_odds_difference) == (0.0, 0.0)
    apart = fairness(np.where(OLD, 1, 0), labels, ("no", "yes"), GROUPS)
    assert apart is not None
    assert (apart.demographic_parity_difference, apart.equalized_odds_difference) == (1.0, 1.0)


def test_the_worst_class_of_three_counts() -> None:
    labels = np.tile([0, 0, 1, 1, 2, 2, 2, 2], 25)
    predicted = labels.copy()
    predicted[(labels == 2) & ~OLD] = 0  # a class that the young are never told
    found = fairness(predicted, labels, ("a", "b", "c"), GROUPS)
    assert found is not None
    assert found.demographic_parity_difference == pytest.approx(0.5)
    assert found.equalized_odds_difference == pytest.approx(1.0)


def test_a_class_that_a_group_does_not_have_says_nothing_of_odds() -> None:
    labels = np.where(OLD, 0, 1)
    found = fairness(labels, labels, ("a", "b"), GROUPS)
    assert found is not None
    assert (found.demographic_parity_difference, found.equalized_odds_difference) == (1.0, 0.0)


@pytest.mark.parametrize("groups", [{}, {"old": np.ones(200, bool)}, {"old": OLD, "none": np.zeros(200, bool)}])
def test_fewer_than_two_groups_with_rows_cannot_be_compared(groups: dict[str, np.ndarray]) -> None:
    labels = np.zeros(200, int)
    assert fairness(labels, labels, ("a",), groups) is None
