"""What can run an ONNX file here, each behind the same two things: its inputs' names, and a function that answers.

*Use when* the same file is to be timed on another engine than the one that serves it. Every engine computes in the
arithmetic of the file: OpenVINO would take BF16 where the processor has it, which is another model than was evaluated.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from itertools import cycle
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tasks.core.errors import ArtifactError
from tasks.core.points import EngineName
from tasks.core.timing import Call
from tasks.evidence.session import CPU, CUDA, OUTPUT, Feeds, checked_names, open_session

Array = np.ndarray[Any, Any]


class Model(NamedTuple):
    """An opened file: its inputs' names, and rows (N, ...) of them to logits (N, C)."""

    inputs: tuple[str, ...]
    answer: Callable[[Feeds], Array]


def open_model(engine: EngineName, path: Path, threads: int) -> Model:
    """The model at `path`; ArtifactError when it cannot be opened, or the engine is not there."""
    return _OPEN[engine](path, threads)


def _onnxruntime(path: Path, threads: int) -> Model:
    return _session(path, threads, CPU)


def _onnxruntime_cuda(path: Path, threads: int) -> Model:
    import onnxruntime as ort

    if CUDA not in (there := ort.get_available_providers()):
        raise ArtifactError(
            f"params/plan.yaml: bench.engines: onnxruntime_cuda: this ONNX Runtime has only {', '.join(there)}; "
            "it takes the package onnxruntime-gpu and an NVIDIA device"
        )
    return _session(path, threads, CUDA)


def _session(path: Path, threads: int, provider: str) -> Model:
    session = open_session(path, threads, provider)
    if provider not in (got := session.get_providers()):
        raise ArtifactError(
            f"params/plan.yaml: bench.engines: {provider}: ONNX Runtime has it and cannot start it; {path} would run on"
            f" {', '.join(got)}; it takes an NVIDIA device, its driver, and the CUDA and cuDNN that it was built for"
        )

    def answer(feeds: Feeds) -> Array:
        (logits,) = session.run([OUTPUT], feeds)
        return np.asarray(logits)

    return Model(tuple(i.name for i in session.get_inputs()), answer)


def _openvino(path: Path, threads: int) -> Model:
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # OpenVINO then has a stub of its own
    try:
        import openvino
    except ImportError:
        raise ArtifactError(
            "params/plan.yaml: bench.engines: openvino: it is not installed; `pip install 'stillroom[openvino]'`"
        ) from None
    hints = {
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": 1,
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "f32",
    }
    try:
        compiled = openvino.Core().compile_model(str(path), "CPU", hints)
    except RuntimeError as e:
        raise ArtifactError(f"{path}: OpenVINO cannot load it: {str(e).strip().splitlines()[-1]}") from e
    request, logits = compiled.create_infer_request(), compiled.output(OUTPUT)

    def answer(feeds: Feeds) -> Array:
        return np.asarray(request.infer(dict(feeds), share_outputs=True)[logits])

    return Model(tuple(i.any_name for i in compiled.inputs), answer)


def caller(model: Model, feeds: Sequence[Feeds]) -> Call:
    """A function that answers the next of `feeds` once; they may have inputs that the model does not take."""
    names = checked_names(model.inputs, feeds[0])
    turn = cycle([{name: each[name] for name in names} for each in feeds])
    return lambda: model.answer(next(turn))


_OPEN: dict[EngineName, Callable[[Path, int], Model]] = {
    "onnxruntime": _onnxruntime,
    "openvino": _openvino,
    "onnxruntime_cuda": _onnxruntime_cuda,
}


def agreement(engine: EngineName, path: Path, threads: int, feeds: Sequence[Feeds]) -> float:
    """The share of the rows that get from `engine` the top class that ONNX Runtime gives them on the processor."""
    if engine == "onnxruntime":
        return 1.0
    mine, theirs = (answers(open_model(each, path, threads), feeds) for each in (engine, "onnxruntime"))
    return float((mine == theirs).mean())


def answers(model: Model, feeds: Sequence[Feeds]) -> Array:
    """The top class of every row of `feeds`."""
    return np.concatenate([model.answer({name: each[name] for name in model.inputs}).argmax(axis=1) for each in feeds])
