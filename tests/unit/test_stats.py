"""The statistics against scikit-learn, hand-worked cases and slow definitions."""

import numpy as np
import pytest
from sklearn.metrics import f1_score, recall_score

from tasks.evidence import stats


def test_softmax_survives_large_logits() -> None:
    found = stats.softmax(np.array([[1e4, 0.0], [0.0, 0.0]], np.float32))
    assert np.allclose(found, [[1, 0], [0.5, 0.5]])


def slow_ece(probabilities: np.ndarray, labels: np.ndarray, bins: int = 15) -> float:
    """Straight from Guo et al., equation 3."""
    total = 0.0
    for m in range(1, bins + 1):
        rows = [i for i, p in enumerate(probabilities) if (m - 1) / bins < p.max() <= m / bins]
        if rows:
            accuracy = np.mean([probabilities[i].argmax() == labels[i] for i in rows])
            confidence = np.mean([probabilities[i].max() for i in rows])
            total += len(rows) / len(labels) * abs(accuracy - confidence)
    return total


def test_calibration_error_matches_its_definition() -> None:
    draw = np.random.default_rng(3)
    probabilities = stats.softmax(draw.normal(size=(500, 6)) * 2)
    labels = draw.integers(0, 6, 500)
    found = stats.expected_calibration_error(probabilities, labels)
    assert found == pytest.approx(slow_ece(probabilities, labels), abs=1e-12)


def test_calibration_error_by_hand() -> None:
    sure = np.array([[1.0, 0.0]] * 4)
    assert stats.expected_calibration_error(sure, np.array([0, 0, 0, 1])) == pytest.approx(0.25)
    assert stats.expected_calibration_error(sure, np.zeros(4, np.int64)) == 0.0
    assert stats.expected_calibration_error(np.empty((0, 2)), np.empty(0, np.int64)) == 0.0


@pytest.mark.parametrize("seen", [5, 3])
def test_f1_and_recall_match_scikit_learn(seen: int) -> None:
    draw = np.random.default_rng(seen)
    labels, predicted = draw.integers(0, seen, 200), draw.integers(0, 5, 200)
    assert stats.macro_f1(labels, predicted, 5) == pytest.approx(f1_score(labels, predicted, average="macro"))
    recall = stats.recall_per_class(labels, predicted, 5)
    assert np.isnan(recall[seen:]).all()
    theirs = recall_score(labels, predicted, average=None, labels=range(seen))
    assert np.allclose(recall[:seen], theirs)


def test_front_drops_only_what_another_beats() -> None:
    points = {"best": (0.9, 10), "worse": (0.8, 11), "small": (0.7, 1), "twin": (0.9, 10), "dearer": (0.9, 12)}
    assert stats.pareto_front(points, maximise=(True, False)) == ("best", "small", "twin")


def test_front_matches_the_pairwise_definition() -> None:
    draw = np.random.default_rng(1)
    points = {str(i): tuple(draw.integers(0, 5, 3)) for i in range(60)}

    def beats(a: tuple[int, ...], b: tuple[int, ...]) -> bool:
        a, b = (-a[0], a[1], a[2]), (-b[0], b[1], b[2])
        return all(x <= y for x, y in zip(a, b, strict=True)) and a != b

    slow = tuple(n for n, p in points.items() if not any(beats(q, p) for q in points.values()))
    assert stats.pareto_front(points, maximise=(True, False, False)) == slow


def test_front_refuses_nan() -> None:
    with pytest.raises(ValueError, match="NaN"):
        stats.pareto_front({"a": (float("nan"), 1)}, maximise=(True, False))
