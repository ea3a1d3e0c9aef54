"""What the Open Inference Protocol tells of the server and its one model."""

from __future__ import annotations

from typing import Any

from serving.package import ROLES, Package
from serving.v2.tensor import NAMES

MODEL = "stillroom"
OUTPUTS = ("probabilities", "labels")
TEXT = "text"  # the input of a network of texts: the service has the tokenizer


def server(package: Package) -> dict[str, Any]:
    """GET /v2."""
    version = package.manifest_sha256[:12] or "unknown"
    return {"name": MODEL, "version": version, "extensions": ["binary_tensor_data"]}


def model(package: Package) -> dict[str, Any]:
    """GET /v2/models/stillroom: rows of any number, -1."""
    if package.preprocess.kind == "text":
        inputs = [{"name": TEXT, "datatype": "BYTES", "shape": [-1]}]
    else:
        inputs = [
            {"name": name, "datatype": NAMES[given.dtype], "shape": [-1, *given.shape]}
            for name, given in package.preprocess.inputs.items()
        ]
    outputs = [
        {"name": "probabilities", "datatype": "FP32", "shape": [-1, len(package.labels)]},
        {"name": "labels", "datatype": "BYTES", "shape": [-1]},
    ]
    return {
        "name": MODEL,
        "versions": list(ROLES),
        "platform": "onnxruntime_onnx",
        "inputs": inputs,
        "outputs": outputs,
    }
