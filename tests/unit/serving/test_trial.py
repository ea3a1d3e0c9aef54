"""A package is tried as the service would serve it, in a process that ends."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import made_package

ROOT = Path(__file__).parents[3]


def tried(package: Path, **environment: str) -> tuple[int, str, str]:
    """Status, stdout and stderr of `python -m serving.trial` over `package`."""
    home = {"STILLROOM_PACKAGE": str(package), "BENTOML_HOME": str(package.parent / "bentoml")}
    kept = {key: value for key, value in os.environ.items() if not key.startswith("STILLROOM_")}
    done = subprocess.run(
        [sys.executable, "-m", "serving.trial"],
        cwd=ROOT,
        env={**kept, **home, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("make", [made_package.make, made_package.make_text])
def test_both_models_answer_the_example(make: object, tmp_path: Path) -> None:
    package = make(tmp_path / "package")  # type: ignore[operator]
    status, out, err = tried(package)
    assert status == 0 and err == ""
    assert [line.split(":")[0] for line in out.splitlines()] == ["control baseline", "treatment student_int8"]
    assert '"probabilities":[[' in out
    assert not (tmp_path / "bentoml").exists()


def unpadded(package: Path) -> Path:
    (package / "tokenizer.json").write_text(made_package.tokenizer(padded=False))
    made_package.seal(package)
    return package


def test_what_the_service_would_refuse_is_one_line(tmp_path: Path) -> None:
    status, out, err = tried(unpadded(made_package.make_text(tmp_path / "text")))
    assert (status, out) == (1, "") and len(err.splitlines()) == 1
    assert "tokenizer.json: makes 1 tokens of a text; preprocess.json says 6" in err
    narrow = {"rows": 4, "body_bytes": 1024, "timeout_s": 10.0, "concurrency": 16}
    package = made_package.make(tmp_path / "narrow", limits={**narrow, "body_bytes": 100})
    status, _, err = tried(package)
    assert status == 1 and "does not answer its own example" in err and "allowed: 100" in err


def test_the_control_plane_is_named_and_not_asked(tmp_path: Path) -> None:
    package = made_package.make(tmp_path / "package", control={"url": "mysql://db/stillroom"})
    status, _, err = tried(package)
    assert status == 1 and "control.url: 'mysql'; allowed: sqlite" in err
    assert tried(package, STILLROOM_CONTROL="redis://127.0.0.1:9/0")[0] == 0
    store = tmp_path / "control.db"
    assert tried(package, STILLROOM_CONTROL=f"sqlite:///{store}")[0] == 0 and not store.exists()
