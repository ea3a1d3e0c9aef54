"""The step `package`, and that serving reads what it writes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from serving import package as served
from serving.reference import counted
from tasks import package
from tasks.core import artifact
from tasks.core.errors import ArtifactError
from tasks.core.results import Chosen, Evaluation, PackageManifest, Quality
from tests.unit import fake_project
from tests.unit.fake_evidence import harm, marks


def quality(accuracy: float) -> Quality:
    return Quality(rows=60, accuracy=accuracy, macro_f1=0.5, per_class_recall={}, agreement=1.0, calibration_error=0.1)


def choose(variant: str) -> None:
    chosen = Chosen(variant=variant, reference="baseline", prefer="size_mb", front=(variant,), candidates={})
    artifact.write_json(artifact.CHOSEN, chosen)


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    fake_project.make_project()
    for k, name in enumerate(fake_project.PARENTS):
        model = artifact.variant_folder(name) / "model.onnx"
        report = Evaluation(
            variant=name,
            model_sha256=digest(model),
            size_bytes=model.stat().st_size,
            parameters=1,
            macs=1,
            val=quality(0.1),
            test=quality(0.5 + k / 10),
            harm=harm({}),
            val_harm=harm({}),
            marks=marks(0.5 + k / 10, 30),
        )
        artifact.write_json(artifact.evaluation_file(name), report)
    choose("student_int8")
    yield


def test_the_folder_holds_both_models_and_a_manifest_over_everything_else() -> None:
    package.run(fake_project.settings())
    manifest = artifact.read_json(artifact.PACKAGE / "manifest.json", PackageManifest)
    assert (manifest.control, manifest.treatment) == ("baseline", "student_int8")
    present = {p.relative_to(artifact.PACKAGE).as_posix() for p in artifact.PACKAGE.rglob("*") if p.is_file()}
    assert present == {*manifest.files, "manifest.json"}
    assert present >= {"autoscale/bentocloud.yaml", "autoscale/kubernetes.yaml", *served.NEEDED}
    assert all(digest(artifact.PACKAGE / name) == found for name, found in manifest.files.items())
    assert manifest.files["treatment.onnx"] == digest(Path("artifacts/student_int8/model.onnx"))


def test_a_tokenizer_travels_with_the_package() -> None:
    about = json.loads((artifact.DATA / "data.json").read_text())
    (artifact.DATA / "data.json").write_text(json.dumps(about | {"files": ["tokenizer.json"]}))
    (artifact.DATA / "tokenizer.json").write_bytes(b"{}")
    package.run(fake_project.settings())
    assert (artifact.PACKAGE / "tokenizer.json").read_bytes() == b"{}"
    manifest = artifact.read_json(artifact.PACKAGE / "manifest.json", PackageManifest)
    assert manifest.files["tokenizer.json"] == hashlib.sha256(b"{}").hexdigest()


def test_serving_reads_it() -> None:
    package.run(fake_project.settings())
    read = served.read(artifact.PACKAGE)
    assert read.labels == fake_project.CLASSES
    assert read.preprocess.inputs["images"].shape == fake_project.ROW
    assert read.preprocess.inputs["images"].dtype == "uint8"
    assert read.model("control") == Path("artifacts/baseline/model.onnx").read_bytes()
    assert read.rollout.limits.rows == fake_project.settings().rollout.limits.rows


def test_the_evidence_is_on_test_and_about_these_models() -> None:
    package.run(fake_project.settings())
    evidence = json.loads((artifact.PACKAGE / "evidence.json").read_text())
    assert evidence["control"]["test"]["accuracy"] == 0.5
    assert evidence["treatment"]["test"]["accuracy"] == 0.7
    assert evidence["treatment"]["size_bytes"] == (artifact.PACKAGE / "treatment.onnx").stat().st_size


def test_same_bytes_again_and_nothing_left_of_an_older_package() -> None:
    package.run(fake_project.settings())
    first = {p: p.read_bytes() for p in artifact.PACKAGE.rglob("*") if p.is_file()}
    (artifact.PACKAGE / "old.onnx").write_bytes(b"old")
    package.run(fake_project.settings())
    assert {p: p.read_bytes() for p in artifact.PACKAGE.rglob("*") if p.is_file()} == first


def test_a_reference_that_won_plays_both_roles() -> None:
    choose("baseline")
    package.run(fake_project.settings())
    read = served.read(artifact.PACKAGE)
    assert read.name("control") == read.name("treatment") == "baseline"
    assert read.sha256("control") == read.sha256("treatment")


def test_evidence_about_other_bytes_is_refused_and_nothing_is_written() -> None:
    with Path("artifacts/student_int8/model.onnx").open("ab") as model:
        model.write(b"x")
    with pytest.raises(ArtifactError, match=r"reports/student_int8\.json: measured a model with SHA-256"):
        package.run(fake_project.settings())
    assert not artifact.PACKAGE.exists()


def test_a_missing_model_or_choice_is_named() -> None:
    Path("artifacts/student_int8/model.onnx").unlink()
    with pytest.raises(ArtifactError, match=r"artifacts/student_int8/model\.onnx: not there yet"):
        package.run(fake_project.settings())
    artifact.CHOSEN.unlink()
    with pytest.raises(ArtifactError, match=r"results/chosen\.json: not there yet"):
        package.run(fake_project.settings())


def test_the_reference_is_what_the_service_sees_of_val() -> None:
    package.run(fake_project.settings())
    read = served.read(artifact.PACKAGE).reference
    assert read is not None
    val = fake_project.split(30, 0)
    found = counted(read, {"images": val.inputs["images"][:]})
    assert {name: tuple(counts) for name, counts in found.items()} == {k: b.counts for k, b in read.features.items()}
    assert (read.rows, sum(read.predicted["control"].values())) == (30, 30)
    assert read.disagreement.rows == 60, "that of evaluate, on all of val"
