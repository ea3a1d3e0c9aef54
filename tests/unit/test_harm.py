"""Who was hurt: intervals that cover, planted harm that is found, and no alarm where there is none."""

from __future__ import annotations

import numpy as np
import pytest

from tasks.evidence import harm

CLASSES = tuple("abcdefghij")


def answers(rows: int, seed: int, right: float = 0.93) -> tuple[np.ndarray, np.ndarray]:
    """Labels, and answers of which the share `right` equals them."""
    draw = np.random.default_rng(seed)
    labels = np.arange(rows) % len(CLASSES)
    wrong = (labels + draw.integers(1, len(CLASSES), rows)) % len(CLASSES)
    return labels, np.where(draw.random(rows) < right, labels, wrong)


def judged(
    predicted: np.ndarray, reference: np.ndarray, labels: np.ndarray, groups: dict[str, np.ndarray] | None = None
):
    return harm.harm(predicted, reference, labels, CLASSES, groups or {}, 0.0)


def test_the_drop_is_worked_by_hand() -> None:
    """10 rows, 3 lost, 1 gained; with a half added to each cell (3.5 - 1.5) / 12, its variance (5 - 4 / 12) / 144."""
    before = np.array([True] * 8 + [False] * 2)
    after = np.array([False] * 3 + [True] * 6 + [False])
    found = harm.paired_drop(before, after)
    assert found.value == pytest.approx(0.2)
    assert [found.low, found.high] == pytest.approx(
        [2 / 12 - 1.959964 * 0.180021, 2 / 12 + 1.959964 * 0.180021], abs=1e-5
    )
    assert harm.mcnemar(before, after) == pytest.approx(2 * (1 + 4) / 16)
    with pytest.raises(ValueError, match="no rows"):
        harm.paired_drop(before[:0], after[:0])


@pytest.mark.parametrize(("rows", "lost", "gained"), [(500, 0.03, 0.01), (2000, 0.02, 0.02), (200, 0.005, 0.0)])
def test_the_interval_covers(rows: int, lost: float, gained: float) -> None:
    draw = np.random.default_rng(5)
    hits = 0
    for _ in range(2000):
        kind = draw.choice(4, rows, p=[lost, gained, 0.5, 0.5 - lost - gained])
        found = harm.paired_drop((kind == 0) | (kind == 2), (kind == 1) | (kind == 2))
        hits += found.low <= lost - gained <= found.high
    assert hits / 2000 >= 0.935


def test_a_drop_confined_to_one_class_is_found_and_laid_to_that_class_alone() -> None:
    """Two points of all rows, taken from one class of ten."""
    labels, reference = answers(10_000, seed=1)
    predicted = reference.copy()
    predicted[np.flatnonzero((labels == 3) & (reference == 3))[:200]] = 4
    found = judged(predicted, reference, labels)
    assert found.accuracy_drop.value == pytest.approx(0.02) and found.accuracy_drop.low > 0.015
    assert found.hurt_classes == ("d",) and found.recall_drop["d"].value == pytest.approx(0.2)
    assert found.flips == pytest.approx(0.02) and found.mends == 0 and found.mcnemar_p < 1e-12
    assert any(sentence.startswith("Hurt: class d lost 20.00 points") for sentence in harm.sentences(found))


def test_false_alarms_are_rare_over_all_classes_together() -> None:
    """Two models equally good: some class is called hurt in few of many trials (5 % in theory, both ends together)."""
    alarms = 0
    for seed in range(300):
        labels, reference = answers(2000, seed=2 * seed)
        _, predicted = answers(2000, seed=2 * seed + 1)
        alarms += bool(judged(predicted, reference, labels).hurt_classes)
    assert alarms <= 18


def test_a_collapsed_class_and_a_constant_output_raise_the_alarm() -> None:
    labels, reference = answers(1000, seed=3)
    predicted = np.where(reference == 7, 1, reference)
    found = judged(predicted, reference, labels)
    assert found.never_predicted == ("h",) and not found.constant and "h" in found.hurt_classes
    assert harm.sentences(found)[0] == "Collapse: never answers h, which the reference finds."
    flat = judged(np.full(1000, 2), reference, labels)
    assert flat.constant and len(flat.never_predicted) == 9
    assert harm.sentences(flat)[0] == "Collapse: every row gets the same answer."


def test_a_hurt_group_is_found_though_classes_are_spared() -> None:
    labels, reference = answers(4000, seed=4)
    old = np.arange(4000) % 40 < 4
    draw = np.random.default_rng(0)
    predicted = np.where(old & (draw.random(4000) < 0.1), (labels + 1) % 10, reference)
    found = judged(predicted, reference, labels, {"young": ~old, "old": old, "none": np.zeros(4000, bool)})
    assert found.hurt_groups == ("old",) and set(found.group_drop) == {"young", "old"}


def test_a_model_against_itself_is_not_hurt_and_not_proven_equal() -> None:
    labels, reference = answers(450, seed=6)
    found = judged(reference, reference, labels)
    assert found.hurt_classes == found.never_predicted == () and found.mcnemar_p == 1
    assert found.accuracy_drop.value == 0 < found.accuracy_drop.high < 0.01
    assert harm.sentences(found)[0].startswith("No class or group can be told to have lost")


def test_the_reference_beside_itself_has_nothing_to_be_unsure_of() -> None:
    labels, reference = answers(450, seed=6)
    found = harm.harm(reference, reference, labels, CLASSES, {"all": labels >= 0}, 0.0, itself=True)
    assert {*found.recall_drop.values(), *found.group_drop.values(), found.accuracy_drop} == {harm.NOTHING}


def test_the_interval_of_the_worst_class_holds_its_true_drop() -> None:
    """Ten classes with drops of their own: the greatest of them lies within in at least 95 % of many trials."""
    draw, true, hits = np.random.default_rng(3), np.linspace(0.0, 0.09, 10), 0
    labels = np.repeat(np.arange(10), 200)
    for _ in range(300):
        lost = draw.random(2000) < true[labels]
        predicted = np.where(lost, (labels + 1) % 10, labels)
        worst = harm.worst(judged(predicted, labels, labels).recall_drop.values())
        hits += worst.low <= true.max() <= worst.high
    assert hits / 300 >= 0.95 and harm.worst([]) == harm.NOTHING
