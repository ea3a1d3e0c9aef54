"""What DVC users expect of their own tool: metrics, plots without a network, push and pull."""

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.conftest import Checkout

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def done(new_checkout: Callable[[str], Checkout], tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A checkout brought up to date, its dvc.lock committed and everything pushed to a local remote."""
    checkout = new_checkout("dvc_user")
    checkout.dvc("remote", "add", "-d", "--local", "here", str(tmp_path_factory.mktemp("remote")))
    checkout.dvc("repro")
    commit(checkout, "smoke")
    checkout.dvc("push")
    return checkout


def commit(checkout: Checkout, message: str) -> None:
    for command in (["add", "-A"], ["-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-qm", message]):
        subprocess.run(["git", *command], cwd=checkout.root, check=True)


def test_git_sees_nothing_but_dvc_lock(done: Checkout) -> None:
    listed = subprocess.run(["git", "show", "--name-only", "--format="], cwd=done.root, capture_output=True, text=True)
    assert listed.stdout.split() == ["dvc.lock"]


def test_metrics_show_reads_every_row(done: Checkout) -> None:
    shown = json.loads(done.dvc("metrics", "show", "--json"))[""]["data"]
    assert set(shown) == {f"reports/{row}.json" for row in ("baseline", "pruned50", "baseline_int8")}
    assert 0 < shown["reports/baseline.json"]["data"]["test"]["accuracy"] <= 1


def test_another_clone_pulls_and_has_nothing_to_compute(done: Checkout, tmp_path: Path) -> None:
    clone = Checkout(tmp_path / "clone")
    subprocess.run(["git", "clone", "-q", str(done.root), str(clone.root)], check=True)
    remote = done.dvc("remote", "list").split()[1]
    clone.dvc("remote", "add", "-d", "--local", "here", remote)
    clone.dvc("pull")
    assert "up to date" in clone.dvc("status")
    assert "Running stage" not in clone.dvc("repro")


def test_metrics_diff_and_plots_compare_two_commits_offline(done: Checkout) -> None:
    done.edit("params/plan.yaml", "ratio: 0.5", "ratio: 0.25")
    done.dvc("repro")
    changed = json.loads(done.dvc("metrics", "diff", "--json"))
    assert "reports/pruned50.json" in json.dumps(changed)
    done.dvc("plots", "diff", "HEAD")
    page = (done.root / "dvc_plots/index.html").read_text()
    assert "pruned50" in page
    assert not re.findall(r"""(?:src|href)=["']https?://""", page), "the page loads from the network"


def test_new_raw_data_make_everything_stale(done: Checkout) -> None:
    (done.root / "data/new.csv").write_text("1,2\n")
    try:
        stale = json.loads(done.stillroom("plan", "--json"))
        assert "current" not in stale.values()
    finally:
        (done.root / "data/new.csv").unlink()
