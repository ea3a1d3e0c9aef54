"""The step `build`: what it writes, where a row starts from, and that a failed one leaves nothing."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from tasks import build
from tasks.core import artifact, checkpoint
from tasks.core.contract import Card
from tasks.core.dataset import write_data
from tasks.core.errors import ArtifactError, TechniqueError
from tasks.core.export import session
from tasks.plan import Settings, Variant, plugin
from tasks.plan.schema import (
    BenchBlock,
    ChooseBlock,
    DataBlock,
    Expectations,
    ModelBlock,
    Plan,
    Promotion,
    Rollout,
    Schedule,
)
from tasks.techniques.prune import Params
from tests.unit import tiny

ROWS = {
    "baseline": ("data", "train", {"epochs": 4, "lr": 0.05, "batch": 32}),
    "pruned50": ("baseline", "prune", {"ratio": 0.5, "round_to": 4}),
    "pruned50_int8": ("pruned50", "quantize", {}),
    "impossible": ("baseline", "prune", {"ratio": 0.01}),
}


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.chdir(tmp_path)
    write_data(artifact.DATA, tiny.pictures())
    variants = {
        name: Variant(name=name, parent=parent, technique=t, params=plugin("techniques", t).Params(**params))
        for name, (parent, t, params) in ROWS.items()
    }
    return Settings(
        plan=Plan(
            seed=7,
            threads=1,
            bench=BenchBlock(),
            data=DataBlock(source="digits"),
            model=ModelBlock(arch="small_cnn", params={"width": 8}),
            variants=variants,
            choose=ChooseBlock(reference="baseline"),
        ),
        expectations=Expectations(),
        rollout=Rollout(),
        promotion=Promotion(),
        schedule=Schedule(cron="0 2 * * *"),
    )


def files(name: str) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted(artifact.variant_folder(name).iterdir())}


@pytest.mark.integration
def test_a_chain_of_rows(settings: Settings) -> None:
    for name in ("baseline", "pruned50", "pruned50_int8"):
        build.run(settings, name)
    assert set(files("pruned50")) == {"card.json", "model.onnx", "model.json", "weights.safetensors"}
    assert set(files("pruned50_int8")) == {"card.json", "model.onnx"}
    assert not list(Path("artifacts").glob(".*"))
    card = artifact.read_json(artifact.variant_folder("pruned50") / "card.json", Card)
    assert (card.variant, card.parent, card.technique, card.form) == ("pruned50", "baseline", "prune", "torch")
    assert card.params == Params(ratio=0.5, round_to=4).model_dump(mode="json")

    data = tiny.pictures()
    reloaded = checkpoint.load(artifact.variant_folder("pruned50"), data)
    images = data.split("val").inputs["images"][:]
    exported = session(artifact.load_graph("pruned50")).run(["logits"], {"images": images})[0]
    assert np.allclose(exported, tiny.logits(reloaded, data), atol=1e-4)
    for path in Path("artifacts").rglob("*"):
        if path.is_file():
            assert str(Path.cwd()).encode() not in path.read_bytes() and sys.prefix.encode() not in path.read_bytes()


@pytest.mark.integration
def test_one_row_one_result_and_each_row_a_seed_of_its_own(settings: Settings) -> None:
    plan = settings.plan
    twin = plan.variants["baseline"].model_copy(update={"name": "twin"})
    both = settings.model_copy(update={"plan": plan.model_copy(update={"variants": {**plan.variants, "twin": twin}})})
    build.run(both, "baseline")
    first = files("baseline")
    assert first["card.json"].decode() == json.dumps(json.loads(first["card.json"]), indent=2, sort_keys=True) + "\n"
    build.run(both, "twin")
    build.run(both, "baseline")
    assert files("baseline") == first
    assert files("baseline")["weights.safetensors"] != files("twin")["weights.safetensors"]


def test_a_row_that_fails_leaves_nothing(settings: Settings) -> None:
    build.run(settings, "baseline")
    with pytest.raises(TechniqueError):
        build.run(settings, "impossible")
    assert sorted(p.name for p in Path("artifacts").iterdir()) == ["baseline", "data"]


def test_a_parent_that_is_not_there(settings: Settings) -> None:
    for name in ("pruned50", "pruned50_int8"):
        with pytest.raises(ArtifactError, match="not there yet"):
            build.run(settings, name)
