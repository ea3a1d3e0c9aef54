"""Reading a package: everything is verified, and what is wrong is named."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from serving import package
from serving.package import PackageError
from tests import made_package


@pytest.fixture
def made(tmp_path: Path) -> Path:
    return made_package.make(tmp_path / "package")


def test_a_whole_package_is_read_into_frozen_objects(made: Path) -> None:
    read = package.read(made)
    assert read.labels == tuple(made_package.LABELS)
    assert (read.name("control"), read.name("treatment")) == ("baseline", "student_int8")
    assert read.model("treatment") == (made / "treatment.onnx").read_bytes()
    with pytest.raises(dataclasses.FrozenInstanceError):
        read.labels = ()  # type: ignore[misc]
    with pytest.raises(ValueError, match="frozen"):
        read.rollout.treatment_share = 1.0  # type: ignore[misc]


@pytest.mark.parametrize("name", [*package.NEEDED])
def test_one_changed_byte_anywhere_is_found(made: Path, name: str) -> None:
    content = bytearray((made / name).read_bytes())
    content[len(content) // 2] ^= 1
    (made / name).write_bytes(content)
    with pytest.raises(PackageError, match=rf"{name}: changed since it was packaged.*nothing was loaded"):
        package.read(made)


def test_a_model_changed_after_reading_is_not_loaded(made: Path) -> None:
    read = package.read(made)
    (made / "control.onnx").write_bytes(b"other")
    with pytest.raises(PackageError, match=r"control\.onnx: changed"):
        read.model("control")


def test_a_missing_an_extra_and_an_unlisted_file_are_named(made: Path) -> None:
    (made / "extra.txt").write_text("x")
    with pytest.raises(PackageError, match=r"extra\.txt: not in manifest\.json"):
        package.read(made)
    (made / "extra.txt").unlink()
    (made / "treatment.onnx").unlink()
    with pytest.raises(PackageError, match=r"treatment\.onnx: listed in manifest\.json but cannot be read"):
        package.read(made)
    made_package.seal(made)
    with pytest.raises(PackageError, match=r"does not list treatment\.onnx"):
        package.read(made)


def test_no_package_at_all_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(PackageError, match=r"`stillroom run` makes one .* STILLROOM_PACKAGE"):
        package.read(tmp_path)


@pytest.mark.parametrize(
    ("name", "value", "fault"),
    [
        ("rollout.json", {**made_package.ROLLOUT, "treatment_share": 1.5}, "treatment_share"),
        ("preprocess.json", {**made_package.IMAGE, "hight": 8}, "hight"),
        ("labels.json", {"a": 1}, "tuple"),
    ],
)
def test_a_sealed_file_that_does_not_fit_is_named_with_its_key(made: Path, name: str, value: Any, fault: str) -> None:
    (made / name).write_text(json.dumps(value))
    made_package.seal(made)
    with pytest.raises(PackageError, match=rf"{name}: .*{fault}"):
        package.read(made)


@pytest.mark.parametrize("text", ["{", ""])
def test_a_manifest_that_is_not_json(made: Path, text: str) -> None:
    (made / "manifest.json").write_text(text)
    with pytest.raises(PackageError, match=r"manifest\.json: not JSON"):
        package.read(made)


def test_the_folder_comes_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STILLROOM_PACKAGE", str(tmp_path))
    assert package.folder() == tmp_path.resolve()
    monkeypatch.delenv("STILLROOM_PACKAGE")
    assert package.folder().parts[-2:] == ("results", "package")
