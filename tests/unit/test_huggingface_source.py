"""Data sets of the library `datasets`, built here: pictures, texts, numbers, and one clear error for each fault."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image as Picture

datasets = pytest.importorskip("datasets")

from tasks.core.errors import DataError  # noqa: E402
from tasks.sources import huggingface  # noqa: E402
from tests.unit import tiny_text  # noqa: E402

PIXELS = np.random.default_rng(0).integers(0, 256, (6, 5, 7), np.uint8)
LABELS = [0, 1, 1, 0, 1, 0]
COMMIT = "a" * 40


def saved(folder: Path, splits: dict[str, dict[str, Any]], **features: Any) -> str:
    made = {
        name: datasets.Dataset.from_dict(
            columns, datasets.Features({key: features[key] for key in columns}) if features else None
        )
        for name, columns in splits.items()
    }
    datasets.DatasetDict(made).save_to_disk(str(folder))
    return str(folder)


def pictures(folder: Path) -> str:
    columns = {"img": [Picture.fromarray(p) for p in PIXELS], "label": LABELS, "id": list("abcdef")}
    features = {
        "img": datasets.Image(),
        "label": datasets.ClassLabel(names=["cat", "dog"]),
        "id": datasets.Value("string"),
    }
    return saved(folder, {"train": columns, "validation": columns, "unlabelled": columns}, **features)


def test_pictures_with_the_names_of_their_classes(tmp_path: Path) -> None:
    data = huggingface.load(path=pictures(tmp_path), channels=1)
    images = data.train.inputs["images"]
    assert np.array_equal(images[:], PIXELS[:, None]) and images.dtype == np.uint8
    assert (data.classes, data.train.labels.tolist(), data.test) == (("cat", "dog"), LABELS, None)
    about = data.preprocess
    assert (about.kind, about.channels, about.height, about.width, len(data.split("val"))) == ("image", 1, 5, 7, 6)
    other = huggingface.load(path=str(tmp_path), splits={"train": "unlabelled"}, size=4)
    assert other.train.inputs["images"].shape == (6, 3, 4, 4) and other.val is None


def test_texts_are_tokens_and_the_tokenizer_travels(tmp_path: Path) -> None:
    own = tiny_text.write(tmp_path / "parquet")
    path = saved(tmp_path / "set", {"train": {"review": ["a fine film", "dull"], "label": ["good", "bad"]}})
    data = huggingface.load(path=path, text="review", tokenizer=own["tokenizer"], length=6)
    words = [tiny_text.WORDS.index(w) for w in ("[CLS]", "a", "fine", "film", "[SEP]", "[PAD]")]
    assert data.train.inputs["input_ids"][:1].tolist() == [words]
    assert (data.classes, data.train.labels.tolist(), [*data.files]) == (("bad", "good"), [1, 0], ["tokenizer.json"])


def test_numbers_and_lists_of_them_stand_side_by_side(tmp_path: Path) -> None:
    columns = {"a": [1, 2, 3], "b": [[0.5, 1.5], [2.5, 3.5], [4.5, 5.5]], "label": [2, 0, 1]}
    data = huggingface.load(path=saved(tmp_path, {"train": columns}))
    found = data.train.inputs["features"]
    assert found[:].tolist() == [[1, 0.5, 1.5], [2, 2.5, 3.5], [3, 4.5, 5.5]] and found.dtype == np.float32
    assert (data.classes, data.train.labels.tolist()) == (("0", "1", "2"), [2, 0, 1])


def test_a_selection_that_was_saved_keeps_its_rows(tmp_path: Path) -> None:
    whole = datasets.Dataset.from_dict({"x": [1.0, 2.0, 3.0], "label": [0, 1, 0]})
    whole.select([2, 0]).save_to_disk(str(tmp_path))
    data = huggingface.load(path=str(tmp_path))
    assert (data.train.inputs["features"][:].tolist(), data.train.labels.tolist()) == ([[3.0], [1.0]], [0, 0])


def test_a_folder_of_parquet_files(tmp_path: Path) -> None:
    pq.write_table(pa.table({"x": [1.0, 2.0], "label": [0, 1]}), tmp_path / "train-00000-of-00002.parquet")
    pq.write_table(pa.table({"x": [3.0], "label": [1]}), tmp_path / "train-00001-of-00002.parquet")
    data = huggingface.load(path=str(tmp_path), features=("x",))
    assert data.train.inputs["features"][:].tolist() == [[1], [2], [3]]


@pytest.mark.parametrize(
    ("own", "fault"),
    [
        ({"image": "imag"}, "no column 'imag'; did you mean 'img'"),
        ({"image": "id"}, "column 'id' holds text; allowed: image"),
        ({"image": "img", "text": "id"}, "allowed: one of them"),
        ({"text": "id"}, "texts need `tokenizer`"),
        ({"label": "no"}, "no column 'no'"),
        ({"splits": {"val": "validation"}}, "no split 'train' for train"),
        ({"splits": {"train": "trains"}}, "no split 'trains' for train"),
        ({"revision": COMMIT}, "are for a data set of the hub"),
    ],
)
def test_faults_of_a_folder(tmp_path: Path, own: dict[str, Any], fault: str) -> None:
    with pytest.raises(DataError, match=fault):
        huggingface.load(path=pictures(tmp_path), **own)


def test_the_hub_needs_a_commit_and_offline_is_one_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for revision in (None, "main", COMMIT[:12]):
        with pytest.raises(DataError, match="of the hub it needs `revision`"):
            huggingface.load(path="nobody/nothing", revision=revision)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", str(tmp_path))
    with pytest.raises(DataError, match=f"nobody/nothing at {COMMIT[:12]}: cannot be had from the hub or its cache"):
        huggingface.load(path="nobody/nothing", revision=COMMIT)
    with pytest.raises(DataError, match="there is no such folder"):
        huggingface.load(path=str(tmp_path / "none"))
    (tmp_path / "dataset_dict.json").write_text("{")
    with pytest.raises(DataError, match="not a data set that can be read"):
        huggingface.load(path=str(tmp_path))


def test_without_the_library(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(DataError, match=r"pip install 'stillroom\[huggingface\]'"):
        huggingface.load(path=str(tmp_path))
