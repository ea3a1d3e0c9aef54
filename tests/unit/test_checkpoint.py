"""Networks on disk: the same answers after reloading, and a clear word when files do not belong together."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tasks.core import checkpoint
from tasks.core.errors import ArtifactError
from tasks.core.shape import build_like
from tasks.techniques import prune
from tests.unit import tiny


def saved(folder: Path) -> Path:
    network = prune.apply(tiny.trained(), tiny.pictures(), prune.Params(ratio=0.5, round_to=2)).model
    checkpoint.save(network, tiny.pictures(), folder)
    return folder


def test_a_pruned_network_answers_the_same_after_reloading(tmp_path: Path) -> None:
    data = tiny.pictures()
    pruned = prune.apply(tiny.trained(), data, prune.Params(ratio=0.5, round_to=2)).model
    checkpoint.save(pruned, data, tmp_path)
    loaded = checkpoint.load(tmp_path, data)
    assert np.array_equal(tiny.logits(loaded, data), tiny.logits(pruned, data))
    assert (dict(loaded.arch), loaded.changes) == (dict(pruned.arch), pruned.changes)
    assert not loaded.module.training


def test_a_block_as_the_plan_checked_it_can_be_saved(tmp_path: Path) -> None:
    data = tiny.numbers()
    network = build_like({"arch": "mlp", "hidden": (5, 4)}, data)  # the plan's checked values are tuples
    checkpoint.save(network, data, tmp_path)
    loaded = checkpoint.load(tmp_path, data)
    assert np.array_equal(tiny.logits(loaded, data), tiny.logits(network, data))
    assert dict(loaded.arch) == dict(network.arch) == {"arch": "mlp", "hidden": [5, 4]}


def test_equal_networks_are_equal_bytes_and_nothing_is_pickled(tmp_path: Path) -> None:
    a, b = saved(tmp_path / "a"), saved(tmp_path / "b")
    assert sorted(p.name for p in a.iterdir()) == ["model.json", "weights.safetensors"]
    assert all((a / n).read_bytes() == (b / n).read_bytes() for n in ("model.json", "weights.safetensors"))
    json.loads((a / "model.json").read_text())


def edited(folder: Path, **changes: object) -> None:
    about = json.loads((folder / "model.json").read_text())
    (folder / "model.json").write_text(json.dumps(about | changes))


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    folder = saved(tmp_path)
    edited(folder, changes=[])
    with pytest.raises(ArtifactError, match=r"body\.0\.0\.weight is \(4, 1, 3, 3\), the network has \(8, 1, 3, 3\)"):
        checkpoint.load(folder)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"changes": [{"change": "resise"}]}, "unknown change 'resise'.*did you mean 'resize'"),
        ({"changes": [{"change": "resize", "modules": {"nowhere": {"in_channels": 3}}}]}, "cannot be built"),
        ({"arch": {"arch": "no_such"}}, "cannot be built"),
        ({"arch": {"arch": "small_cnn", "breadth": 3}}, "cannot be built"),
        ({"surplus": 1}, "not what this version writes"),
    ],
)
def test_a_wrong_model_json_is_named(tmp_path: Path, changes: dict[str, object], says: str) -> None:
    folder = saved(tmp_path)
    edited(folder, **changes)
    with pytest.raises(ArtifactError, match=says):
        checkpoint.load(folder)


def test_damaged_and_missing_weights(tmp_path: Path) -> None:
    folder = saved(tmp_path)
    (folder / "weights.safetensors").write_bytes(b"\x80\x04pickle")
    with pytest.raises(ArtifactError, match="damaged"):
        checkpoint.load(folder)
    (folder / "weights.safetensors").unlink()
    with pytest.raises(ArtifactError, match="not there yet"):
        checkpoint.load(folder)


def test_other_data_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="made for other data"):
        checkpoint.load(saved(tmp_path), tiny.numbers())
