"""The packaged folder as checked, frozen objects. Every SHA-256 is verified before anything in it is used.

The folder is the whole contract with the rest of Stillroom; `python -m tasks package` writes it.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, TypeVar

import orjson
from pydantic import TypeAdapter, ValidationError

from serving.reference import Reference
from serving.shapes import Manifest, Preprocess, Rollout

ENVIRONMENT = "STILLROOM_PACKAGE"
MANIFEST = "manifest.json"
TOKENIZER = "tokenizer.json"  # of a text package, beside what every package needs
REFERENCE = "reference.json"  # of every package that was made since drift is judged
NEEDED = ("control.onnx", "treatment.onnx", "labels.json", "preprocess.json", "rollout.json", "evidence.json")
Role = Literal["control", "treatment"]
ROLES: tuple[Role, ...] = ("control", "treatment")
T = TypeVar("T")


class PackageError(Exception):
    """The packaged folder is missing, changed or incomplete; the message says which file and what to do."""


@dataclass(frozen=True)
class Package:
    """A verified package."""

    folder: Path
    manifest: Manifest
    labels: tuple[str, ...]
    preprocess: Preprocess
    rollout: Rollout
    evidence: Mapping[str, Any]
    tokenizer: bytes = b""
    reference: Reference | None = None
    manifest_sha256: str = ""  # stands for the whole content: every other file's digest is in the manifest

    def name(self, role: Role) -> str:
        """The variant that plays `role`."""
        return self.manifest.control if role == "control" else self.manifest.treatment

    def sha256(self, role: Role) -> str:
        """The SHA-256 of the model that plays `role`."""
        return self.manifest.files[f"{role}.onnx"]

    def model(self, role: Role) -> bytes:
        """The bytes of a model, verified as they are read, so that what is loaded is what was checked."""
        return _verified(self.folder, f"{role}.onnx", self.sha256(role))


def folder() -> Path:
    """Where the package is: STILLROOM_PACKAGE, or results/package beside this code (in a checkout and in a bento)."""
    default = Path(__file__).resolve().parent.parent / "results" / "package"
    return Path(os.environ.get(ENVIRONMENT) or default).resolve()


def read(where: Path) -> Package:
    """Read and verify the whole folder; PackageError for a missing, changed, extra or misshapen file."""
    try:
        text = (where / MANIFEST).read_bytes()
    except FileNotFoundError:
        raise PackageError(
            f"{where / MANIFEST}: not there, so this is no package; `stillroom run` makes one in results/package,"
            f" and {ENVIRONMENT} says where else to look"
        ) from None
    manifest = _parse(where / MANIFEST, text, TypeAdapter(Manifest))
    for name in NEEDED:
        if name not in manifest.files:
            raise PackageError(f"{where / MANIFEST}: does not list {name}; a package needs {', '.join(NEEDED)}")
    present = {p.relative_to(where).as_posix() for p in where.rglob("*") if not p.is_dir()} - {MANIFEST}
    for name in sorted(present - manifest.files.keys()):
        raise PackageError(f"{where / name}: not in {MANIFEST}; remove it, or run `python -m tasks package` again")
    content = {name: _verified(where, name, digest) for name, digest in manifest.files.items() if _is_json(name)}
    for name, digest in manifest.files.items():
        if not _is_json(name):
            _verified(where, name, digest)

    def part(name: str, kind: type[T]) -> T:
        return _parse(where / name, content[name], TypeAdapter(kind))

    preprocess = part("preprocess.json", Preprocess)
    if preprocess.kind == "text" and TOKENIZER not in content:
        raise PackageError(f"{where / MANIFEST}: does not list {TOKENIZER}; a package for text needs it")
    _check_sound(where, preprocess)
    return Package(
        where,
        manifest,
        part("labels.json", tuple[str, ...]),
        preprocess,
        part("rollout.json", Rollout),
        part("evidence.json", dict[str, Any]),
        content.get(TOKENIZER, b""),
        part(REFERENCE, Reference) if REFERENCE in content else None,
        hashlib.sha256(text).hexdigest(),
    )


def _is_json(name: str) -> bool:
    return name.endswith(".json")


def _verified(where: Path, name: str, digest: str) -> bytes:
    """The bytes of a file whose SHA-256 is `digest`."""
    try:
        content = (where / name).read_bytes()
    except OSError as e:
        raise PackageError(
            f"{where / name}: listed in {MANIFEST} but cannot be read ({e.strerror}); run `python -m tasks package`"
        ) from None
    found = hashlib.sha256(content).hexdigest()
    if found != digest:
        raise PackageError(
            f"{where / name}: changed since it was packaged: SHA-256 is {found[:12]}..., {MANIFEST} says"
            f" {digest[:12]}...; nothing was loaded; run `python -m tasks package` again"
        )
    return content


def _parse(path: Path, text: bytes, kind: TypeAdapter[T]) -> T:
    try:
        return kind.validate_python(orjson.loads(text), strict=False)
    except orjson.JSONDecodeError as e:
        raise PackageError(f"{path}: not JSON: {e}; run `python -m tasks package` again") from None
    except ValidationError as e:
        first = e.errors()[0]
        at = ".".join(map(str, first["loc"]))
        raise PackageError(f"{path}: {at}: {first['msg']}; run `python -m tasks package` again") from None


def _check_sound(where: Path, preprocess: Preprocess) -> None:
    """PackageError when a package for sounds does not say what to make of one, or SciPy is absent."""
    about = preprocess.sound
    if preprocess.kind != "audio":
        return
    if about is None or [(i.shape, i.dtype) for i in preprocess.inputs.values()] != [((about.samples,), "int16")]:
        raise PackageError(f"{where / 'preprocess.json'}: kind audio; it needs `sound`, and one input of its samples")
    if find_spec("scipy") is None:
        raise PackageError(f"{where}: a package for sounds needs the library scipy; pip install scipy")
