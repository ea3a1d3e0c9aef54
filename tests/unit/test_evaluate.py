"""`evaluate` on a project without training: numbers against scikit-learn, bytes that repeat, faults that are named."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnxruntime.quantization import quantize_dynamic
from sklearn.metrics import accuracy_score, f1_score, recall_score

from tasks import evaluate
from tasks.core import artifact
from tasks.core.dataset import read_data
from tasks.core.errors import ArtifactError
from tasks.core.results import Evaluation
from tasks.evidence import stats
from tasks.evidence.session import open_session, predict
from tests.unit import fake_project as fake


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    fake.make_project()


def evaluated(name: str) -> Evaluation:
    evaluate.run(fake.settings(), name)
    return artifact.read_json(artifact.evaluation_file(name), Evaluation)


def answers(name: str, split: str) -> np.ndarray:
    session = open_session(artifact.variant_folder(name) / "model.onnx", 1)
    return predict(session, read_data(artifact.DATA).split(split)).argmax(axis=1)


def test_quality_matches_scikit_learn() -> None:
    found = evaluated("student")
    for name, quality in (("val", found.val), ("test", found.test)):
        split = read_data(artifact.DATA).split(name)
        labels, mine = split.labels, answers("student", name)
        assert quality.rows == len(labels) == (30 if name == "val" else 60)
        assert quality.accuracy == pytest.approx(accuracy_score(labels, mine))
        assert quality.macro_f1 == pytest.approx(f1_score(labels, mine, average="macro"))
        recall = recall_score(labels, mine, average=None)
        assert list(quality.per_class_recall.values()) == pytest.approx(list(recall))
        assert quality.agreement == pytest.approx(np.mean(mine == answers("baseline", name)))
        right = mine == labels
        assert quality.per_group_accuracy == pytest.approx({"young": right[::2].mean(), "old": right[1::2].mean()})


def test_reference_agrees_with_itself() -> None:
    found = evaluated("baseline")
    assert found.val.agreement == found.test.agreement == 1.0


def test_cost_and_hash_are_those_of_the_file() -> None:
    found = evaluated("student")
    path = artifact.variant_folder("student") / "model.onnx"
    assert found.size_bytes == path.stat().st_size
    assert found.macs == 16 * 8 + 8 * 3
    assert found.model_sha256 == evaluate.sha256_of(path)


def test_same_bytes_twice() -> None:
    evaluated("student")
    first = artifact.evaluation_file("student").read_bytes()
    evaluated("student")
    assert artifact.evaluation_file("student").read_bytes() == first
    assert str(Path.cwd()).encode() not in first


def test_rows_of_a_dynamically_quantized_model_are_asked_one_by_one() -> None:
    path, test = artifact.variant_folder("student") / "model.onnx", read_data(artifact.DATA).split("test")
    quantize_dynamic(str(path), str(path), op_types_to_quantize=["Gemm", "MatMul"])
    session = open_session(path, 1)
    alone = predict(session, test, 1)
    assert not np.allclose(alone, predict(session, test)), "neighbours do not matter: nothing is tested"
    expected = stats.expected_calibration_error(stats.softmax(alone), test.labels)
    assert evaluated("student").test.calibration_error == expected


def test_wrong_number_of_classes_is_named() -> None:
    model = fake.network(8)
    model.graph.initializer[3].CopyFrom(onnx.numpy_helper.from_array(np.zeros((8, 5), np.float32), "w2"))
    model.graph.initializer[4].CopyFrom(onnx.numpy_helper.from_array(np.zeros(5, np.float32), "b2"))
    model.graph.output[0].type.tensor_type.ClearField("shape")
    onnx.save(model, str(artifact.variant_folder("student") / "model.onnx"))
    with pytest.raises(ArtifactError, match=r"student/model\.onnx: gives .*5.* 3 classes"):
        evaluated("student")
    assert not artifact.evaluation_file("student").exists()


def test_torch_is_never_imported() -> None:
    code = (
        "import sys; from tests.unit import fake_project as fake; from tasks import evaluate, bench, choose;"
        "evaluate.run(fake.settings(), 'student'); assert 'torch' not in sys.modules"
    )
    root = str(Path(evaluate.__file__).parents[1])
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": root}, capture_output=True)


def test_portability_stands_beside_the_quality_of_integer_files_alone() -> None:
    """Null for a float file."""
    assert evaluated("student").portability is None
    quantize_dynamic(
        artifact.variant_folder("student") / "model.onnx", artifact.variant_folder("student_int8") / "model.onnx"
    )
    found = evaluated("student_int8").portability
    assert found is not None and found.layers == 2
    assert found.verdict in ("differs", "portable on sample") and found.rows == 30
