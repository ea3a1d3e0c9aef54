"""Texts in parquet files: rows by hand, the tokenizer that travels, and one clear error for each fault."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tokenizers import Tokenizer

from tasks.core.contract import Data
from tasks.core.errors import DataError
from tasks.sources import parquet_text
from tests.unit import tiny_text

WORDS = tiny_text.WORDS


def ids(*words: str) -> list[int]:
    return [WORDS.index(w) for w in words]


def of(folder: Path, texts: list[Any], labels: list[int], **own: Any) -> Data:
    tiny_text.write(folder)
    for file in folder.glob("*.parquet"):
        file.unlink()
    pq.write_table(pa.table({"text": texts, "label": labels}), folder / "train.parquet")
    return parquet_text.load(**{"path": str(folder), "tokenizer": str(folder / "tokenizer.json"), **own})


def test_rows_are_framed_padded_and_cut(tmp_path: Path) -> None:
    found = of(tmp_path, ["the film", "strange", "a a a a a fine"], [1, 0, 1], length=6)
    expected = [
        ids("[CLS]", "the", "film", "[SEP]", "[PAD]", "[PAD]"),
        ids("[CLS]", "[UNK]", "[SEP]", "[PAD]", "[PAD]", "[PAD]"),
        ids("[CLS]", "a", "a", "a", "a", "[SEP]"),
    ]
    assert list(found.train.inputs) == ["input_ids", "attention_mask"]
    rows, mask = (found.train.inputs[name] for name in found.train.inputs)
    assert rows[:].tolist() == expected and rows.dtype == rows[:].dtype == np.int64
    assert mask[:].tolist() == [[int(i != 0) for i in row] for row in expected] and mask[1:2].dtype == np.int64
    about = found.preprocess
    assert (about.kind, about.length, about.vocab, found.train.labels.tolist()) == ("text", 6, len(WORDS), [1, 0, 1])


def test_the_tokenizer_that_travels_makes_the_same_rows(tmp_path: Path) -> None:
    found = tiny_text.data(tmp_path)
    texts, _ = tiny_text.sentences(80, 1)
    again = Tokenizer.from_buffer(found.files["tokenizer.json"]).encode_batch(texts)
    assert found.val is not None and found.test is not None
    assert [one.ids for one in again] == found.val.inputs["input_ids"][:].tolist()
    assert [one.attention_mask for one in again] == found.val.inputs["attention_mask"][:].tolist()
    assert found.files == tiny_text.data(tmp_path).files


def test_a_checkpoint_folder_has_the_tokenizer_too(tmp_path: Path) -> None:
    found = of(tmp_path, ["a film"], [0], tokenizer=str(tiny_text.checkpoint(tmp_path / "bert")))
    assert found.preprocess.vocab == len(WORDS)


def without_padding(folder: Path) -> dict[str, str]:
    plain = json.loads(tiny_text.tokenizer().to_str())
    del plain["model"]["vocab"]["[PAD]"]
    (folder / "bare.json").write_text(json.dumps(plain))
    return {"tokenizer": str(folder / "bare.json")}


def damaged(folder: Path) -> dict[str, str]:
    (folder / "broken.json").write_text("{")
    return {"tokenizer": str(folder / "broken.json")}


FAULTS: dict[str, tuple[Callable[[Path], dict[str, Any]], list[Any], str]] = {
    "null": (lambda p: {}, ["a", None], r"train\.parquet: row 1: nothing in column 'text'"),
    "numbers": (lambda p: {}, [1, 2], r"train\.parquet: row 0: column 'text' holds int; allowed: text"),
    "no column": (lambda p: {"text": "texts"}, ["a", "b"], r"no column 'texts'; did you mean 'text'\?"),
    "no tokenizer": (
        lambda p: {"tokenizer": "gone.json"},
        ["a", "b"],
        r"tokenizer gone\.json: cannot be read \(No such",
    ),
    "no package": (lambda p: {"tokenizer": "gone"}, ["a", "b"], r"'gone': no such folder, and no installed package"),
    "no revision": (
        lambda p: {"tokenizer": "a/b"},
        ["a", "b"],
        r"it needs `revision`: found None; allowed: the 40 hex",
    ),
    "damaged": (damaged, ["a", "b"], r"broken\.json: not a tokenizer"),
    "no padding": (without_padding, ["a", "b"], r"bare\.json: it has no token to pad with; allowed: one of \[PAD\]"),
    "too short": (
        lambda p: {"length": 2},
        ["a", "b"],
        r"length: 2 tokens; .*adds 2 to every text, so allowed: 3 or more",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_one_clear_error(fault: str, tmp_path: Path) -> None:
    make, texts, message = FAULTS[fault]
    with pytest.raises(DataError, match=message):
        of(tmp_path, texts, [0, 1], **make(tmp_path))


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    own = tiny_text.write(tmp_path)
    (tmp_path / "test.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match=r"test\.parquet: the parquet file cannot be read"):
        parquet_text.load(**own)
