"""What comes out of the gate when nothing is wrong."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from tasks import schemas
from tasks.plan import Plan, PlanError, Settings, load, load_plan, plugin

REPO = Path(__file__).parents[3]


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))


def test_values_arrive_typed_and_frozen(params: Path) -> None:
    settings = load()
    assert isinstance(settings, Settings)
    plan = settings.plan
    assert (plan.seed, plan.data.source, plan.data.val_share, plan.data.params) == (7, "digits", 0.2, {})
    assert (plan.model.arch, plan.model.params) == ("small_cnn", {"width": 32})
    assert plan.bench.batch == (1, 32)  # a YAML list becomes a tuple
    assert plan.choose.at_most == {"size_mb": 1.0}  # a whole number will do for a float
    student = plan.variants["student"]
    assert (student.name, student.parent, student.technique) == ("student", "baseline", "distill")
    assert isinstance(student.params, plugin("techniques", "distill").Params)
    assert student.params.model_dump() == {"epochs": 3, "layers": (1, 2), "student": {"arch": "mlp", "width": 8}}
    assert plan.variants["baseline"].params.model_dump()["lr"] == 0.01  # 1e-2: YAML 1.2, as DVC reads it
    assert plan.variants["student"].model_dump()["params"]["epochs"] == 3  # a dump keeps the technique's own keys
    assert settings.rollout.scaling.max_replicas == 4
    with pytest.raises(ValidationError, match="frozen"):
        plan.seed = 8  # type: ignore[misc]


def test_a_key_left_out_is_the_plugins_own_default(params: Path) -> None:
    edit(params / "plan.yaml", "{arch: small_cnn, width: 32}", "{arch: small_cnn}")
    assert load().plan.model.params == {}


def test_parents_come_before_children_and_else_the_files_order_holds(params: Path) -> None:
    text = (params / "plan.yaml").read_text()
    lines = [line for line in text.splitlines(keepends=True) if line.startswith("  ") and "technique" in line]
    (params / "plan.yaml").write_text(text.replace("".join(lines), "".join(reversed(lines))))
    assert list(load().plan.variants) == ["baseline", "student", "student_int8", "pruned"]


def test_a_long_chain_needs_no_deep_stack(params: Path) -> None:
    rows = "".join(
        f"  r{n}: {{from: {f'r{n + 1}' if n < 2999 else 'baseline'}, technique: train, epochs: 1}}\n"
        for n in range(3000)
    )
    edit(params / "plan.yaml", "variants:\n", f"variants:\n{rows}")
    order = list(load().plan.variants)
    assert order[:3] == ["baseline", "r2999", "r2998"] and len(order) == 3004


def test_onnx_after_torch_and_onnx_after_onnx_both_fit(params: Path) -> None:
    edit(params / "plan.yaml", "bench:", "  again: {from: student_int8, technique: quantize}\nbench:")
    assert load().plan.variants["again"].parent == "student_int8"


def test_smoke_is_checked_as_a_plan_and_may_be_missing(params: Path) -> None:
    load()
    (params / "smoke.yaml").write_text((params / "plan.yaml").read_text().replace("seed: 7", "seed: 8"))
    assert load().plan.seed == 7
    assert load_plan(params / "smoke.yaml").seed == 8
    edit(params / "smoke.yaml", "seed: 8", "seed: x")
    for check in (load, lambda: load_plan(params / "smoke.yaml")):
        with pytest.raises(PlanError, match=r"^params/smoke.yaml:1: seed: found 'x'"):
            check()


def test_loading_writes_nothing(params: Path) -> None:
    before = sorted(Path().rglob("*.yaml")) + sorted(Path().glob("*"))
    load()
    assert sorted(Path().rglob("*.yaml")) + sorted(Path().glob("*")) == before


def test_everything_under_params_loads() -> None:
    load(REPO / "params")


def test_every_key_that_dvc_reads_from_the_file_must_be_in_it() -> None:
    stages = yaml.safe_load((REPO / "dvc.yaml").read_text())["stages"]
    read: set[str] = set(re.findall(r"\$\{((?!key|item)[a-z_.]+)\}", (REPO / "dvc.yaml").read_text()))
    for stage in stages.values():
        for entry in stage.get("do", stage).get("params", []):
            read |= set(entry.get("params/plan.yaml") or ()) if isinstance(entry, dict) else set()
    read -= {"variants.${key}"}
    assert {"seed", "data", "choose.reference"} <= read
    plan = schemas.render()["plan"]
    blocks = plan["definitions"] | {"choose": plan["definitions"]["ChooseBlock"]}
    for key in read:
        top, _, inner = key.partition(".")
        assert top in plan["required"], key
        assert not inner or inner in blocks[top]["required"], key
    assert set(Plan.model_fields) == {name for name, field in Plan.model_fields.items() if field.is_required()}


def test_loading_is_light() -> None:
    code = """
import sys
from tasks.plan import load
load()
heavy = "torch numpy pandas prefect mlflow dvc onnx onnxruntime sklearn great_expectations bentoml typer jsonschema"
print(*(name for name in heavy.split() if name in sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=REPO, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
