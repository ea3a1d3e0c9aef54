from __future__ import annotations

import numpy as np
import pytest

from serving.agreement import compare

LABELS = ("a", "b", "c")


def test_equal_answers_agree_with_no_divergence() -> None:
    shares = np.array([[0.7, 0.2, 0.1], [0.0, 0.0, 1.0]], np.float32)
    found = compare(shares, shares, LABELS)
    assert (found.rows, found.agreed, found.kl_sum, found.flips) == (2, 2, 0.0, {})


def test_divergence_is_that_of_scipy_and_flips_go_by_the_first_models_label() -> None:
    from scipy.stats import entropy

    rng = np.random.default_rng(3)
    p, q = rng.dirichlet([1, 1, 1], 50), rng.dirichlet([1, 1, 1], 50)
    found = compare(p, q, LABELS)
    assert found.kl_sum == pytest.approx(entropy(p.T, q.T).sum(), rel=1e-9)
    moved = p.argmax(1) != q.argmax(1)
    assert found.agreed == (~moved).sum()
    assert found.flips == {LABELS[k]: int((p.argmax(1)[moved] == k).sum()) for k in range(3)}


def test_a_probability_of_nothing_keeps_the_divergence_finite() -> None:
    found = compare(np.array([[1.0, 0.0, 0.0]]), np.array([[0.0, 1.0, 0.0]]), LABELS)
    assert found.kl_sum == pytest.approx(np.log(1e12), rel=1e-6)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_is_refused(bad: float) -> None:
    good = np.array([[0.5, 0.3, 0.2]])
    with pytest.raises(ValueError, match="not finite"):
        compare(good, np.array([[bad, 0.3, 0.2]]), LABELS)
