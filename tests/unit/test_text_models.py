"""Networks of texts: rebuilt without a checkpoint, exported, pruned of padding's influence, and on 8 bits."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from tasks.core import checkpoint
from tasks.core.contract import Data, Graph, Network
from tasks.core.errors import TechniqueError
from tasks.core.export import export, parity, session
from tasks.core.shape import build_like, count_parameters
from tasks.core.tables import quantized, tables
from tasks.evidence.graph_cost import graph_cost
from tasks.models import bert, huggingface
from tasks.techniques import quantize, train
from tests.unit import tiny, tiny_text


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Data:
    return tiny_text.data(tmp_path_factory.mktemp("texts"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tiny_text.checkpoint(tmp_path / "tiny-bert")


def made(block: dict[str, Any], data: Data, seed: int = 0) -> Network:
    torch.manual_seed(seed)
    return build_like(block, data)


def state(network: Network) -> dict[str, bytes]:
    return {name: t.numpy().tobytes() for name, t in network.module.state_dict().items()}


def test_a_checkpoint_is_needed_once(texts: Data, folder: Path, tmp_path: Path) -> None:
    block = {"arch": "huggingface", "checkpoint": str(folder)}
    network = made(block, texts)
    original = huggingface.digest(folder)
    weights = {k: v for k, v in network.module.state_dict().items() if k.startswith("backbone.")}
    from safetensors.torch import load_file

    stored = load_file(folder / "model.safetensors")
    assert weights and all(torch.equal(v, stored[k.removeprefix("backbone.")]) for k, v in weights.items())
    checkpoint.save(network, texts, tmp_path)
    shutil.rmtree(folder)
    again = checkpoint.load(tmp_path, texts)
    assert state(again) == state(network) and again.arch == network.arch
    assert np.array_equal(tiny.logits(again, texts), tiny.logits(network, texts))
    assert str(again.arch["origin"]).endswith(original) and again.arch["checkpoint"] is None
    with pytest.raises(TechniqueError, match=r"no such folder, and no installed package"):
        made(block, texts)


def test_same_seed_same_weights(texts: Data, folder: Path) -> None:
    for block in (tiny_text.BERT, {"arch": "huggingface", "checkpoint": str(folder)}):
        assert state(made(block, texts, 3)) == state(made(block, texts, 3)) != state(made(block, texts, 4))


def test_a_student_shares_the_names_of_its_teacher(texts: Data, folder: Path) -> None:
    teacher = made({"arch": "huggingface", "checkpoint": str(folder)}, texts).module.state_dict()
    student = made({**tiny_text.BERT, "layers": 1}, texts).module.state_dict()
    assert {k: v.shape for k, v in student.items()} == {k: teacher[k].shape for k in student}
    assert "backbone.encoder.layer.0.attention.self.query.weight" in student


def test_a_factorised_embedding_has_the_parameters_counted_by_hand(texts: Data) -> None:
    plain, thin = (count_parameters(made({**tiny_text.BERT, **o}, texts).module) for o in ({}, {"embedding_rank": 4}))
    words = len(tiny_text.WORDS)
    assert plain - thin == words * 16 - (words * 4 + 4 * 16)


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_what_stands_in_the_padding_does_not_matter(texts: Data, pooling: str) -> None:
    module = made({**tiny_text.BERT, "pooling": pooling}, texts).module
    ids, mask = tiny.inputs(texts)
    other = torch.where(mask == 1, ids, torch.randint_like(ids, len(tiny_text.WORDS)))
    assert not torch.equal(ids, other)
    with torch.no_grad():
        assert torch.allclose(module(ids, mask), module(other, mask), atol=1e-6)
        assert not torch.allclose(module(ids, mask), module(ids, torch.ones_like(mask)), atol=1e-6)


FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    "heads": ({**tiny_text.BERT, "heads": 3}, "3 heads do not divide hidden 16"),
    "positions": ({**tiny_text.BERT, "positions": 4}, "max_position_embeddings 4, but there are 8 tokens a row"),
    "nothing": ({"arch": "huggingface"}, "needs one of `checkpoint` and `config`"),
    "both": ({"arch": "huggingface", "checkpoint": "x", "config": {}}, "needs one of `checkpoint` and `config`"),
    "kind": ({"arch": "huggingface", "config": {"model_type": "brt"}}, "model_type 'brt' is none that"),
    "hub": ({"arch": "huggingface", "checkpoint": "a/b", "revision": "main"}, "found 'main'; allowed: the 40 hex"),
    "other": ({"arch": "mlp"}, "mlp takes one input, the data have input_ids, attention_mask"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_cannot_be_built_says_why(fault: str, texts: Data) -> None:
    block, message = FAULTS[fault]
    with pytest.raises(TechniqueError, match=message):
        made(block, texts)


def test_a_checkpoint_that_does_not_fit_says_why(texts: Data, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    few = tiny_text.checkpoint(folder.with_name("few"), vocab=5)
    with pytest.raises(TechniqueError, match="vocab_size 5, but there are 13 token ids"):
        made({"arch": "huggingface", "checkpoint": str(few)}, texts)
    with pytest.raises(TechniqueError, match="bert needs texts"):
        bert.build(shape=(1, 8, 8), classes=2)
    (folder / "model.safetensors").unlink()
    with pytest.raises(TechniqueError, match="pickled weights are not read"):
        made({"arch": "huggingface", "checkpoint": str(folder)}, texts)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(TechniqueError, match="cannot be fetched from the hub"):
        made({"arch": "huggingface", "checkpoint": "nobody/nothing", "revision": "0" * 40}, texts)


def test_a_picture_checkpoint_takes_pictures() -> None:
    small = {"model_type": "resnet", "hidden_sizes": [4, 8], "depths": [1, 1], "embedding_size": 4, "num_channels": 1}
    network = made({"arch": "huggingface", "config": small}, tiny.pictures())
    assert tiny.logits(network, tiny.pictures()).shape == (64, 3)
    assert state(build_like(network.arch, tiny.pictures())).keys() == state(network).keys()


def test_a_table_on_8_bits_is_within_half_a_step_of_the_float_one() -> None:
    table = np.random.default_rng(0).normal(size=(50, 8)).astype(np.float32) * np.arange(8, dtype=np.float32)
    small, scale = quantized(table)
    assert small.dtype == np.int8 and scale.shape == (8,) and np.abs(small[:, 1:]).max(0).tolist() == [127] * 7
    assert (np.abs(small * scale - table) <= scale / 2 * 1.001).all() and not small[:, 0].any()


@pytest.mark.integration
def test_texts_go_through_training_export_and_8_bits(texts: Data, tmp_path: Path) -> None:
    torch.manual_seed(0)
    block = {**tiny_text.BERT, "dropout": 0.0}
    fit = {"epochs": 8, "lr": 0.01, "batch": 32, "optimizer": "adamw"}
    learnt = train.apply(build_like(block, texts), texts, train.Params(**fit)).model
    assert isinstance(learnt, Network) and tiny.accuracy(tiny.logits(learnt, texts), texts) > 0.95
    proto = export(learnt, texts)
    assert parity(learnt, proto, texts) < 1e-4
    assert [i.name for i in proto.graph.input] == ["input_ids", "attention_mask"]
    assert all(i.type.tensor_type.elem_type == onnx.TensorProto.INT64 for i in proto.graph.input)
    onnx.save(proto, tmp_path / "m.onnx")
    layers = [m for m in learnt.module.modules() if isinstance(m, nn.Linear)]
    products = sum(m.weight.numel() for m in layers if m is not learnt.module.head)
    attention = 2 * 2 * tiny_text.LENGTH**2 * 16  # two layers, scores and mixing
    rows = {name: (tiny_text.LENGTH,) for name in texts.train.inputs}
    assert graph_cost(tmp_path / "m.onnx", rows).macs == tiny_text.LENGTH * products + attention + 32
    ref = tiny.logits(learnt, texts)
    for scheme in ("dynamic", "weight_only"):
        outcome = quantize.apply(Graph(proto), texts, quantize.Params(scheme=scheme))
        assert isinstance(outcome.model, Graph) and not tables(outcome.model.proto)
        assert "backbone.embeddings.word_embeddings" in outcome.facts["nodes_quantized"]  # type: ignore[operator]
        run = session(outcome.model.proto)
        one = {k: np.asarray(v[:]) for k, v in texts.split("val").inputs.items()}
        found = np.concatenate([run.run(None, {k: v[i : i + 1] for k, v in one.items()})[0] for i in range(80)])
        assert (found.argmax(1) == ref.argmax(1)).mean() > 0.95
        kept = quantize.apply(Graph(proto), texts, quantize.Params(scheme=scheme, exclude=("*.word_embeddings",)))
        assert isinstance(kept.model, Graph) and [*tables(kept.model.proto).values()] == [
            "backbone.embeddings.word_embeddings.weight"
        ]
