"""The .srz file: every bit comes back, the bytes lie at the entropy, and damage is noticed."""

from __future__ import annotations

import heapq
from typing import Any

import numpy as np
import pytest

from tasks.core import ans, huffman, srz
from tasks.core.errors import ArtifactError, TechniqueError

RNG = np.random.default_rng(0)
CODERS = ["ans", "huffman"]
each_coder = pytest.mark.parametrize("coder", CODERS)


def few(n: int, k: int, dtype: Any = np.float32) -> np.ndarray[Any, Any]:
    """n values out of k, unevenly often."""
    book = RNG.normal(size=k).astype(dtype)
    return book[np.minimum(RNG.geometric(min(0.7, 3 / k), n) - 1, k - 1)]


def same(a: dict[str, Any], b: dict[str, Any]) -> bool:
    return a.keys() == b.keys() and all(
        (a[k].dtype, a[k].shape, a[k].tobytes()) == (b[k].dtype, b[k].shape, b[k].tobytes()) for k in a
    )


ODD: dict[str, np.ndarray[Any, Any]] = {
    "weight": few(40_000, 16).reshape(200, 200),
    "noise": RNG.normal(size=(50, 100)).astype(np.float32),
    "half": few(9000, 200, np.float16),
    "bytes": RNG.integers(-3, 3, 10_000).astype(np.int8),
    "steps": np.array(7, dtype=np.int64),
    "nothing": np.zeros((0, 3), dtype=np.float32),
    "constant": np.full(5000, -0.0, dtype=np.float32),
    "signs": RNG.choice(np.array([0.0, -0.0, np.nan, -np.inf], dtype=np.float32), 3000),
    "two": RNG.choice(np.array([1.0, 2.0]), 4096),
    "flags": RNG.random(3000) < 0.1,
    "lane": few(2 * huffman.LANE, 5),
    "lane_and_one": few(2 * huffman.LANE + 1, 5),
}


@each_coder
def test_every_bit_comes_back(coder: Any) -> None:
    encoded = srz.encode(ODD, coder)
    assert same(srz.decode(encoded.data), ODD)
    assert encoded.data == srz.encode(dict(reversed(ODD.items())), coder).data
    assert len(encoded.data) < 0.3 * sum(x.nbytes for x in ODD.values())


@each_coder
@pytest.mark.parametrize("k", [2, 3, 16, 256, 4096])
def test_the_bytes_lie_at_the_entropy(coder: Any, k: int) -> None:
    values = few(400_000, k)
    encoded = srz.encode({"w": values}, coder)
    share = np.unique(values, return_counts=True)[1] / len(values)
    assert encoded.entropy_bytes == pytest.approx(-(share * np.log2(share)).sum() * len(values) / 8)
    most = 1.01 if coder == "ans" else 1.01 + 0.086 + share.max()  # Gallager 1978: Huffman's worst
    assert encoded.entropy_bytes <= encoded.index_bytes - len(share) <= encoded.entropy_bytes * most + 16
    parts = encoded.index_bytes + encoded.codebook_bytes + encoded.plain_bytes
    assert parts < len(encoded.data) < parts + 200


def test_a_small_network_lies_within_a_hundredth_of_the_entropy_its_tables_included() -> None:
    """The layers of a ResNet-9 of width 16, 412 thousand weights on 256 values: tables count there."""
    shapes = [(32, 16), (32, 32), (32, 32), (64, 32), (128, 64), (128, 128), (128, 128)]
    weights = {str(k): RNG.laplace(size=(o, i, 3, 3)).astype(np.float32) for k, (o, i) in enumerate(shapes)}
    shared = {}
    for name, values in weights.items():
        book = np.quantile(values, np.linspace(0, 1, 256)).astype(np.float32)
        shared[name] = book[np.abs(values[..., None] - book).argmin(-1)]
    encoded = srz.encode(shared, "ans")
    assert encoded.coded_values == sum(o * i * 9 for o, i in shapes)
    assert encoded.entropy_bytes <= encoded.index_bytes <= 1.01 * encoded.entropy_bytes


def test_a_table_of_the_greatest_and_of_counts_far_apart_reads_back_as_nearly_the_same_shares() -> None:
    counts = np.array([1, 30_000, 65_536, 10**8, 2**30])
    found = ans.table(counts)
    assert found.dtype == np.uint8 and found[-1] == 0 and found[0] == 255
    again = (ans.FALLING[found % ans.STEPS] >> (found // ans.STEPS)) / ans.FALLING[0]
    assert np.allclose(again[1:], counts[1:] / counts[-1], rtol=0.022)


def test_huffman_code_is_as_short_as_any() -> None:
    """Total length against the textbook's: the sum of all merged counts."""
    counts = RNG.integers(1, 5000, 300)
    heap = counts.tolist()
    heapq.heapify(heap)
    total = 0
    while len(heap) > 1:
        both = heapq.heappop(heap) + heapq.heappop(heap)
        total += both
        heapq.heappush(heap, both)
    assert int((huffman.table(counts).astype(int) * counts).sum()) == total


def test_huffman_codes_are_prefix_free_and_canonical() -> None:
    lengths = huffman.table(np.array([40, 0, 30, 20, 9, 1]))
    order, code = huffman.codes(lengths)
    words = [format(int(c), f"0{lengths[s]}b") for s, c in zip(order, code, strict=True)]
    assert (order.tolist(), words) == ([0, 2, 3, 4, 5], ["0", "10", "110", "1110", "1111"])


def test_the_longest_code_is_bounded() -> None:
    """Fibonacci's counts make the deepest tree."""
    counts = [1, 1]
    while len(counts) < 40:
        counts.append(counts[-1] + counts[-2])
    lengths = huffman.table(np.array(counts))
    assert lengths.max() <= huffman.LONGEST and (2.0 ** -lengths.astype(float)).sum() <= 1
    symbols = np.repeat(np.arange(40), 200)
    assert (huffman.decode(huffman.encode(symbols, lengths), lengths, len(symbols)) == symbols).all()


@pytest.mark.parametrize("at", [0, 3, 20, 500, -1])
def test_damage_is_noticed(at: int) -> None:
    data = bytearray(srz.encode({"w": few(5000, 8)}, "huffman").data)
    data[at] ^= 4
    with pytest.raises(ArtifactError, match="damaged"):
        srz.decode(bytes(data))


@pytest.mark.parametrize("data", [b"", b"SRZ2", b"SRZ1" * 20, b"\x80\x04pickle" * 20])
def test_other_files_are_refused(data: bytes) -> None:
    with pytest.raises(ArtifactError, match=r"not an \.srz file"):
        srz.decode(data)


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "constriction", None)
    with pytest.raises(TechniqueError, match=r"stillroom\[srz\].*coder: huffman"):
        srz.check("ans")
    srz.check("huffman")
    with pytest.raises(TechniqueError):
        ans.encode(np.array([0, 1]), ans.table(np.array([1, 1])))
