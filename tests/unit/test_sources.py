import io
import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from tasks.core.contract import Data
from tasks.core.errors import DataError
from tasks.sources import csv, digits, image_folder, npz, parquet_images

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (12, 5, 7), np.uint8)
COLOUR = RNG.integers(0, 256, (12, 5, 7, 3), np.uint8)
LABELS = np.arange(12) % 3
needs_data = pytest.mark.skipif("STILLROOM_DATA" not in os.environ, reason="STILLROOM_DATA names no data folder")


def png(pixels: np.ndarray, kind: str = "PNG") -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, kind)
    return out.getvalue()


def images(data: Data, split: str = "train") -> np.ndarray:
    return data.split(split).inputs["images"][:]


def test_digits_are_bytes_in_ten_classes_without_copies() -> None:
    data = digits.load()
    rows = images(data)
    assert rows.shape == (1797, 1, 8, 8) and rows.dtype == np.uint8
    assert (rows.min(), rows.max(), len(np.unique(rows))) == (0, 255, 17)
    assert len(np.unique(rows.reshape(1797, -1), axis=0)) == 1797
    assert list(data.classes) == [str(i) for i in range(10)] and data.train.labels.dtype == np.int64
    assert (data.val, data.test, data.calibration) == (None, None, None)


# --- npz


def saved(tmp_path: Path, **arrays: Any) -> str:
    np.savez_compressed(tmp_path / "data.npz", **arrays)
    return str(tmp_path / "data.npz")


def test_npz_in_the_layout_of_fashion_mnist(tmp_path: Path) -> None:
    y, names = LABELS.astype(np.uint8), np.array(["shirt", "bag", "boot"])
    path = saved(tmp_path, x_train=GREY, y_train=y, x_test=GREY[:4], y_test=y[:4], class_names=names)
    data = npz.load(path=path)
    assert np.array_equal(images(data), GREY[:, None]) and np.array_equal(images(data, "test"), GREY[:4, None])
    assert data.classes == ("shirt", "bag", "boot") and data.val is None
    assert data.train.labels.tolist() == LABELS.tolist() and data.train.labels.dtype == np.int64
    about = data.preprocess
    assert (about.kind, about.channels, about.height, about.width, about.mean) == ("image", 1, 5, 7, ())


@pytest.mark.parametrize("channels_last", [True, False])
def test_npz_colour_pictures_either_way_round(tmp_path: Path, channels_last: bool) -> None:
    rows = COLOUR if channels_last else COLOUR.transpose(0, 3, 1, 2)
    data = npz.load(path=saved(tmp_path, a=rows, b=LABELS[:, None]), x_train="a", y_train="b")
    assert np.array_equal(images(data), COLOUR.transpose(0, 3, 1, 2))
    assert (data.preprocess.channels, data.classes, data.test) == (3, ("0", "1", "2"), None)


def test_npz_floats_are_features(tmp_path: Path) -> None:
    rows = RNG.normal(size=(12, 6))
    rows[0, 0] = 1e300  # more than float32 holds: infinite, which the data rules catch
    data = npz.load(path=saved(tmp_path, x_train=rows, y_train=LABELS, x_val=rows[:3], y_val=LABELS[:3]))
    found = data.train.inputs["features"][:]
    assert found.dtype == np.float32 and np.array_equal(found[1:], rows[1:].astype(np.float32))
    assert np.isinf(found[0, 0]) and data.preprocess.kind == "array" and len(data.split("val")) == 3


NPZ_FAULTS: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "another array": ({"x_trains": GREY}, {}, r"no array 'x_train'; did you mean 'x_trains'\? \(it has "),
    "labels short": ({"y_train": LABELS[:9]}, {}, r"12 rows in x_train, 9 labels in y_train"),
    "label outside": ({"y_train": LABELS - 1}, {}, r"y_train: row 0: label -1 \(and 3 more rows\); allowed: 0\.\.1"),
    "label too big": ({"class_names": np.array(["a", "b"])}, {}, r"row 2: label 2 .*; allowed: 0\.\.1"),
    "label in test": ({"x_test": GREY, "y_test": LABELS + 1}, {}, r"y_test: row 2: label 3 .*; allowed: 0\.\.2"),
    "float labels": ({"y_train": LABELS * 0.5}, {}, r"y_train: labels of type float64; whole numbers"),
    "one-hot": ({"y_train": np.eye(3)[LABELS]}, {}, r"labels of shape \(12, 3\); one class number a row"),
    "no rows": ({"x_train": GREY[:0], "y_train": LABELS[:0]}, {}, r"array 'y_train' has no rows"),
    "pickled": ({"x_train": np.array([{}] * 12)}, {}, r"array 'x_train' cannot be read .*allow_pickle"),
    "wrong type": ({"x_train": GREY.astype(np.int32)}, {}, r"int32 of shape \(12, 5, 7\); allowed: uint8"),
    "no channels": ({"x_train": RNG.integers(0, 9, (12, 5, 7, 4), np.uint8)}, {}, r"no channel axis of 1 or 3"),
    "two ways": ({"x_train": np.zeros((12, 3, 9, 3), np.uint8)}, {}, r"both axes .*; give `layout`"),
    "half a pair": ({"x_test": GREY}, {}, r"no array 'y_test'"),
    "named and gone": ({}, {"x_test": "x_tset", "y_test": "y_tset"}, r"no array 'y_tset'"),
}


