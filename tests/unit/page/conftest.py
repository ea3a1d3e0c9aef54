"""Every test of the page begins in a folder with a fake project."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit import fake_project


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    fake_project.make_project()
