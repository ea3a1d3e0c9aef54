import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.core.errors import DataError
from tasks.intake.split import carve, choose_rows

CLASSES = ("cat", "dog", "eel")


def labels_of(*counts: int) -> np.ndarray:
    return np.random.default_rng(0).permutation(np.repeat(np.arange(len(counts)), counts))


@settings(max_examples=60, deadline=None)
@given(
    counts=st.lists(st.integers(2, 40), min_size=1, max_size=6),
    share=st.floats(0.01, 0.89),
    seed=st.integers(0, 2**32 - 1),
)
def test_carve_parts_the_rows_with_every_class_on_both_sides(counts: list[int], share: float, seed: int) -> None:
    labels = labels_of(*counts)
    names = [str(i) for i in range(len(counts))]
    rest, part = carve(labels, share, seed, classes=names, part="val")
    assert sorted([*rest, *part]) == list(range(len(labels)))
    assert set(labels[rest]) == set(labels[part]) == set(range(len(counts)))
    lowest, highest = len(counts), len(labels) - len(counts)
    assert len(part) == min(max(round(share * len(labels)), lowest), highest)


def test_carve_keeps_the_classes_in_proportion() -> None:
    labels = labels_of(600, 300, 100)
    _, part = carve(labels, 0.2, 7, classes=CLASSES, part="test")
    assert np.bincount(labels[part]).tolist() == [120, 60, 20]


def test_carve_gives_sorted_rows_that_follow_from_the_seed_alone() -> None:
    labels = labels_of(50, 50, 50)
    one, two, other = (carve(labels, 0.3, seed, classes=CLASSES, part="val")[1] for seed in (7, 7, 8))
    assert one.tolist() == two.tolist() == sorted(one)
    assert one.tolist() != other.tolist()


def test_carve_keeps_copies_together() -> None:
    labels = np.repeat([0, 1, 2], 40)
    twins = np.array([f"row{i // 4}" for i in range(120)])  # every row four times
    rest, part = carve(labels, 0.3, 7, classes=CLASSES, part="val", twins=twins)
    assert not set(twins[rest]) & set(twins[part])
    assert len(part) == 4 * round(0.3 * 30)


@pytest.mark.parametrize("counts", [(9, 1, 9), (9, 0, 9)])
def test_carve_names_a_class_with_too_few_rows(counts: tuple[int, ...]) -> None:
    with pytest.raises(DataError, match=rf"class 'dog' has {counts[1]} different rows; at least 2 .* carve val"):
        carve(labels_of(*counts), 0.2, 7, classes=CLASSES, part="val")


def test_chosen_rows_are_distinct_in_proportion_and_of_the_number_asked_for() -> None:
    labels = labels_of(600, 300, 100)
    rows = choose_rows(labels, 50, 7)
    assert len(set(rows)) == 50 and rows.tolist() == sorted(rows)
    assert np.bincount(labels[rows]).tolist() == [30, 15, 5]
    assert choose_rows(labels, 50, 7).tolist() == rows.tolist()


def test_chosen_rows_hold_a_rare_class_too() -> None:
    labels = labels_of(997, 2, 1)
    assert np.bincount(labels[choose_rows(labels, 10, 7)]).tolist() == [8, 1, 1]


def test_fewer_chosen_rows_than_classes_come_from_any_class() -> None:
    labels = np.repeat(np.arange(100), 5)
    found = [labels[choose_rows(labels, 10, seed)] for seed in range(20)]
    assert all(len(set(f)) == 10 for f in found)
    assert len(set(np.concatenate(found))) > 60  # not the first classes again and again


def test_all_rows_may_be_chosen_and_no_more() -> None:
    labels = labels_of(3, 4, 5)
    assert choose_rows(labels, 12, 7).tolist() == list(range(12))
    with pytest.raises(DataError, match=r"12 rows; data\.calibration_rows asks for 13"):
        choose_rows(labels, 13, 7)
