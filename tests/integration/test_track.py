"""Tracking, promotion, rollback and fetching: a real MLflow on sqlite over a hand-written project of three rows."""

import base64
import hashlib
import json
import re
import zlib
from pathlib import Path

import pytest

from tasks import fetch, promote, rollback
from tasks.core import artifact
from tasks.core.errors import ArtifactError, GateError
from tasks.core.results import (
    PackageManifest,
)
from tasks.track import packages, provenance, registry, run, store, views
from tasks.track.registry import Registry
from tests.integration.tracked import ROWS, WEIGH, flow, model, settings, write

pytestmark = pytest.mark.integration


def aliases() -> dict[str, str]:
    """Alias -> version number, as the registry has them now."""
    found = registry.Registry.open()
    pairs = {alias: found.find(alias) for alias in registry.ALIASES}
    return {alias: version.number for alias, version in pairs.items() if version}


@pytest.fixture(scope="module")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A migrated MLflow database: making one takes seconds, so the tests start from a copy."""
    folder = tmp_path_factory.mktemp("store")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        import mlflow

        (folder / "mlflow").mkdir()
        mlflow.set_tracking_uri(f"sqlite:///{folder / store.DATABASE}")
        mlflow.MlflowClient().search_experiments()
    return (folder / store.DATABASE).read_bytes()


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, empty_store: bytes) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    (tmp_path / "mlflow").mkdir()
    (tmp_path / store.DATABASE).write_bytes(empty_store)
    write()
    return tmp_path


def runs(**tags: str) -> list:
    return store.search_finished(store.connect(), tags)


def test_a_run_is_logged_whole_and_a_second_one_stores_no_model_again(project: Path):
    flow("one", "computed")
    run(settings())
    client = store.connect()
    (parent,) = runs(kind="run")
    assert parent.info.run_name == "flow-one"
    assert parent.data.params["model.arch"] == "mlp" and parent.data.params["data.source"] == "digits"
    assert parent.data.metrics["test_accuracy"] == 0.97
    told = parent.data.tags["mlflow.note.content"]
    assert "| baseline&ensp; | distill&ensp; |" in told  # MLflow draws its cells without space
    told = told.replace("&ensp;", "")
    assert told.startswith("## small wins: ") and "- Gates: all " in told
    assert told.index(f"- To weigh before shipping: {WEIGH}") < told.index("- Gates: all ")
    assert told.index("[version 1](#/models/stillroom/versions/1)") < told.index("| baseline | distill |")
    assert "### What each step to" in told
    variants = [runs(variant=name)[0].info.run_id for name in ROWS]
    shown = f"viewStateShareKey={views.charts_key(variants)}&compareRunsMode=CHART"
    assert f"[all variants of this run](#/experiments/1/runs?workflowType=machine_learning&{shown})" in told
    assert f"mlflow.sharedViewState.{views.charts_key(variants)}" in client.get_experiment("1").tags
    (given,) = parent.inputs.dataset_inputs
    assert given.dataset.name == "digits" and given.dataset.digest == provenance.data_digest()[:36]
    import mlflow

    steps = mlflow.load_table("waterfall.json", run_ids=[parent.info.run_id])
    assert list(steps["variant"]) == ["baseline", "small", "small_int8"] and steps["size_bytes_change"].isna()[0]
    names = {
        file.path
        for folder in ("", "results", "validation", "figures")
        for file in client.list_artifacts(parent.info.run_id, folder)
    }
    assert {"results/bench.json", "results/report.html", "validation/validation.html", "dvc.lock"} <= names
    drawn = {f"figures/{name}.html" for name in ("trade", "steps", "latencies", "classes")}
    assert {name for name in names if name.startswith("figures/")} == drawn
    assert all(f"/artifacts/{name}?" in told for name in drawn), "the summary leads to each"

    (small,) = runs(variant="small")
    assert small.data.tags["mlflow.parentRunId"] == parent.info.run_id
    assert small.data.params == {"epochs": "3", "recover.epochs": "1", "model.arch": "mlp", "model.width": "8"}
    assert small.data.metrics["latency_ratio_high"] == 0.8 and small.data.metrics["size_bytes"] == len(model(2.0))
    expected = {
        "technique": "distill",
        "parent_variant": "baseline",
        "build": "computed",
        "driver": "prefect",
        "prefect.flow_run_id": "one",
        "prefect.flow_run_url": "http://x/one",
        "git.commit": "unknown",
    }
    assert small.data.tags.items() >= expected.items()
    assert runs(variant="small_int8")[0].data.params["model.width"] == "8", "an ONNX row has its parent's architecture"

    import mlflow

    logged = mlflow.onnx.load_model(small.data.tags["model_uri"])
    assert logged.SerializeToString() == model(2.0)
    signature = mlflow.models.get_model_info(small.data.tags["model_uri"]).signature
    assert str(signature.inputs) == "['features': Tensor('float32', (-1, 2))]" and signature.outputs.input_names() == [
        "logits"
    ]

    flow("two", "reused")
    run(settings())
    assert len(runs(kind="run")) == 2 and len(runs(kind="variant")) == 3, "nothing changed: no variant is logged twice"
    assert len(client.search_logged_models([parent.info.experiment_id])) == 3
    told = runs(kind="run")[0].data.tags["mlflow.note.content"]
    assert "Unchanged since an earlier run, and not logged again: every variant" in told
    for name in ROWS:
        (nested,) = runs(variant=name)
        assert (
            f"[{name}](#/experiments/{nested.info.experiment_id}/runs/{nested.info.run_id}?workflowType=machine_learning)"
            in told
        )
    assert aliases() == {"challenger": "1"}

    run(settings())
    assert runs(kind="run")[0].data.tags["driver"] == "dvc", "flow two is logged already: DVC drove this one"


def compared(parent) -> set[str]:
    """The runs that the charts show to which a parent's summary leads, as MLflow finds them."""
    (key,) = re.findall(r"viewStateShareKey=(\w+)", parent.data.tags["mlflow.note.content"])
    client = store.connect()
    kept = client.get_experiment(parent.info.experiment_id).tags[f"mlflow.sharedViewState.{key}"]
    view = json.loads(zlib.decompress(base64.b64decode(kept.removeprefix("deflate;"))))
    return {each.info.run_id for each in client.search_runs([parent.info.experiment_id], view["searchFilter"])}


