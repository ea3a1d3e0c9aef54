"""The package that the row is about, read once: its limits and its reference are what the judge goes by."""

from __future__ import annotations

from pathlib import Path

from serving import package as packages
from serving.control.state import State
from serving.package import Package, PackageError

AGAIN_S = 30.0  # a broken package is read again after this long: every file of it is hashed


class Packages:
    """Keeps the latest package. `first` is the one that the keeper was started with."""

    def __init__(self, first: Package) -> None:
        self.last = first
        self._broken: tuple[str, str, float, str] | None = None  # path, SHA-256, when to try again, and the fault

    def of(self, row: State, now_s: float) -> Package:
        """The row's package; PackageError when it is broken, or another one than the row names."""
        path, wanted = row.package, row.package_sha256
        if str(self.last.folder) == path and wanted in ("", self.last.manifest_sha256):
            return self.last
        if self._broken is not None and self._broken[:2] == (path, wanted) and now_s < self._broken[2]:
            raise PackageError(self._broken[3])
        try:
            package = packages.read(Path(path))
            if wanted not in ("", package.manifest_sha256):
                raise PackageError(
                    f"{path}: manifest.json has SHA-256 {package.manifest_sha256[:12]}..., the control row says"
                    f" {wanted[:12]}..."
                )
        except PackageError as e:
            self._broken = (path, wanted, now_s + AGAIN_S, str(e))
            raise
        self.last, self._broken = package, None
        return package
