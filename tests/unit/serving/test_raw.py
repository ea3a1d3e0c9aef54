"""Raw rows: what they become, and how what does not fit is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.raw import DTYPES, read
from serving.refusal import Refused
from serving.shapes import Preprocess
from tests import made_package

GREY = Preprocess.model_validate(made_package.IMAGE)
FLOATS = Preprocess.model_validate(
    {**made_package.IMAGE, "kind": "array", "inputs": {"x": {"shape": [3], "dtype": "float32"}}}
)


def headers(**given: str) -> dict[bytes, bytes]:
    return {f"x-stillroom-{name}".encode(): value.encode() for name, value in given.items()}


@given(st.integers(1, 4), st.sampled_from(DTYPES))
def test_every_type_that_loses_nothing_arrives_as_it_was_sent(rows: int, dtype: str) -> None:
    sent = np.arange(rows * 64).reshape(rows, 1, 8, 8) % 128
    body = sent.astype(np.dtype(dtype).newbyteorder("<")).tobytes()
    for shape in ({}, {"shape": f"{rows},1,8,8"}, {"shape": f"{rows},8,8"}):
        got = read(body, headers(dtype=dtype, **shape), GREY, 4)["images"]
        assert got.dtype == np.uint8 and (got == sent).all()


@given(st.binary(max_size=400), st.sampled_from(DTYPES), st.text("0123456789,- ", max_size=12))
def test_whatever_is_sent_is_taken_whole_or_refused(body: bytes, dtype: str, shape: str) -> None:
    for preprocess in (GREY, FLOATS):
        ((name, wanted),) = preprocess.inputs.items()
        try:
            got = read(body, headers(dtype=dtype, shape=shape), preprocess, 4)[name]
        except Refused as e:
            assert e.status == 422 and "allowed" in str(e)
        else:
            assert got.shape[1:] == wanted.shape and got.dtype == wanted.dtype and np.isfinite(got).all()
            assert got.size * np.dtype(dtype).itemsize == len(body)


@pytest.mark.parametrize(
    ("body", "said", "fault"),
    [
        (b"", {}, "body: 0 rows; allowed: 1 to 4"),
        (bytes(320), {}, "body: 5 rows; allowed: 1 to 4"),
        (bytes(65), {}, r"body: 65 bytes; allowed: whole rows of 64 bytes, shape \(1, 8, 8\)"),
        (bytes(64), {"shape": "2,8,8"}, "body: 64 bytes; allowed: 128 bytes, which X-Stillroom-Shape declares"),
        (bytes(64), {"shape": "8,8"}, "X-Stillroom-Shape: '8,8'; allowed: N,1,8,8 or N,8,8"),
        (bytes(64), {"shape": "-1,8,8"}, "X-Stillroom-Shape: '-1,8,8'; allowed:"),
        (bytes(64), {"shape": "9" * 150}, "X-Stillroom-Shape: '9+'; allowed:"),
        (bytes(64), {"dtype": "float23"}, "X-Stillroom-Dtype: 'float23'; allowed: .*did you mean 'float32'"),
        (bytes(64), {"dtype": "object"}, "X-Stillroom-Dtype: 'object'; allowed:"),
        (np.full(64, 256, "<i2").tobytes(), {"dtype": "int16"}, r"inputs\[0\]\[0\]\[0\]\[0\]: 256; allowed: whole"),
    ],
)
def test_what_does_not_fit_is_named(body: bytes, said: dict[str, Any], fault: str) -> None:
    with pytest.raises(Refused, match=fault):
        read(body, headers(**said), GREY, 4)


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e300])
def test_a_number_that_the_network_cannot_take_is_named(value: float) -> None:
    body = np.array([0, 1, value], "<f8").tobytes()
    with pytest.raises(Refused, match=r"inputs\[0\]\[2\]: .*; allowed: finite float32 numbers"):
        read(body, headers(dtype="float64"), FLOATS, 4)
