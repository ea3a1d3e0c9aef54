"""Kept answers: bounded, found by exactly what was asked, and gone with the models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.cache import Cache, key_of
from serving.engine import Engine
from serving.package import ROLES, read
from tests import made_package


def answer(rows: int, value: float = 0.5) -> np.ndarray[Any, Any]:
    return np.full((rows, 3), value, np.float32)


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(1, 5)), max_size=60))
def test_it_is_a_bounded_memory_of_what_was_asked_for_last(steps: list[tuple[int, int]]) -> None:
    cache, model = Cache(8), dict[int, int]()  # the model: name to rows, the one asked for last at the end
    for name, rows in steps:
        found = cache.get(bytes([name]))
        assert (found is None) == (name not in model)
        if found is not None:
            assert len(found) == model[name]
            model[name] = model.pop(name)
            continue
        cache.put(bytes([name]), answer(rows))
        model[name] = rows
        while sum(model.values()) > 8:
            del model[next(iter(model))]


def test_none_is_kept_of_none_and_none_of_what_is_larger_than_all() -> None:
    assert not Cache(0).on and Cache(1).on
    cache = Cache(2)
    cache.put(b"a", answer(2))
    cache.put(b"b", answer(3))
    assert cache.get(b"a") is not None and cache.get(b"b") is None


def test_an_answer_kept_again_is_counted_once() -> None:
    cache = Cache(4)
    for _ in range(9):
        cache.put(b"a", answer(2))
    cache.put(b"b", answer(2))
    assert cache.get(b"a") is not None and cache.get(b"b") is not None


def test_what_is_kept_cannot_be_changed() -> None:
    cache = Cache(4)
    cache.put(b"a", answer(1))
    found = cache.get(b"a")
    assert found is not None
    with pytest.raises(ValueError, match="read-only"):
        found[0, 0] = 1.0


def test_the_key_tells_roles_rows_values_and_order_apart() -> None:
    rows = np.arange(128, dtype=np.uint8).reshape(2, 1, 8, 8)
    other = rows.copy()
    other[1, 0, 7, 7] ^= 1
    inputs: list[Any] = [{"images": rows}, {"images": other}, {"images": rows[::-1]}, {"images": rows[:1]}]
    keys = {key_of(role, one) for role in ROLES for one in inputs}
    assert len(keys) == 8
    assert key_of("control", {"images": np.asfortranarray(rows)}) == key_of("control", inputs[0])
    one = {"input_ids": rows, "attention_mask": other}
    assert key_of("control", one) != key_of("control", {"input_ids": other, "attention_mask": rows})


def test_every_loaded_package_has_its_own(tmp_path: Path) -> None:
    package = read(made_package.make(tmp_path / "package", cache={"entries": 4}))
    first, second = Engine(package), Engine(package)
    first.cache.put(b"a", answer(1))
    assert first.cache.on and second.cache.get(b"a") is None