@pytest.mark.parametrize("fault", NPZ_FAULTS)
def test_npz_faults_are_named(tmp_path: Path, fault: str) -> None:
    arrays, own, message = NPZ_FAULTS[fault]
    good = {"x_train": GREY, "y_train": LABELS}
    if fault == "another array":
        del good["x_train"]
    with pytest.raises(DataError, match=message) as e:
        npz.load(path=saved(tmp_path, **{**good, **arrays}), **own)
    assert "data.npz" in str(e.value)


def test_npz_damaged_or_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone\.npz: there is no such file"):
        npz.load(path=str(tmp_path / "gone.npz"))
    (tmp_path / "bad.npz").write_bytes(b"PK\x03\x04 not really")
    with pytest.raises(DataError, match=r"bad\.npz: not an \.npz file"):
        npz.load(path=str(tmp_path / "bad.npz"))
    np.save(tmp_path / "one.npy", GREY)
    with pytest.raises(DataError, match=r"one\.npy: a single array"):
        npz.load(path=str(tmp_path / "one.npy"))
    path = Path(saved(tmp_path, x_train=GREY, y_train=LABELS))
    with zipfile.ZipFile(path) as archive:
        start = archive.getinfo("x_train.npy").header_offset
    raw = bytearray(path.read_bytes())
    raw[start + 120 : start + 180] = bytes(60)
    path.write_bytes(raw)
    with pytest.raises(DataError, match=r"array 'x_train' cannot be read"):
        npz.load(path=str(path))


# --- parquet_images


def parquet(path: Path, cells: list[Any], labels: list[Any], *, names: list[str] | None = None, **own: Any) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.table({own.get("image", "img"): cells, "label": pa.array(labels, own.get("type", pa.int64()))})
    if names:
        about = {"info": {"features": {"label": {"names": names, "_type": "ClassLabel"}}}}
        table = table.replace_schema_metadata({"huggingface": json.dumps(about)})
    pq.write_table(table, path, row_group_size=own.get("group", 5))
    return str(path)


def cells(rows: np.ndarray) -> list[dict[str, Any]]:
    return [{"bytes": png(row), "path": None} for row in rows]


def test_parquet_reads_shards_row_groups_and_names(tmp_path: Path) -> None:
    names = ["cat", "dog", "eel"]
    parquet(tmp_path / "train-00000-of-00002.parquet", cells(COLOUR[:7]), LABELS[:7].tolist(), names=names)
    parquet(tmp_path / "train-00001-of-00002.parquet", cells(COLOUR[7:]), LABELS[7:].tolist(), names=names)
    parquet(tmp_path / "validation.parquet", cells(COLOUR[:2]), [0, 1])
    parquet(tmp_path / "test" / "0000.parquet", cells(COLOUR[2:4]), [2, 0])
    data = parquet_images.load(path=str(tmp_path))
    assert np.array_equal(images(data), COLOUR.transpose(0, 3, 1, 2))
    assert np.array_equal(images(data, "val"), COLOUR[:2].transpose(0, 3, 1, 2))
    assert data.split("test").labels.tolist() == [2, 0] and data.classes == tuple(names)
    backwards = data.train.inputs["images"][np.array([11, 0, 6, 7])]
    assert np.array_equal(backwards, COLOUR[[11, 0, 6, 7]].transpose(0, 3, 1, 2))
    assert (data.preprocess.channels, data.preprocess.height, data.preprocess.width) == (3, 5, 7)


def test_parquet_of_paths_counts_from_its_own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for i, row in enumerate(GREY):
        (tmp_path / f"{i}.png").write_bytes(png(row))
    file = parquet(tmp_path / "t.parquet", [f"{i}.png" for i in range(12)], LABELS.tolist(), image="image")
    data = parquet_images.load(path="t.parquet", channels=1)
    assert np.array_equal(images(data), GREY[:, None]) and data.classes == ("0", "1", "2") and data.test is None
    (tmp_path / "4.png").unlink()
    with pytest.raises(DataError, match=r"t\.parquet: row 4: there is no file .*4\.png"):
        images(parquet_images.load(path=file))


