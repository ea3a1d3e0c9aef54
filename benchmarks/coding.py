"""Entropy coding of weights that share few values: bytes over the entropy, and the processor's seconds.

    OMP_NUM_THREADS=1 python benchmarks/coding.py

The weights are 10 M draws of a normal distribution, each the nearest of the 16 or 256 centroids that `cluster` would
find. What is timed is the coder alone: its table and the places, without the
codebook, which takes a sort, and the file around them. The seconds are the least of the rounds; the places come back or
nothing is printed.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from time import process_time
from typing import Any

import numpy as np

from tasks.core import kmeans
from tasks.core.srz import CODERS, entropy_bytes

Array = np.ndarray[Any, Any]


def least(rounds: int, work: Callable[..., Any], *given: Any) -> tuple[float, Any]:
    """The fewest CPU seconds of so many rounds of `work`, and its result."""
    seconds = []
    for _ in range(rounds):
        start = process_time()
        result = work(*given)
        seconds.append(process_time() - start)
    return min(seconds), result


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=int, default=10_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    print("| centroids | coder | bytes over entropy | encode | decode |\n| --- | --- | --- | --- | --- |")
    weights = np.random.default_rng(0).standard_normal(asked.weights, dtype=np.float32)
    for clusters in (16, 256):
        symbols = kmeans.nearest(weights, kmeans.centroids(weights, clusters))
        counts = np.bincount(symbols)
        for name, coder in CODERS.items():
            table = coder.table(counts)
            there, stream = least(asked.rounds, coder.encode, symbols, table)
            back, again = least(asked.rounds, coder.decode, stream, table, len(symbols))
            assert np.array_equal(again, symbols), f"{name} did not give the places back"
            over = (len(table.tobytes()) + len(stream)) / entropy_bytes(counts)
            print(f"| {clusters} | {name} | {over:.5f} | {there:.2f} s | {back:.2f} s |", flush=True)


if __name__ == "__main__":
    main()
