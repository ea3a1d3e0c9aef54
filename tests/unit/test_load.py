"""Loading checkpoints: exact, safe, and clear about what does not fit."""

from __future__ import annotations

import hashlib
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from tasks.core import tensor_names
from tasks.core.errors import TechniqueError
from tasks.core.shape import body_of, build_like
from tasks.techniques import load
from tests.unit import tiny


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def weights() -> dict[str, torch.Tensor]:
    return dict(body_of(tiny.trained().module).state_dict())


def loaded(**params: Any) -> np.ndarray[Any, Any]:
    data = tiny.pictures()
    torch.manual_seed(1)
    params = {"sha256": hashlib.sha256(Path(params["path"]).read_bytes()).hexdigest(), **params}
    outcome = load.apply(build_like(tiny.CNN, data), data, load.Params(**params))
    return tiny.logits(outcome.model, data)


@pytest.mark.parametrize("form", ["safetensors", "state dict", "under state_dict", "prefixed"])
def test_the_loaded_network_answers_as_the_saved_one(form: str) -> None:
    params: dict[str, str] = {"path": "w.pt"}
    if form == "safetensors":
        params = {"path": "w.safetensors"}
        save_file(weights(), "w.safetensors")
    elif form == "prefixed":
        torch.save({f"module.{k}": v for k, v in weights().items()}, "w.pt")
        params["prefix"] = "module."
    else:
        torch.save(weights() if form == "state dict" else {"state_dict": weights(), "epoch": 3}, "w.pt")
    assert np.array_equal(loaded(**params), tiny.logits(tiny.trained(), tiny.pictures()))


def test_batch_counts_may_be_missing() -> None:
    save_file({k: v for k, v in weights().items() if "num_batches" not in k}, "w.safetensors")
    assert np.array_equal(loaded(path="w.safetensors"), tiny.logits(tiny.trained(), tiny.pictures()))


def test_misfits_are_listed_with_their_shapes() -> None:
    state = weights()
    state["0.0.weight"] = torch.zeros(5, 1, 3, 3)
    del state["7.bias"]
    state["surplus"] = torch.zeros(2)
    save_file(state, "w.safetensors")
    with pytest.raises(TechniqueError) as e:
        loaded(path="w.safetensors")
    for part in (
        "0.0.weight is (5, 1, 3, 3), the network has (8, 1, 3, 3)",
        "7.bias (3,) is missing",
        "surplus (2,) is not in the network",
    ):
        assert part in str(e.value)


def test_only_the_first_few_misfits_are_listed() -> None:
    save_file({"nothing": torch.zeros(1)}, "w.safetensors")
    with pytest.raises(TechniqueError, match=r"; and \d+ more$"):
        loaded(path="w.safetensors")


def test_a_wrong_prefix_is_named() -> None:
    save_file(weights(), "w.safetensors")
    with pytest.raises(TechniqueError, match=r"prefix 'modul\.' is not on"):
        loaded(path="w.safetensors", prefix="modul.")


class Bomb:
    def __reduce__(self) -> Any:
        return (Path("exploded").write_text, ("boom",))


def test_code_in_a_pickle_does_not_run() -> None:
    Path("w.pt").write_bytes(pickle.dumps({"w": Bomb()}, protocol=2))
    with pytest.raises(TechniqueError, match="neither safetensors nor a plain state dict"):
        loaded(path="w.pt")
    assert not Path("exploded").exists()


@pytest.mark.parametrize("name", ["w.pt", "w.safetensors"])
@pytest.mark.parametrize("content", [b"", b"not a checkpoint at all"])
def test_files_of_another_kind(name: str, content: bytes) -> None:
    Path(name).write_bytes(content)
    with pytest.raises(TechniqueError, match="neither safetensors nor a plain state dict"):
        loaded(path=name)


def test_a_file_without_names_is_refused() -> None:
    torch.save([torch.zeros(1)], "w.pt")
    with pytest.raises(TechniqueError, match="holds no state dict"):
        loaded(path="w.pt")


def test_the_digest_pins_the_file_and_an_unpinned_one_is_refused_with_the_digest_to_add() -> None:
    save_file(weights(), "w.safetensors")
    digest = hashlib.sha256(Path("w.safetensors").read_bytes()).hexdigest()
    with pytest.raises(TechniqueError, match=f"add `sha256: {digest}`"):
        loaded(path="w.safetensors", sha256=None)
    with pytest.raises(TechniqueError, match=f"has sha256 {digest}"):
        loaded(path="w.safetensors", sha256="0" * 64)


def test_tensors_left_fresh_may_have_another_shape_or_be_absent() -> None:
    state = weights()
    state["7.weight"], bias = torch.zeros(1000, 32), state.pop("7.bias")
    save_file(state, "w.safetensors")
    data, digest = tiny.pictures(), hashlib.sha256(Path("w.safetensors").read_bytes()).hexdigest()
    network = build_like(tiny.CNN, data)
    params = load.Params(path="w.safetensors", sha256=digest, fresh=("7.*",))
    outcome = load.apply(network, data, params)
    after, before = body_of(outcome.model.module).state_dict(), body_of(network.module).state_dict()  # type: ignore[union-attr]
    assert torch.equal(after["7.weight"], before["7.weight"]) and not torch.equal(after["7.bias"], bias)
    assert torch.equal(after["0.0.weight"], state["0.0.weight"])
    assert outcome.facts["tensors_left_fresh"] == ["7.weight", "7.bias"]


@pytest.mark.parametrize(
    ("params", "says"),
    [
        ({"fresh": ("head.*",)}, r"fresh: no tensor 'head\.\*' in the network"),
        ({"names": "timm"}, "names 'timm' of the architecture small_cnn; allowed: none"),
        ({"package": "no_such_package"}, "no Python package 'no_such_package' is installed"),
    ],
)
def test_names_that_are_not_there_are_told(params: dict[str, Any], says: str) -> None:
    save_file(weights(), "w.safetensors")
    with pytest.raises(TechniqueError, match=says):
        loaded(path="w.safetensors", **params)


def test_a_name_is_rewritten_by_the_first_pattern_that_fits() -> None:
    patterns = ((r"^_bn0\.", "stem.norm."), (r"^_b.*(\d)\._bn0\.", r"blocks.\1.norm."))
    assert [tensor_names.renamed(n, patterns) for n in ("_bn0.bias", "_b.7._bn0.weight", "other")] == [
        "stem.norm.bias",
        "blocks.7.norm.weight",
        "other",
    ]
