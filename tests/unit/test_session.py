"""The session factory: pinned settings, named faults, batches that do not change the answer."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from tasks.core.contract import Split
from tasks.core.errors import ArtifactError
from tasks.evidence.session import open_session, predict
from tests.unit.fake_project import network, split


@pytest.fixture
def model(tmp_path: Path) -> Path:
    onnx.save(network(8), str(tmp_path / "model.onnx"))
    return tmp_path / "model.onnx"


def test_threads_are_pinned(model: Path) -> None:
    session = open_session(model, 2)
    options = session.get_session_options()
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (2, 1)
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"
    assert session.get_providers() == ["CPUExecutionProvider"]


@pytest.mark.parametrize("batch", [1, 7, 256])
def test_batches_do_not_change_the_answer(model: Path, batch: int) -> None:
    rows = split(20, 0)
    found = predict(open_session(model, 1), rows, batch)
    images = rows.inputs["images"][slice(None)].reshape(20, -1).astype(np.float32) / np.float32(127.5)
    w = {t.name: numpy_helper.to_array(t) for t in onnx.load(str(model)).graph.initializer}
    wanted = np.maximum(images @ w["w1"] + w["b1"], 0) @ w["w2"] + w["b2"]
    assert found.dtype == np.float32
    assert np.allclose(found, wanted, rtol=1e-4, atol=1e-4)


def test_missing_and_damaged_files(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"model\.onnx: not there yet"):
        open_session(tmp_path / "model.onnx", 1)
    (tmp_path / "model.onnx").write_bytes(b"not a model")
    with pytest.raises(ArtifactError, match="cannot load"):
        open_session(tmp_path / "model.onnx", 1)


def test_input_the_data_do_not_have(model: Path) -> None:
    rows = split(3, 0)
    with pytest.raises(ArtifactError, match=r"'images'.*only image; did you mean 'image'"):
        predict(open_session(model, 1), Split({"image": rows.inputs["images"]}, rows.labels))


def test_nan_is_an_error(tmp_path: Path) -> None:
    broken = network(8)
    broken.graph.initializer[1].CopyFrom(numpy_helper.from_array(np.full((16, 8), np.nan, np.float32), "w1"))
    onnx.save(broken, str(tmp_path / "m.onnx"))
    with pytest.raises(ArtifactError, match="NaN"):
        predict(open_session(tmp_path / "m.onnx", 1), split(5, 0))
