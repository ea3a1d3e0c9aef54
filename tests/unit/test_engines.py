"""The engines of the benchmark: the same answers from each, and one clear error for one that is not there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from tasks import bench
from tasks.core import artifact
from tasks.core.errors import ArtifactError
from tasks.core.results import Bench
from tasks.evidence.arithmetic import macs_by_arithmetic
from tasks.evidence.engines import caller, open_model
from tasks.evidence.session import feeds_of
from tests.unit import fake_project as fake


@pytest.fixture
def model(tmp_path: Path) -> Path:
    onnx.save(fake.network(8), str(tmp_path / "model.onnx"))
    return tmp_path / "model.onnx"


def test_openvino_answers_as_onnx_runtime_does(model: Path) -> None:
    pytest.importorskip("openvino", reason="the extra `openvino` is not installed")
    rows = feeds_of(fake.split(20, 0), 20)[0]
    mine, theirs = (open_model(engine, model, 1).answer(rows) for engine in ("openvino", "onnxruntime"))
    assert mine.shape == theirs.shape == (20, 3)
    assert np.allclose(mine, theirs, rtol=1e-4, atol=1e-4)


def test_openvino_is_imported_without_its_telemetry() -> None:
    pytest.importorskip("openvino", reason="the extra `openvino` is not installed")
    code = (
        "import sys; from pathlib import Path; from tasks.evidence.engines import open_model\n"
        "try: open_model('openvino', Path('none.onnx'), 1)\n"
        "except Exception: pass\n"
        "print(sorted(m for m in sys.modules if m.startswith('openvino_telemetry.')), 'openvino' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[] True"


def test_second_engine_stands_beside_the_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("openvino", reason="the extra `openvino` is not installed")
    monkeypatch.chdir(tmp_path)
    fake.make_project()
    given = fake.settings()
    block = given.plan.bench.model_copy(update={"engines": ("onnxruntime", "openvino"), "batch": (4,)})
    bench.run(given.model_copy(update={"plan": given.plan.model_copy(update={"bench": block})}))
    found = artifact.read_json(artifact.BENCH, Bench)
    assert [t.engine for t in found.timings["student"]] == ["onnxruntime", "openvino"]
    assert {t.agreement for t in found.timings["student"]} == {1.0}
    assert found.comparisons == 12, "typical call, p95 and p99 of two variants with two engines"
    assert "openvino" in found.machine.versions


def test_engine_that_is_not_installed_names_its_extra(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(ArtifactError, match=r"bench.engines: openvino: .*pip install 'stillroom\[openvino\]'"):
        open_model("openvino", model, 1)


def test_cuda_that_is_not_there_is_named(model: Path) -> None:
    import onnxruntime as ort

    if "CUDAExecutionProvider" in ort.get_available_providers():
        pytest.skip("this ONNX Runtime has CUDA")
    with pytest.raises(ArtifactError, match=r"onnxruntime_cuda: this ONNX Runtime has only .*onnxruntime-gpu"):
        open_model("onnxruntime_cuda", model, 1)


def test_caller_takes_turns_and_leaves_out_what_the_model_does_not_take(model: Path) -> None:
    opened, seen = open_model("onnxruntime", model, 1), []
    feeds = [{**each, "other": np.zeros(1)} for each in feeds_of(fake.split(6, 0), 3)]

    def watch(given: dict[str, np.ndarray]) -> np.ndarray:
        seen.append(given)
        return opened.answer(given)

    call = caller(opened._replace(answer=watch), feeds)
    for _ in range(len(feeds) + 1):
        call()
    assert all(set(each) == {"images"} for each in seen)
    assert np.array_equal(seen[0]["images"], seen[-1]["images"])
    assert not np.array_equal(seen[0]["images"], seen[1]["images"])
    with pytest.raises(ArtifactError, match="only pixels"):
        caller(opened, [{"pixels": np.zeros(1)}])


def qdq(both: bool) -> onnx.ModelProto:
    """images -> Gemm of weights on 8 bits, and of inputs on 8 bits too when `both`, without names of nodes."""
    scale, zero = helper.make_tensor("s", 1, [], [0.1]), helper.make_tensor("z", 3, [], [0])
    w = numpy_helper.from_array(np.ones((16, 3), np.int8), "w")
    nodes = [
        helper.make_node("Cast", ["images"], ["f"], to=1),
        helper.make_node("Flatten", ["f"], ["flat"]),
        helper.make_node("QuantizeLinear", ["flat", "s", "z"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["d"]),
        helper.make_node("DequantizeLinear", ["w", "s", "z"], ["dw"]),
        helper.make_node("Gemm", ["d" if both else "flat", "dw"], ["logits"]),
    ]
    images = helper.make_tensor_value_info("images", 2, ["batch", *fake.ROW])
    logits = helper.make_tensor_value_info("logits", 1, ["batch", 3])
    return fake.model_of(nodes, [images], [logits], [scale, zero, w])


def test_multiplications_are_counted_by_their_arithmetic() -> None:
    rows = {"images": fake.ROW}
    assert macs_by_arithmetic(fake.network(8), rows) == {"fp32": 16 * 8 + 8 * 3}
    assert macs_by_arithmetic(qdq(both=True), rows) == {"int8": 48}
    assert macs_by_arithmetic(qdq(both=False), rows) == {"fp32": 48}


def test_damaged_file_is_named_by_openvino(tmp_path: Path) -> None:
    pytest.importorskip("openvino", reason="the extra `openvino` is not installed")
    (tmp_path / "model.onnx").write_bytes(b"not a model")
    with pytest.raises(ArtifactError, match=r"model\.onnx: OpenVINO cannot load"):
        open_model("openvino", tmp_path / "model.onnx", 1)


@pytest.mark.filterwarnings("ignore:Specified provider")
def test_a_device_that_cannot_start_is_an_error_and_not_a_slow_processor(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import onnxruntime as ort

    monkeypatch.setattr(ort, "get_available_providers", lambda: ["CUDAExecutionProvider", "CPUExecutionProvider"])
    with pytest.raises(ArtifactError, match=r"cannot start it; .* would run on CPUExecutionProvider"):
        open_model("onnxruntime_cuda", model, 1)
