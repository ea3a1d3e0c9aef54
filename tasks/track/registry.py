"""Registered versions of the chosen model, and the aliases that say which one is proposed, live, and live before.

track    ->  challenger                    the newest choice
promote  ->  champion, previous_champion   what is served, and what rollback returns to
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from tasks.core.errors import GateError
from tasks.track import store

MODEL = "stillroom"
Alias = Literal["challenger", "champion", "previous_champion"]
ALIASES: tuple[Alias, ...] = get_args(Alias)


@dataclass(frozen=True)
class Version:
    """One registered version and its tags: variant, model_sha256, package_sha256, package_uri, git.commit and more."""

    number: str
    tags: Mapping[str, str]

    def tag(self, key: str) -> str:
        """A tag that `track` writes; GateError when a version made by other means lacks it."""
        if key not in self.tags:
            raise GateError(
                f"version {self.number} of {MODEL}: no tag {key!r}, so it was not registered by `stillroom run`"
            )
        return self.tags[key]

    def __str__(self) -> str:
        return f"version {self.number} ({self.tags.get('variant', 'unknown variant')})"


class Registry:
    """The versions of our one registered model, through an `MlflowClient`."""

    def __init__(self, client: Any) -> None:
        self._client = client

    @classmethod
    def open(cls) -> Registry:
        """The registry behind the current store; GateError, writing nothing, when nothing was ever logged."""
        if not store.exists():
            raise GateError(f"{store.DATABASE}: nothing is registered yet; `stillroom run` registers a challenger")
        return cls(store.connect())

    def find(self, alias: Alias) -> Version | None:
        """The version that an alias points to, if any."""
        found = self._client.search_registered_models(filter_string=f"name = '{MODEL}'")
        if not found or alias not in found[0].aliases:
            return None
        return _version(self._client.get_model_version_by_alias(MODEL, alias))

    def numbered(self, number: str) -> Version | None:
        """The version of a number, if there is one."""
        if not number.isdecimal():
            return None
        found = self._client.search_model_versions(f"name = '{MODEL}' and version_number = {number}")
        return _version(found[0]) if found else None

    def newest(self) -> Version | None:
        """The version with the highest number, if there is one."""
        found = self._client.search_model_versions(f"name = '{MODEL}'", max_results=1, order_by=["version_number DESC"])
        return _version(found[0]) if found else None

    def register(self, model_uri: str, tags: Mapping[str, str], description: str) -> Version:
        """A new version of a logged model."""
        import mlflow

        number = str(mlflow.register_model(model_uri, MODEL, tags=dict(tags)).version)
        self._client.update_model_version(MODEL, number, description)
        return Version(number, tags)

    def point(self, alias: Alias, version: Version) -> None:
        """Move an alias to a version."""
        self._client.set_registered_model_alias(MODEL, alias, version.number)

    def drop(self, alias: Alias) -> None:
        """Take an alias away."""
        self._client.delete_registered_model_alias(MODEL, alias)

    def write_tags(self, version: Version, tags: Mapping[str, str]) -> None:
        """Add tags to a version."""
        for key, value in tags.items():
            self._client.set_model_version_tag(MODEL, version.number, key, value)

    def download_package(self, version: Version, folder: Path) -> Path:
        """Download the package that was logged with a version into `folder`; where it lies there."""
        import mlflow

        return Path(mlflow.artifacts.download_artifacts(version.tag("package_uri"), dst_path=str(folder)))


def _version(found: Any) -> Version:
    return Version(str(found.version), dict(found.tags))
