"""What `stillroom serve` starts its servers with."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from flows import serve, servers, tokens
from flows.servers import Asked
from tasks.core.errors import ArtifactError, StillroomError


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("STILLROOM_CONTROL", servers.OVERRIDES, *tokens.ALL):
        monkeypatch.delenv(name, raising=False)


def asked(**changes: object) -> Asked:
    plain = {"folder": Path("p"), "port": 3000, "admin_port": 3001, "version": "3", "control": "sqlite:///a.db"}
    return Asked(**{**plain, **changes})  # type: ignore[arg-type]


def test_the_control_plane_is_the_packages_unless_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("rollout.json").write_text('{"control": {"url": "sqlite:///a.db"}}')
    assert serve.control(Path()) == "sqlite:///a.db"
    Path("rollout.json").write_text("{}")
    assert serve.control(Path()) == ""
    monkeypatch.setenv("STILLROOM_CONTROL", "redis://host")
    assert serve.control(Path()) == "redis://host"
    monkeypatch.setenv("STILLROOM_CONTROL", "")
    assert serve.control(Path("nowhere")) == "", "without a control plane on purpose"
    monkeypatch.delenv("STILLROOM_CONTROL")
    Path("rollout.json").write_text("[")
    with pytest.raises(ArtifactError, match=r"rollout\.json: .*tasks package"):
        serve.control(Path())


def test_the_same_port_twice_is_refused() -> None:
    with pytest.raises(StillroomError, match="port 3000: wanted by both --port and --admin-port"):
        serve.serve(port=3000, admin_port=3000, candidate=True, workers=None)


def test_each_server_has_its_own_home_and_no_others_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in tokens.ALL:
        monkeypatch.setenv(name, f"the {name}")
    secrets = {name: tokens.made(name) for name in (tokens.ADMIN, tokens.FOLLOWER)}
    started = [
        servers.service(asked()),
        servers.keeper(asked(), secrets, first=True),
        servers.follower(asked(), secrets),
    ]
    held = [set(tokens.ALL) & one.env.keys() for one in started]
    assert held == [{tokens.TICKETS}, {tokens.ADMIN, tokens.FOLLOWER}, {tokens.FOLLOWER}]
    homes = [one.env.get("BENTOML_HOME") for one in started[:2]]
    assert len(set(homes)) == 2 and all(Path(home or "").is_absolute() for home in homes)
    assert all(one.env["STILLROOM_CONTROL"] == "sqlite:///a.db" for one in started)
    assert started[1].command[-1] == "--offer" and "--offer" not in started[1].again
    assert "--offer" not in servers.keeper(asked(), secrets, first=False).command


def test_workers_are_laid_over_what_bentoml_is_told_already(monkeypatch: pytest.MonkeyPatch) -> None:
    assert servers.OVERRIDES not in servers.service(asked()).env
    given = {"services": {"stillroom": {"traffic": {"timeout": 3}}, "other": {}}, "version": 1}
    monkeypatch.setenv(servers.OVERRIDES, json.dumps(given))
    told = json.loads(servers.service(asked(workers=4)).env[servers.OVERRIDES])
    assert told["services"]["stillroom"] == {"traffic": {"timeout": 3}, "workers": 4}
    assert told["services"]["other"] == {} and told["version"] == 1