def test_parquet_pictures_are_read_when_asked_for(tmp_path: Path) -> None:
    rows = cells(COLOUR)
    rows[9] = {"bytes": b"no picture", "path": None}
    data = parquet_images.load(path=parquet(tmp_path / "train.parquet", rows, LABELS.tolist()))
    assert data.train.inputs["images"][:9].shape == (9, 3, 5, 7)
    with pytest.raises(DataError, match=r"train\.parquet: row 9: not a picture that can be read"):
        images(data)


PARQUET_FAULTS: dict[str, tuple[Callable[[Path], object], dict[str, Any], str]] = {
    "no folder": (lambda p: None, {"path": "gone"}, r"gone: there is no such file or folder"),
    "no file": (lambda p: None, {}, r"no train\*\.parquet \(found: no parquet file\)"),
    "only test": (lambda p: parquet(p / "test.parquet", cells(GREY), [0] * 12), {}, r"\(found: test\)"),
    "no split": (
        lambda p: parquet(p / "all.parquet", cells(GREY), [0] * 12),
        {},
        r"all\.parquet: no split in its name",
    ),
    "not parquet": (
        lambda p: (p / "train.parquet").write_bytes(b"PAR1"),
        {},
        r"train\.parquet: the parquet file cannot",
    ),
    "no rows": (lambda p: parquet(p / "train.parquet", cells(GREY[:0]), []), {}, r"train\.parquet: no rows"),
    "no column": (
        lambda p: parquet(p / "train.parquet", cells(GREY), [0] * 12),
        {"label": "labels"},
        r"no column 'labels'; did you mean 'label'\?",
    ),
    "no label": (
        lambda p: parquet(p / "train.parquet", cells(GREY), [0, 1, None] * 4),
        {},
        r"row 2: nothing in column",
    ),
    "text labels": (
        lambda p: parquet(p / "train.parquet", cells(GREY), ["a"] * 12, type=pa.string()),
        {},
        r"train\.parquet: column 'label': labels of type object",
    ),
    "outside": (
        lambda p: parquet(p / "train.parquet", cells(GREY), [0, 1, 2] * 4),
        {"class_names": ("a", "b")},
        r"train\.parquet: column 'label': row 2: label 2 \(and 3 more rows\); allowed: 0\.\.1",
    ),
    "no picture": (
        lambda p: parquet(p / "train.parquet", [{"bytes": None, "path": None}, *cells(GREY[1:])], [0] * 12),
        {},
        r"train\.parquet: row 0: no picture in column 'img'",
    ),
    "sizes": (
        lambda p: parquet(p / "train.parquet", [*cells(GREY[:11]), *cells(GREY[:1, :4])], [0] * 12),
        {},
        r"row 11: 4 x 7 pixels, the first picture has 5 x 7; give `size`",
    ),
}


@pytest.mark.parametrize("fault", PARQUET_FAULTS)
def test_parquet_faults_are_named(tmp_path: Path, fault: str) -> None:
    make, own, message = PARQUET_FAULTS[fault]
    make(tmp_path)
    with pytest.raises(DataError, match=message):
        images(parquet_images.load(**{"path": str(tmp_path), **own}))


# --- image_folder


def folder(root: Path, rows: np.ndarray = COLOUR) -> Path:
    for i, row in enumerate(rows):
        target = root / ("cat", "dog", "eel")[i % 3] / f"{i:02}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(png(row))
    return root


def test_folder_of_classes(tmp_path: Path) -> None:
    (folder(tmp_path) / ".hidden").mkdir()
    (tmp_path / "cat" / ".DS_Store").write_bytes(b"")
    data = image_folder.load(path=str(tmp_path))
    order = np.argsort(LABELS, kind="stable")
    assert np.array_equal(images(data), COLOUR[order].transpose(0, 3, 1, 2))
    assert data.train.labels.tolist() == LABELS[order].tolist() and data.classes == ("cat", "dog", "eel")
    assert data.val is None and data.test is None


def test_folder_of_splits_resized_and_grey(tmp_path: Path) -> None:
    folder(tmp_path / "train")
    folder(tmp_path / "validation", COLOUR[:1])
    folder(tmp_path / "test", COLOUR[:2, :3])
    data = image_folder.load(path=str(tmp_path), channels=1, size=(4, 6))
    assert [images(data, s).shape for s in ("train", "val", "test")] == [(12, 1, 4, 6), (1, 1, 4, 6), (2, 1, 4, 6)]
    assert image_folder.load(path=str(tmp_path), size=8).preprocess.width == 8


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK"])
def test_pictures_of_any_mode_become_rgb_and_grey(tmp_path: Path, mode: str) -> None:
    kind = "tiff" if mode == "CMYK" else "png"
    target = tmp_path / "a" / "x.png"
    target.parent.mkdir()
    Image.fromarray(COLOUR[0]).convert(mode).save(target, kind)
    for channels in (1, 3):
        assert images(image_folder.load(path=str(tmp_path), channels=channels, size=3)).shape == (1, channels, 3, 3)


