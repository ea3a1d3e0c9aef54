"""The source `public`: STILLROOM_DATA first, then a download that its checksum proves, else one clear error."""

from __future__ import annotations

import gzip
import hashlib
import io
import struct
import tarfile
from pathlib import Path

import numpy as np
import pytest
import requests

from tasks.core.errors import DataError
from tasks.intake import download
from tasks.sources import public


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("STILLROOM_DATA", raising=False)


def serve(monkeypatch: pytest.MonkeyPatch, files: dict[str, bytes]) -> None:
    """Let every download succeed with these contents, without a network."""

    def retrieve(url: str, *, known_hash: str, fname: str, path: Path) -> str:
        kind, expected = known_hash.split(":")
        if hashlib.new(kind, files[fname]).hexdigest() != expected:
            raise ValueError("hash mismatch")
        path.mkdir(parents=True, exist_ok=True)
        (path / fname).write_bytes(files[fname])
        return str(path / fname)

    monkeypatch.setattr("pooch.retrieve", retrieve)


def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise requests.ConnectionError("no route")

    monkeypatch.setattr("pooch.retrieve", refuse)


def idx(array: np.ndarray) -> bytes:
    head = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return gzip.compress(head + array.tobytes(), mtime=0)


def test_fashion_mnist_is_read_from_the_published_files(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (6, 28, 28), dtype=np.uint8)
    y = np.array([0, 9, 3, 1, 2, 2], np.uint8)
    files = dict(zip(public.FASHION_FILES, (idx(x), idx(y), idx(x[:2]), idx(y[:2])), strict=True))
    monkeypatch.setattr(public, "FASHION_FILES", {n: f"md5:{hashlib.md5(b).hexdigest()}" for n, b in files.items()})
    serve(monkeypatch, files)
    data = public.load(name="fashion_mnist")
    assert np.array_equal(data.train.inputs["images"][:], x[:, None])
    assert data.train.labels.tolist() == y.tolist() and data.train.labels.dtype == np.int64
    assert data.test is not None and len(data.test) == 2
    assert (data.preprocess.channels, data.preprocess.height, len(data.classes)) == (1, 28, 10)


def test_cifar10_is_read_from_the_binary_archive(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    batches = {
        name: rng.integers(0, 10, (2, 3073), dtype=np.uint8) for name in ("data_batch_1", "data_batch_2", "test_batch")
    }
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, rows in batches.items():
            member = tarfile.TarInfo(f"cifar-10-batches-bin/{name}.bin")
            member.size = rows.size
            archive.addfile(member, io.BytesIO(rows.tobytes()))
    (name,) = public.CIFAR_FILES
    monkeypatch.setattr(public, "CIFAR_FILES", {name: "sha256:" + hashlib.sha256(packed.getvalue()).hexdigest()})
    serve(monkeypatch, {name: packed.getvalue()})
    data = public.load(name="cifar10")
    first = batches["data_batch_1"][0]
    assert len(data.train) == 4 and data.train.labels[0] == first[0]
    assert data.train.inputs["images"][0][1, 2, 3] == first[1 + 1024 + 2 * 32 + 3]
    assert data.test is not None and data.test.labels.tolist() == batches["test_batch"][:, 0].tolist()


def test_another_content_than_published_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    serve(monkeypatch, dict.fromkeys(public.CIFAR_FILES, b"something else"))
    with pytest.raises(DataError, match=r"has another checksum than sha256:c4a3.*nothing was kept"):
        public.load(name="cifar10")
    assert not download.FOLDER.exists()


@pytest.mark.parametrize(("root", "said"), [(None, "STILLROOM_DATA is not set"), ("empty", "has no cifar10")])
def test_offline_and_absent_is_one_clear_error(monkeypatch: pytest.MonkeyPatch, root: str | None, said: str) -> None:
    offline(monkeypatch)
    if root:
        monkeypatch.setenv("STILLROOM_DATA", root)
    with pytest.raises(DataError) as e:
        public.load(name="cifar10")
    assert said in str(e.value) and "cannot be downloaded" in str(e.value) and "\n" not in str(e.value)


def test_the_folder_in_stillroom_data_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    offline(monkeypatch)
    x, y = np.zeros((4, 28, 28), np.uint8), np.arange(4)
    np.savez(tmp_path / "fashion-mnist.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    monkeypatch.setenv("STILLROOM_DATA", str(tmp_path))
    assert len(public.load(name="fashion_mnist").train) == 4
