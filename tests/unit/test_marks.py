"""Marks: bits that come back as they went in, and a paired change against an independent count."""

from __future__ import annotations

import numpy as np
import pytest

from tasks.core.errors import ArtifactError
from tasks.evidence.difference import difference, share_interval
from tasks.evidence.marks import change, mark, right


@pytest.mark.parametrize("rows", [1, 7, 8, 9, 449, 4096])
def test_every_bit_comes_back(rows: int) -> None:
    some = np.random.default_rng(rows).random(rows) < 0.8
    assert (right(mark(some, np.arange(rows)), rows) == some).all()


def test_the_change_is_of_the_rows_that_differ_and_narrower_than_apart() -> None:
    labels = np.arange(1000) % 10
    old = np.arange(1000) >= 100
    new = old.copy()
    new[100:110], new[:4] = False, True  # ten lost, four gained
    found = change(mark(new, labels), mark(old, labels), 1000)
    assert found.value == pytest.approx(-0.006)
    apart = difference(share_interval(float(new.mean()), 1000), share_interval(float(old.mean()), 1000))
    assert found.high - found.low < (apart.high - apart.low) / 3
    assert -0.02 < found.low < found.value < found.high < 0.005


def test_the_marks_of_other_rows_are_refused() -> None:
    some = np.ones(9, bool)
    with pytest.raises(ArtifactError, match="different test rows"):
        change(mark(some, np.zeros(9)), mark(some, np.ones(9)), 9)
