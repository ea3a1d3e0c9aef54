"""The follower and the marker over a real keeper and a registry in memory; tests/e2e has them over a real MLflow."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from serving.control.state import Event, Kind
from tasks.core.errors import ArtifactError, KeeperError
from tasks.follow import Follower
from tasks.live.keeper import Keeper
from tasks.track import marks
from tasks.track.marks import Marker
from tasks.track.registry import Registry, Version
from tests import made_package
from tests.unit.live.conftest import ADMIN, FOLLOWER, Live


@dataclass
class InMemory(Registry):
    """Versions whose packages lie in a folder; what the code under test may ask of a registry, and no more."""

    root: Path
    versions: dict[str, Version] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)
    downloads: int = 0

    def add(self, number: str) -> Version:
        folder = made_package.make(self.root / number, seed=int(number), stages=[0.1, 0.5])
        digest = hashlib.sha256((folder / "manifest.json").read_bytes()).hexdigest()
        self.versions[number] = Version(number, {"variant": f"v{number}", "package_sha256": digest})
        return self.versions[number]

    def find(self, alias: str) -> Version | None:
        return self.versions.get(self.aliases.get(alias, ""))

    def numbered(self, number: str) -> Version | None:
        return self.versions.get(number)

    def point(self, alias: str, version: Version) -> None:
        self.aliases[alias] = version.number

    def drop(self, alias: str) -> None:
        del self.aliases[alias]

    def write_tags(self, version: Version, tags: Any) -> None:
        before = self.versions[version.number]
        self.versions[version.number] = Version(version.number, {**before.tags, **tags})

    def download_package(self, version: Version, folder: Path) -> Path:
        self.downloads += 1
        return Path(shutil.copytree(self.root / version.number, folder / "package"))


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> InMemory:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    made = InMemory(tmp_path / "registry")
    for number in "123":
        made.add(number)
    return made


def follower(registry: InMemory, live: Live) -> Follower:
    return Follower(registry, Keeper(live.url, FOLLOWER))


def happened(live: Live, kind: Kind, generation: int, **numbers: float | str) -> None:
    live.store.append(Event(actor="keeper", kind=kind, generation=generation, numbers=numbers, reason="evidence"))


def test_the_champion_is_offered_when_the_alias_moves_and_at_no_other_time(
    registry: InMemory, live: Live, tmp_path: Path
) -> None:
    one = follower(registry, live)
    one.look()
    assert live.store.read() is None, "there is no champion"
    registry.aliases["champion"] = "1"
    one.look()
    row = live.store.read()
    assert row is not None and (row.generation, row.version, row.by, row.share) == (1, "1", "follower", 0.1)
    assert row.package == str(tmp_path / "here" / ".stillroom" / "serving" / "1")
    assert row.package_sha256 == registry.versions["1"].tag("package_sha256")

    by_hand = made_package.make(tmp_path / "by_hand", seed=9)
    Keeper(live.url, ADMIN).change("package", 1, package=str(by_hand), version="candidate")
    one.look()
    follower(registry, live).look()  # one that was started anew
    row = live.store.read()
    assert row is not None and row.version == "candidate", "what a person offered stays until the alias moves"
    registry.aliases["champion"] = "2"
    one.look()
    row = live.store.read()
    assert row is not None and (row.generation, row.version) == (3, "2")
    assert registry.downloads == 2


def test_a_damaged_download_is_not_offered_and_is_tried_again(registry: InMemory, live: Live) -> None:
    registry.aliases["champion"] = "1"
    one = follower(registry, live)
    one.look()
    model = registry.root / "2" / "treatment.onnx"
    kept = model.read_bytes()
    model.write_bytes(kept[:-1] + b"\0")
    registry.aliases["champion"] = "2"
    with pytest.raises(ArtifactError, match=r"treatment\.onnx: wrong SHA-256"):
        one.look()
    row = live.store.read()
    assert row is not None and row.version == "1"
    model.write_bytes(kept)
    one.look()
    row = live.store.read()
    assert row is not None and row.version == "2"


def test_a_package_that_the_keeper_refuses_is_offered_once(registry: InMemory, live: Live) -> None:
    folder = registry.root / "1"
    (folder / "labels.json").write_text("7")
    made_package.seal(folder)
    digest = hashlib.sha256((folder / "manifest.json").read_bytes()).hexdigest()
    registry.versions["1"] = Version("1", {"variant": "v1", "package_sha256": digest})
    registry.aliases["champion"] = "1"
    one = follower(registry, live)
    with pytest.raises(KeeperError, match=r"labels\.json"):
        one.look()
    one.look()
    assert [event.kind for event in live.store.events()] == ["refused"]
    with pytest.raises(KeeperError, match=r"labels\.json"):
        one.look(again=True)


def test_decisions_become_tags_of_the_version_that_they_are_about(registry: InMemory, live: Live) -> None:
    registry.aliases["champion"] = "1"
    one = follower(registry, live)
    one.tick()
    happened(live, "advance", 2, share=0.5, disagreement=0.003)
    one.tick()
    one.tick()
    tags = registry.versions["1"].tags
    assert tags["rollout"] == "advance: share 0.5, by keeper"
    told = json.loads(tags["rollout.g0002.advance"])
    assert (told["share"], told["disagreement"], told["by"], told["reason"]) == (0.5, 0.003, "keeper", "evidence")
    assert json.loads(tags["rollout.g0001.package"])["by"] == "follower"
    assert "rollout" not in registry.versions["2"].tags


def test_a_rollback_withdraws_the_version_and_the_one_before_is_offered(registry: InMemory, live: Live) -> None:
    one = follower(registry, live)
    registry.aliases["champion"] = "1"
    one.tick()
    registry.aliases |= {"champion": "2", "previous_champion": "1"}
    one.look()
    live.set(share=0.0, mode="rolled_back")
    happened(live, "rollback", 3, disagreement=0.2)
    one.tick()
    assert registry.aliases == {"champion": "1"}
    assert "rolled_back" in registry.versions["2"].tags and "rolled_back" not in registry.versions["1"].tags
    row = live.store.read()
    assert row is not None and (row.generation, row.version, row.mode) == (4, "1", "rolling")

    live.set(share=0.0, mode="rolled_back")
    happened(live, "rollback", 5)
    one.tick()
    one.look(again=True)
    assert registry.aliases == {"champion": "1"}, "there is none to go back to"
    row = live.store.read()
    assert row is not None and (row.generation, row.mode) == (5, "rolled_back"), "what was taken back is not offered"


def test_a_withdrawn_version_is_not_gone_back_to(registry: InMemory, live: Live) -> None:
    one = follower(registry, live)
    registry.write_tags(registry.versions["1"], {"rolled_back": "before"})
    registry.aliases |= {"champion": "2", "previous_champion": "1"}
    one.tick()
    live.set(share=0.0, mode="rolled_back")
    happened(live, "rollback", 2)
    one.tick()
    assert registry.aliases == {"champion": "2", "previous_champion": "1"}


def test_an_old_rollback_moves_no_alias_when_the_memory_or_the_log_is_lost(registry: InMemory, live: Live) -> None:
    live.set(version="1")
    happened(live, "rollback", 1, version="1")
    live.set(version="2")
    happened(live, "package", 2, version="2")
    registry.aliases |= {"champion": "1", "previous_champion": "3"}
    Marker(registry, Keeper(live.url)).mark()
    assert registry.aliases["champion"] == "1" and "rolled_back" not in registry.versions["1"].tags
    assert "rollout" in registry.versions["2"].tags

    memory = json.loads(marks.MEMORY.read_text())
    marks.MEMORY.write_text(json.dumps({**memory, "event": 700, "at_s": 1.0, "since": 0}))  # of another store
    Marker(registry, Keeper(live.url)).mark()
    assert registry.aliases["champion"] == "1"
    assert json.loads(marks.MEMORY.read_text())["event"] == live.store.events()[-1].id


def test_what_is_not_registered_is_not_marked(registry: InMemory, live: Live) -> None:
    live.set(version="candidate")
    happened(live, "rollback", 1, version="candidate")
    assert len(Marker(registry, Keeper(live.url)).mark()) == 1
    assert not registry.aliases
