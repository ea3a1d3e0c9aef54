import tomllib
from pathlib import Path

import pytest
import yaml

from tasks.deploy.requirements import requirements

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("kind", ["image", "array", "text", "audio"])
def test_the_bounds_are_those_of_the_project_and_each_kind_has_its_own(kind: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    known = {*project["dependencies"], *(r for extra in project["optional-dependencies"].values() for r in extra)}
    found = requirements(kind).splitlines()
    assert found == sorted(set(found)) and set(found) <= known
    assert any(line.startswith("tokenizers") for line in found) == (kind == "text")
    assert any(line.startswith("scipy") for line in found) == (kind == "audio")
    assert not any(line.startswith(("torch", "mlflow", "dvc", "prefect")) for line in found)


@pytest.mark.parametrize(
    ("url", "library"), [("postgresql://h/d", "psycopg"), ("redis://h", "redis"), ("sqlite:///x", ""), ("", "")]
)
def test_a_control_plane_on_a_server_brings_its_library(url: str, library: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    more = set(requirements("image", url).splitlines()) - set(requirements("image").splitlines())
    assert [line.startswith(library) for line in more] == ([True] if library else [])
    assert more <= {r for extra in project["optional-dependencies"].values() for r in extra}


def test_the_bento_installs_what_the_package_lists() -> None:
    python = yaml.safe_load((ROOT / "bentofile.yaml").read_text())["python"]
    assert python == {"lock_packages": False, "requirements_txt": "results/package/requirements.txt"}


def test_every_package_of_ours_is_installed() -> None:
    """They are listed by hand, since mlflow/ must never be taken for one."""
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]["packages"]
    found = {
        ".".join(path.parent.relative_to(ROOT).parts)
        for top in ("flows", "serving", "tasks")
        for path in (ROOT / top).rglob("__init__.py")
    }
    assert set(listed) == found and len(listed) == len(found)
