"""From a trainable network to the ONNX file that is measured and served.

What it holds is the network in eval mode, taking raw input. That ONNX Runtime and PyTorch then answer alike is checked,
with the graph as it is written and with what ONNX Runtime makes of it at each of its levels of optimization.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import torch
from torch import Tensor, nn

from tasks.core.arrays import batches
from tasks.core.contract import Data, Network
from tasks.core.errors import TechniqueError
from tasks.core.graph import plain, pool_globally
from tasks.core.quiet import quiet
from tasks.core.shape import example, spec_of

OPSET = 20
PARITY_LIMIT = 1e-3
ROUNDING = 32 * float(np.finfo(np.float32).eps)  # that a network's sums add up to, as a share of its largest logit
PARITY_ROWS = 256
LOGITS = "logits"
LEVELS = ("ORT_DISABLE_ALL", "ORT_ENABLE_BASIC", "ORT_ENABLE_EXTENDED", "ORT_ENABLE_LAYOUT", "ORT_ENABLE_ALL")
"""Of ONNX Runtime's optimization, none to all; the last is what is served."""


def export(network: Network, data: Data) -> onnx.ModelProto:
    """`network` as an ONNX model: inputs named as the data's, any batch size, one output `logits` (N, classes)."""
    spec = spec_of(data)
    # Two rows: the exporter takes a batch of one for a constant.
    return to_onnx(network.module, example(spec, 2), list(spec.shapes), [LOGITS])


def to_onnx(module: nn.Module, inputs: tuple[Tensor, ...], names: list[str], outputs: list[str]) -> onnx.ModelProto:
    """`module` in eval mode as an ONNX model of any batch size; `inputs` are two rows or more, called `names` there."""
    batch = torch.export.Dim("batch", min=1, max=65536)
    with quiet():
        program = torch.onnx.export(
            module.eval(),
            inputs,
            dynamo=True,
            input_names=names,
            output_names=outputs,
            dynamic_shapes=tuple({0: batch} for _ in inputs),
            opset_version=OPSET,
            external_data=False,
            verbose=False,
        )
    assert program is not None
    proto: onnx.ModelProto = program.model_proto
    opsets = {o.domain: o.version for o in proto.opset_import}
    if opsets.get("") != OPSET:  # the exporter falls back to another with no more than a log line
        raise TechniqueError(f"export: asked for opset {OPSET}, PyTorch {torch.__version__} wrote {opsets.get('')}")
    pool_globally(proto)
    return plain(proto)


def session(proto: onnx.ModelProto, level: str = LEVELS[-1]) -> ort.InferenceSession:
    """A single-threaded ONNX Runtime session on the processor; `level` is one of LEVELS."""
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.__members__[level]
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return ort.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])


def relative_difference(found_NC: np.ndarray[Any, Any], reference_NC: np.ndarray[Any, Any]) -> float:
    """Largest absolute difference over the reference's standard deviation, or over that from row to row if smaller.

    The latter, so that classes far apart from each other do not hide what distinguishes the rows. A difference within
    float32's rounding of the largest logit is told relative to that logit: of no network can more be asked. Raises
    TechniqueError when the reference hardly moves from row to row: agreement with a constant proves nothing.
    """
    spread, largest = float(reference_NC.std(axis=0).max()), float(np.abs(reference_NC).max())
    if not spread > 1e-5 * max(1.0, largest):  # a network that has lost its rows' part differs by more than rounding
        raise TechniqueError(
            f"parity: the network gives all but the same logits for every row (they spread by {spread:.1e}); "
            "it has not learnt anything, or its weights were lost"
        )
    difference = float(np.abs(found_NC - reference_NC).max())
    return difference / (largest if difference <= ROUNDING * largest else min(spread, float(reference_NC.std())))


def parity(network: Network, proto: onnx.ModelProto, data: Data) -> float:
    """How far ONNX Runtime's logits are from PyTorch's on rows of `val`, relative to their scale, at the worst level.

    Raises TechniqueError above PARITY_LIMIT, or when there is nothing to compare.
    """
    val = data.split("val")
    inputs, _ = next(batches(val, min(PARITY_ROWS, len(val))))
    with torch.no_grad():
        reference = network.module.eval()(*(torch.tensor(x) for x in inputs.values())).numpy()
    return at_every_level(
        lambda level: relative_difference(session(proto, level).run([LOGITS], inputs)[0], reference),
        "parity: ONNX Runtime and PyTorch",
    )


def at_every_level(difference: Callable[[str], float], what: str) -> float:
    """The worst of `difference(level)` over LEVELS, relative to the logits' scale; `what` it is between, in words.

    Raises TechniqueError above PARITY_LIMIT, naming the level.
    """
    worst = 0.0
    for level in LEVELS:
        found = difference(level)
        if not found <= PARITY_LIMIT:
            at = "" if level == LEVELS[0] else f" once ONNX Runtime optimizes the graph ({level})"
            raise TechniqueError(
                f"{what} differ by {found:.1e} of the logits' scale{at}; "
                f"at most {PARITY_LIMIT:.0e} is allowed, so the exported model is not the network"
            )
        worst = max(worst, found)
    return worst