def test_only_the_changed_model_is_stored_and_becomes_a_version(project: Path):
    run(settings())
    old = {name: runs(variant=name)[0].info.run_id for name in ROWS}
    write(weight=3.0)
    run(settings())
    client = store.connect()
    assert len(client.search_logged_models([client.get_experiment_by_name(store.EXPERIMENT).experiment_id])) == 4
    assert aliases() == {"challenger": "2"}
    version = client.get_model_version_by_alias(registry.MODEL, "challenger")
    assert version.tags["model_sha256"] == hashlib.sha256(model(3.0)).hexdigest()
    assert version.description.startswith("**small**: distill of baseline. small wins: ")
    assert "Gates: all " in version.description and "commit unknown" in version.description
    assert "All of it as of its registration, by [this run](#/experiments/" in version.description
    (first, second) = sorted(runs(kind="run"), key=lambda each: each.info.start_time)
    assert version.tags["package_uri"] == f"runs:/{second.info.run_id}/package"
    assert [len(runs(variant=name)) for name in ROWS] == [1, 2, 1], "what did not change is not logged twice"
    assert [compared(each) for each in (first, second)] == [
        {old["baseline"], old["small"], old["small_int8"]},
        {old["baseline"], runs(variant="small")[0].info.run_id, old["small_int8"]},
    ], "each run's charts show its own variants, also those that an earlier run had logged"


def test_results_that_are_not_of_one_run_are_not_logged(project: Path):
    (artifact.variant_folder("small") / "model.onnx").write_bytes(model(9.0))
    with pytest.raises(ArtifactError, match=r"small/model\.onnx: missing, or not the model that reports/small\.json"):
        run(settings())
    write()
    artifact.write_json(
        artifact.PACKAGE / "manifest.json", PackageManifest(control="baseline", treatment="small", files={})
    )
    with pytest.raises(ArtifactError, match="does not hold the model of small"):
        run(settings())
    assert not runs()


