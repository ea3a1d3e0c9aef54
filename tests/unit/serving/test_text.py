"""A text becomes tokens as in training, or is refused; a tokenizer that does not fit stops the start."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from serving import text
from serving.inputs import read
from serving.openapi import document, example
from serving.package import PackageError
from serving.package import read as read_package
from serving.refusal import Refused
from serving.shapes import Preprocess
from serving.text import Tokens
from tests import made_package


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_package.make_text(tmp_path_factory.mktemp("text") / "package")


@pytest.fixture(scope="module")
def tokens(made: Path) -> Tokens:
    return Tokens(read_package(made))


def ask(tokens: Tokens, inputs: Any) -> dict[str, list[list[int]]]:
    body = json.dumps({"inputs": inputs}).encode()
    found = read(body, Preprocess.model_validate(made_package.TEXT), rows_max=3, tokens=tokens).inputs
    assert {values.dtype.name for values in found.values()} == {"int64"}
    return {name: values.tolist() for name, values in found.items()}


def test_texts_are_padded_cut_and_masked(tokens: Tokens) -> None:
    found = ask(tokens, [{"text": "good film"}, "a bad strange film a good film", {"text": "\n good"}])
    assert found["input_ids"] == [[2, 4, 0, 0, 0, 0], [5, 3, 1, 4, 5, 2], [2, 0, 0, 0, 0, 0]]
    assert found["attention_mask"] == [[1, 1, 0, 0, 0, 0], [1] * 6, [1, 0, 0, 0, 0, 0]]


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        (3, "inputs[0]: is a number; allowed: a string, or {"),
        (True, "inputs[0]: is true or false; allowed: a string"),
        ([1, 2], "inputs[0]: is a list"),
        ("", "inputs[0]: is empty; allowed: a text of 1 to 100000 characters"),
        (" \n\t", "inputs[0]: is empty"),
        ({"text": ""}, "inputs[0].text: is empty"),
        ({"text": None}, "inputs[0].text: is null; allowed: a string"),
        ({"texts": "a"}, "inputs[0]: has keys ['texts']; allowed: {\"text\""),
        ({}, "inputs[0]: has keys []"),
        ({"text": "a" * 100_001}, "inputs[0].text: is 100001 characters long; allowed: 100000"),
        ({"image_base64": "AAAA"}, "inputs[0]: has keys ['image_base64']"),
    ],
)
def test_what_is_no_text_is_refused(tokens: Tokens, row: Any, fault: str) -> None:
    with pytest.raises(Refused) as e:
        ask(tokens, [row])
    assert str(e.value).startswith(fault) and e.value.status == 422


def test_half_a_character_pair_is_not_json(tokens: Tokens) -> None:
    with pytest.raises(Refused, match="not JSON"):
        ask(tokens, ["\ud800"])


def sealed(folder: Path, **changed: Any) -> Tokens:
    """Tokens of a text package with other preprocess.json keys, or another tokenizer."""
    made_package.make_text(folder)
    if "tokenizer" in changed:
        (folder / "tokenizer.json").write_text(changed.pop("tokenizer"))
    (folder / "preprocess.json").write_text(json.dumps(made_package.TEXT | changed))
    made_package.seal(folder)
    return Tokens(read_package(folder))


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        ({"tokenizer": "{}"}, r"tokenizer\.json: not a tokenizer that can be loaded"),
        ({"vocab": 5}, r"tokenizer\.json: gives ids up to 5; preprocess\.json allows ids below 5"),
        ({"length": 7}, r"preprocess\.json: inputs .*a text has .*7"),
        ({"tokenizer": made_package.tokenizer(padded=False)}, r"makes 1 tokens of a text; preprocess\.json says 6"),
        (
            {"tokenizer": json.dumps(json.loads(made_package.tokenizer()) | {"truncation": None})},
            r"makes 7 tokens of a text; preprocess\.json says 6",
        ),
    ],
)
def test_a_tokenizer_that_does_not_fit_is_named(tmp_path: Path, changed: dict[str, Any], fault: str) -> None:
    with pytest.raises(PackageError, match=fault):
        sealed(tmp_path / "p", **changed)


def test_a_package_without_its_tokenizer_or_library_is_named(
    tmp_path: Path, made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = made_package.make_text(tmp_path / "p")
    (folder / "tokenizer.json").unlink()
    made_package.seal(folder)
    with pytest.raises(PackageError, match=r"does not list tokenizer\.json; a package for text needs it"):
        read_package(folder)
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(PackageError, match=r"needs the library tokenizers; pip install 'stillroom\[text\]'"):
        Tokens(read_package(made))


def test_the_documentation_shows_what_is_answered(made: Path, tokens: Tokens) -> None:
    import jsonschema

    package = read_package(made)
    content = document(package)["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]
    assert content["example"] == example(package) and ask(tokens, example(package)["inputs"])
    jsonschema.validate(example(package), content["schema"])
    jsonschema.validate({"inputs": ["plain"]}, content["schema"])
    for wrong in ({"inputs": [" "]}, {"inputs": [{"text": 3}]}, {"inputs": [[1]]}, {"inputs": ["a" * 100_001]}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(wrong, content["schema"])
    assert text.TEXT_KEY in example(package)["inputs"][0]
