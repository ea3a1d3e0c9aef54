"""The command line: quick answers, and exit statuses that scripts can rely on."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HEAVY = ("torch", "prefect", "mlflow", "dvc", "pandas", "onnx", "great_expectations", "bentoml")


def run(cwd: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], cwd=cwd, capture_output=True, text=True, timeout=120)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    for name in ("tasks", "flows", "params"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "dvc.yaml", tmp_path)
    return tmp_path


@pytest.mark.parametrize("arguments", [["--help"], ["explain", "--help"], ["compare", "--help"], ["plan", "--check"]])
def test_help_and_check_import_nothing_heavy(arguments: list[str]):
    code = (
        "import sys; sys.argv = ['stillroom', *sys.argv[1:]]\n"
        "from flows.cli import main\n"
        "try: main()\n"
        "except SystemExit as e: assert not e.code, e.code\n"
        f"print('heavy:', [m for m in {HEAVY} if m in sys.modules])"
    )
    done = run(ROOT, "-c", code, *arguments)
    assert "heavy: []" in done.stdout, done.stdout + done.stderr


def test_mistakes_end_with_status_2_all_at_once_and_nothing_is_written(checkout: Path):
    plan = checkout / "params/plan.yaml"
    plan.write_text(plan.read_text().replace("technique: distill", "technique: distil").replace("seed: 7", "seed: x"))
    (checkout / "params/rollout.yaml").write_text("treatment_share: 3\n")
    before = sorted(p for p in checkout.rglob("*") if "__pycache__" not in p.parts)
    for arguments in (["plan", "--check"], ["plan"], ["run"], ["promote"]):
        done = run(checkout, "-m", "flows.cli", *arguments)
        assert done.returncode == 2, done.stderr
        assert "Traceback" not in done.stderr
        assert "did you mean 'distill'?" in done.stderr and "seed" in done.stderr and "treatment_share" in done.stderr
    assert sorted(p for p in checkout.rglob("*") if "__pycache__" not in p.parts) == before


def test_every_command_is_explained():
    done = run(ROOT, "-m", "flows.cli", "--help")
    for command in (
        "plan",
        "run",
        "report",
        "explain",
        "compare",
        "promote",
        "rollback",
        "serve",
        "rollout",
        "schedule",
        "ui",
        "doctor",
    ):
        assert f" {command} " in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "usage: python -m tasks"),
        (["biuld", "baseline"], "did you mean 'build'?"),
        (["build"], "takes one variant"),
        (["bench", "baseline"], "takes no variant"),
        (["build", "basline"], "did you mean 'baseline'?"),
    ],
)
def test_the_seam_says_what_is_wrong_with_its_arguments(arguments: list[str], message: str):
    done = run(ROOT, "-m", "tasks", *arguments)
    assert done.returncode in (1, 2) and message in done.stderr and "Traceback" not in done.stderr