def cut_short(p: Path) -> None:
    noise = RNG.integers(0, 256, (64, 64, 3), np.uint8)
    (folder(p) / "dog" / "01.png").write_bytes(png(noise)[:400])


def deep(p: Path) -> None:
    Image.fromarray(np.zeros((5, 7), np.uint16)).save(folder(p) / "cat" / "00.png")


FOLDER_FAULTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "empty": (lambda p: None, r": no pictures; expected <class>/\*\.png below it"),
    "empty test": (lambda p: (folder(p / "train"), (p / "test").mkdir()), r"test: no pictures"),
    "stray file": (lambda p: (folder(p) / "readme.txt").write_text("x"), r"readme\.txt: a file where only folders"),
    "stray text": (lambda p: (folder(p) / "cat" / "a.txt").write_text("x"), r"a\.txt: not a picture file; allowed: "),
    "unknown split": (
        lambda p: (folder(p / "train"), folder(p / "tests")),
        r"tests: not a split; did you mean 'test'\?",
    ),
    "both vals": (
        lambda p: (folder(p / "train"), folder(p / "val"), folder(p / "validation")),
        r"both `val` and `validation`",
    ),
    "unknown class": (
        lambda p: (folder(p / "train"), (p / "test" / "dogs").mkdir(parents=True)),
        r"dogs: no class of that name in train; did you mean 'dog'\?",
    ),
    "text as picture": (
        lambda p: (folder(p) / "eel" / "02.png").write_text("x"),
        r"eel/02\.png: not a picture that can be read",
    ),
    "cut short": (cut_short, r"dog/01\.png: not a picture that can be read"),
    "sizes": (
        lambda p: (folder(p) / "eel" / "02.png").write_bytes(png(COLOUR[0][:3])),
        r"eel/02\.png: 3 x 7 pixels, the first picture has 5 x 7; give `size`",
    ),
    "sixteen bits": (deep, r"cat/00\.png: more than 8 bits a channel"),
}


@pytest.mark.parametrize("fault", FOLDER_FAULTS)
def test_folder_faults_are_named(tmp_path: Path, fault: str) -> None:
    make, message = FOLDER_FAULTS[fault]
    make(tmp_path)
    with pytest.raises(DataError, match=message):
        data = image_folder.load(path=str(tmp_path))
        images(data)
    with pytest.raises(DataError, match="there is no such folder"):
        image_folder.load(path=str(tmp_path / "gone"))


@pytest.mark.parametrize("source", [digits, npz, parquet_images, image_folder, csv])
def test_the_plan_can_read_every_signature(source: ModuleType) -> None:
    from inspect import Parameter, signature
    from typing import get_type_hints

    from pydantic import TypeAdapter

    hints = get_type_hints(source.load, include_extras=True)
    for name, parameter in signature(source.load).parameters.items():
        assert parameter.kind is Parameter.KEYWORD_ONLY
        if parameter.default is not Parameter.empty:
            assert TypeAdapter(hints[name]).validate_python(parameter.default) == parameter.default


# --- the real thing


@needs_data
@pytest.mark.slow
def test_real_fashion_mnist() -> None:
    data = npz.load(path=str(Path(os.environ["STILLROOM_DATA"]) / "fashion-mnist.npz"))
    assert data.train.inputs["images"].shape == (60000, 1, 28, 28) and len(data.split("test")) == 10000
    assert (data.classes[0], data.classes[9]) == ("T-shirt/top", "Ankle boot")
    assert np.bincount(data.train.labels).tolist() == [6000] * 10
    # The mean and deviation that everyone quotes, in grey levels.
    rows = images(data)
    assert (rows.mean() / 255, rows.std() / 255) == pytest.approx((0.2860, 0.3530), abs=1e-4)


@needs_data
@pytest.mark.slow
def test_real_cifar10() -> None:
    data = parquet_images.load(path=str(Path(os.environ["STILLROOM_DATA"]) / "cifar10"))
    assert data.train.inputs["images"].shape == (50000, 3, 32, 32) and len(data.split("test")) == 10000
    assert len(data.classes) == 10 and np.bincount(data.train.labels).tolist() == [5000] * 10
    batch = data.train.inputs["images"][49_000:49_500]
    assert batch.dtype == np.uint8
    quoted = np.array([0.4914, 0.4822, 0.4465])
    assert np.abs(batch.mean((0, 2, 3)) / 255 - quoted).max() < 0.02