def test_nothing_registered_is_said_at_once_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    for step in (promote, rollback, fetch):
        with pytest.raises(GateError, match="nothing is registered yet"):
            step.run(settings())
    assert not list(tmp_path.iterdir())


def test_failing_gates_are_all_named_and_nothing_moves(project: Path):
    write(accuracy=0.94, recall=0.5)
    run(settings())
    with pytest.raises(GateError) as refused:
        promote.run(settings())
    lines = str(refused.value).splitlines()
    assert "there is no champion yet" in lines[0]
    assert lines[1:] == [
        "  accuracy_drop: found 0.05, allowed <= 0.02",
        "  worst_class_drop: found 0.49, allowed <= 0.1",
    ]
    assert aliases() == {"challenger": "1"}
    tags = store.connect().get_model_version(registry.MODEL, "1").tags
    assert tags["gates"] == "failed" and tags["gate.accuracy_drop"] == "0.05 <= 0.02 FAILS"


def test_the_challengers_own_evidence_is_asked_for(project: Path):
    run(settings())
    write(weight=3.0)  # a newer run that was not tracked
    with pytest.raises(GateError, match="SHA-256"):
        promote.run(settings())
    write(chosen="small_int8")
    with pytest.raises(GateError, match=r"registered as small against baseline, but .* says small_int8"):
        promote.run(settings())
    assert aliases() == {"challenger": "1"}


def test_promote_roll_back_and_fetch(project: Path, capsys: pytest.CaptureFixture[str]):
    run(settings())
    with pytest.raises(GateError, match="nothing is promoted"):
        fetch.run(settings())
    with pytest.raises(GateError, match="nothing is promoted"):
        rollback.run(settings())
    promote.run(settings())
    assert "latency_ratio     0.8" in capsys.readouterr().out
    with pytest.raises(GateError, match="no previous champion"):
        rollback.run(settings())

    write(weight=3.0)
    run(settings())
    promote.run(settings())
    promote.run(settings())
    assert "already is the champion" in capsys.readouterr().out
    assert aliases() == {"challenger": "2", "champion": "2", "previous_champion": "1"}
    found = [Registry.open().numbered(number) for number in ("1", "2", "3", "candidate")]
    assert [version and version.number for version in found] == ["1", "2", None, None]

    fetch.run(settings())
    folder = Path(capsys.readouterr().out.splitlines()[-1])
    assert folder == Path(".stillroom/serving/2") and (folder / "treatment.onnx").read_bytes() == model(3.0)
    (folder / "treatment.onnx").write_bytes(b"damaged")
    fetch.run(settings())
    assert (folder / "treatment.onnx").read_bytes() == model(3.0)
    fetch.run(settings())
    assert "already here" in capsys.readouterr().out
    assert [path.name for path in folder.parent.iterdir()] == ["2"], "no scratch is left"

    rollback.run(settings())
    assert aliases() == {"challenger": "2", "champion": "1"}
    fetch.run(settings())
    assert (Path(capsys.readouterr().out.splitlines()[-1]) / "treatment.onnx").read_bytes() == model(2.0)
    with pytest.raises(GateError, match="was withdrawn"):
        promote.run(settings())
    with pytest.raises(GateError, match="no previous champion"):
        rollback.run(settings())


def test_a_damaged_download_replaces_nothing(project: Path):
    run(settings())
    promote.run(settings())
    (logged,) = (project / store.ARTIFACTS).rglob("package/treatment.onnx")
    logged.write_bytes(b"damaged")
    (logged.parent / "more.txt").write_text("planted")
    with pytest.raises(ArtifactError) as refused:
        fetch.run(settings())
    assert str(refused.value).splitlines()[1:] == ["  more.txt: not in the manifest", "  treatment.onnx: wrong SHA-256"]
    assert not list((project / packages.SERVING).iterdir())
