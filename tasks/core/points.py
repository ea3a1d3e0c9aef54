"""Where a latency is taken: an engine, a thread count and a batch size."""

from typing import Literal, NamedTuple

EngineName = Literal["onnxruntime", "openvino", "onnxruntime_cuda"]


class Point(NamedTuple):
    """One place of the benchmark's sweep."""

    engine: EngineName
    threads: int
    batch: int

    def __str__(self) -> str:
        """As in `onnxruntime, 1 thread, batch 32`."""
        return f"{self.engine}, {self.threads} thread{'s' if self.threads != 1 else ''}, batch {self.batch}"
