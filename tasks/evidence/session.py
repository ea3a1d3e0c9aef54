"""The one way an ONNX file is run here: ONNX Runtime on the processor, with a fixed number of threads.

*Use when* a step measures or checks a variant. Threads do not spin while they wait, so that sessions that stand side by
side (`bench`) do not steal time from one another.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tasks.core.arrays import batches
from tasks.core.contract import Split
from tasks.core.errors import ArtifactError, nearest
from tasks.core.rehearsal import lap

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

Array = np.ndarray[Any, Any]
Feeds = Mapping[str, Array]
OUTPUT = "logits"
CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"
FEEDS = 8  # different batches that are timed in turn, or more,
ROWS = 256  # until they hold so many rows


def open_session(path: Path, threads: int, provider: str = CPU) -> InferenceSession:
    """A session over the model at `path` with `threads` threads; ArtifactError when it is missing or damaged."""
    import onnxruntime as ort
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    ort.disable_telemetry_events()
    if not path.exists():
        raise ArtifactError(f"{path}: not there yet; `stillroom run` makes it")
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    damaged = (state.InvalidProtobuf, state.InvalidGraph, state.Fail, state.NotImplemented, state.NoSuchFile)
    try:
        return ort.InferenceSession(str(path), options, providers=list(dict.fromkeys([provider, CPU])))
    except damaged as e:
        raise ArtifactError(f"{path}: ONNX Runtime cannot load it: {e}") from e


def feed_names(session: InferenceSession, split: Split) -> list[str]:
    """The names of the model's inputs; ArtifactError when the data have no input of that name."""
    return checked_names([i.name for i in session.get_inputs()], split.inputs)


def checked_names(names: Sequence[str], have: Iterable[str]) -> list[str]:
    """`names`; ArtifactError when one is not among the inputs that the data have."""
    have = list(have)
    for name in names:
        if name not in have:
            raise ArtifactError(f"model input {name!r}: the data have only {', '.join(have)}{nearest(name, have)}")
    return list(names)


def feeds_of(split: Split, batch: int) -> list[Feeds]:
    """Some batches of real rows, all inputs of the data (reused when there are few rows)."""
    feeds: list[Feeds] = []
    for k in range(max(FEEDS, ceil(ROWS / batch))):
        index = np.arange(k * batch, (k + 1) * batch) % len(split)
        feeds.append({name: np.ascontiguousarray(rows[index]) for name, rows in split.inputs.items()})
    return feeds


def predict(session: InferenceSession, split: Split, batch: int = 256) -> Array:
    """Logits (N, C) float32 of all N rows, `batch` rows at a time; ArtifactError when one is NaN or infinite."""
    names = feed_names(session, split)
    parts: list[Array] = []
    with lap("predicted", len(split), most=batch):
        for inputs, _ in batches(split, batch):
            (logits,) = session.run([OUTPUT], {name: inputs[name] for name in names})
            if not np.isfinite(logits).all():
                raise ArtifactError(f"the model gives NaN or infinite logits in rows {len(parts) * batch} and on")
            parts.append(logits)
    if not parts:
        raise ArtifactError("there are no rows to predict")
    return np.concatenate(parts).astype(np.float32, copy=False)


def rows_a_call(path: Path) -> int:
    """How many rows to ask at once: one where each call finds its own INT8 scales, which all its rows share.

    Otherwise a row's answer would depend on which rows stand beside it.
    """
    import onnx

    from tasks.core.graph import every_node

    graph = onnx.load(str(path), load_external_data=False).graph
    return 1 if any(node.op_type == "DynamicQuantizeLinear" for node in every_node(graph)) else 256
