"""Students that start from their teacher's layers, and the whole of DistilBERT's recipe on a tiny BERT."""

from __future__ import annotations

import sys

import pytest
import torch

import tasks.models
from tasks.core.contract import Network
from tasks.core.errors import TechniqueError
from tasks.core.inherit import skip_layers, spread
from tasks.core.shape import build_like
from tasks.techniques import distill, train
from tests.unit import tiny, tiny_reader

DATA = tiny_reader.sentences()


def test_six_of_twelve_are_distilbert_s() -> None:
    """https://github.com/huggingface/transformers-research-projects, distillation/scripts/extract.py."""
    assert spread(6, 12) == (0, 2, 4, 7, 9, 11)
    assert spread(1, 12) == (0,) and spread(2, 3) == (0, 2) and spread(3, 3) == (0, 1, 2)


def test_layers_embeddings_and_classifier_are_the_teacher_s() -> None:
    teacher, student = tiny_reader.seeded(4), tiny_reader.seeded(2, seed=1)
    assert skip_layers(student, teacher) == {"encoder.encoder.layer": [0, 3]}
    theirs, own = teacher.state_dict(), student.state_dict()
    for name, tensor in own.items():
        assert torch.equal(tensor, theirs[name.replace("layer.1.", "layer.3.")])
    with torch.no_grad():
        student.classifier.weight.zero_()  # type: ignore[union-attr]
    assert (
        torch.equal(teacher.state_dict()["classifier.weight"], theirs["classifier.weight"])
        and theirs["classifier.weight"].any()
    )


def test_networks_that_are_not_alike_are_refused() -> None:
    with pytest.raises(TechniqueError, match=r"weight \(20, 8\), where the parent has \(20, 16\).*more"):
        skip_layers(tiny_reader.seeded(1, width=8), tiny_reader.seeded(2))
    for student, teacher in (
        (tiny_reader.seeded(2), tiny_reader.seeded(2)),
        (tiny.trained().module, tiny.trained().module),
    ):
        with pytest.raises(TechniqueError, match="fewer layers than the parent"):
            skip_layers(student, teacher)


@pytest.mark.integration
def test_distilbert_s_recipe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tasks.models.tiny_reader", tiny_reader)
    monkeypatch.setattr(tasks.models, "tiny_reader", tiny_reader, raising=False)
    torch.manual_seed(0)
    fit = {"epochs": 8, "lr": 0.003, "batch": 16, "optimizer": "adamw"}
    parent = train.apply(build_like({"arch": "tiny_reader", "layers": 4}, DATA), DATA, train.Params(**fit)).model
    assert isinstance(parent, Network) and tiny.accuracy(tiny.logits(parent, DATA), DATA) > 0.9
    attention = "encoder.encoder.layer.{}.attention.self"
    params = distill.Params(
        **{**fit, "epochs": 2, "alpha": 0.5, "temperature": 2.0},
        student={"arch": "tiny_reader", "layers": 2},
        init="skip",
        hidden=(
            {"student": "encoder", "teacher": "encoder", "match": "cosine"},
            {"student": attention.format(1), "teacher": attention.format(3), "match": "relations"},
        ),
    )
    torch.manual_seed(1)
    outcome = distill.apply(parent, DATA, params)
    assert outcome.facts["layers_taken"] == {"encoder.encoder.layer": [0, 3]}
    assert tiny.accuracy(tiny.logits(outcome.model, DATA), DATA) > 0.9
