"""Where a result lives on disk. The only module that knows the paths under artifacts/, reports/ and results/.

artifacts/data/     data.json, validation.json, validation.html, <split>/<input>.npy, <split>/labels.npy|groups.npy;
                    for text, tokenizer.json
artifacts/<row>/    card.json, model.onnx and, for a trainable one, model.json + weights.safetensors;
                    a technique may add files of its own, as `cluster` does model.srz
reports/<row>.json  what `evaluate` measured: deterministic
results/            over all rows: bench.json, chosen.json, package/, summary.json, waterfall.json,
                    pareto.csv, report.html

Nothing here is pickled: loading never runs code from the file. The joins have a folder of their own because they
depend on the whole of artifacts/ and reports/, and a DVC stage may not write into a folder that it depends on.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ValidationError

from tasks.core.errors import ArtifactError

if TYPE_CHECKING:
    import onnx

ARTIFACTS = Path("artifacts")
REPORTS = Path("reports")
RESULTS = Path("results")
DATA = ARTIFACTS / "data"
BENCH = RESULTS / "bench.json"
CHOSEN = RESULTS / "chosen.json"
PACKAGE = RESULTS / "package"
SUMMARY = RESULTS / "summary.json"
WATERFALL = RESULTS / "waterfall.json"
PARETO = RESULTS / "pareto.csv"
PAGE = RESULTS / "report.html"

M = TypeVar("M", bound=BaseModel)


def variant_folder(name: str) -> Path:
    """artifacts/<name>."""
    return ARTIFACTS / name


def evaluation_file(name: str) -> Path:
    """reports/<name>.json."""
    return REPORTS / f"{name}.json"


def write_json(path: Path, value: BaseModel | dict[str, Any]) -> None:
    """Write `value` with sorted keys and a final newline, so that equal values are equal bytes."""
    plain = value.model_dump(mode="json") if isinstance(value, BaseModel) else value
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(plain, indent=2, sort_keys=True, allow_nan=False) + "\n", encoding="utf-8")


def read_json(path: Path, kind: type[M]) -> M:
    """Read a file written by `write_json` as a `kind`; ArtifactError when it is missing or does not fit."""
    try:
        return kind.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise ArtifactError(f"{path}: not there yet; `stillroom run` makes it") from None
    except ValidationError as e:
        raise ArtifactError(f"{path}: not what this version writes: {e.errors()[0]['msg']}; run again") from None


def load_graph(name: str) -> onnx.ModelProto:
    """The ONNX model of a variant; ArtifactError when it is missing."""
    import onnx

    path = variant_folder(name) / "model.onnx"
    if not path.exists():
        raise ArtifactError(f"{path}: not there yet; `stillroom run` makes it")
    return onnx.load(str(path))
