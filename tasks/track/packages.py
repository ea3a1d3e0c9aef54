"""Packages of registered versions, downloaded and checked, as .stillroom/serving/<version>/.

A folder appears there whole or not at all, and one that is there already is used again as long as every file still
has its SHA-256.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from tasks.core import artifact
from tasks.core.errors import ArtifactError
from tasks.core.results import PackageManifest
from tasks.track.provenance import sha256
from tasks.track.registry import Registry, Version

SERVING = Path(".stillroom") / "serving"


def fetch(registry: Registry, version: Version) -> tuple[Path, bool]:
    """The package of a version, and whether it had to be downloaded; ArtifactError when it does not fit its hashes."""
    target = SERVING / version.number
    if target.exists() and not faults(target, version):
        return target, False
    _download(registry, version, target)
    return target, True


def faults(folder: Path, version: Version) -> list[str]:
    """What is wrong with a package, one a line, empty when it is exactly what `track` logged with the version."""
    manifest = folder / "manifest.json"
    if not manifest.exists() or sha256(manifest) != version.tag("package_sha256"):
        return ["manifest.json: missing, or not the one that was registered"]
    expected = artifact.read_json(manifest, PackageManifest).files
    there = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    there.pop("manifest.json")
    missing = [f"{name}: missing" for name in sorted(expected.keys() - there.keys())]
    unknown = [f"{name}: not in the manifest" for name in sorted(there.keys() - expected.keys())]
    common = sorted(expected.keys() & there.keys())
    return missing + unknown + [f"{name}: wrong SHA-256" for name in common if sha256(there[name]) != expected[name]]


def _download(registry: Registry, version: Version, target: Path) -> None:
    """Download beside `target`, check, then swap, so that a reader never sees half a package."""
    SERVING.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".fetch-", dir=SERVING) as scratch:
        package = registry.download_package(version, Path(scratch))
        wrong = faults(package, version)
        if wrong:
            raise ArtifactError("\n  ".join([f"the package of {version} is damaged, nothing was replaced:", *wrong]))
        if target.exists():
            target.replace(Path(scratch) / "damaged")
        package.replace(target)
