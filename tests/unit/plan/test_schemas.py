"""The JSON Schemas that editors use are those of the models, and agree with the gate."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from tasks import schemas

REPO = Path(__file__).parents[3]
PARAMS = REPO / "params"


def schema_for(file: Path) -> dict[str, Any]:
    first = file.read_text().splitlines()[0]
    assert first.startswith("# yaml-language-server: $schema=schemas/"), f"{file.name}: editors need this first line"
    return dict(json.loads((PARAMS / first.rpartition("=")[2]).read_text()))


def test_the_checked_in_files_are_current(tmp_path: Path) -> None:
    made = {path.name: path.read_text() for path in schemas.write(tmp_path)}
    kept = {path.name: path.read_text() for path in (PARAMS / "schemas").glob("*.json")}
    assert kept == made, "run `make schemas`"
    assert set(made) == {"plan.json", "expectations.json", "rollout.json", "promotion.json", "schedule.json"}


@pytest.mark.parametrize("file", sorted(PARAMS.glob("*.yaml")), ids=lambda file: file.name)
def test_files_fit_their_schema(file: Path) -> None:
    schema = schema_for(file)
    jsonschema.Draft7Validator.check_schema(schema)
    jsonschema.Draft7Validator(schema).validate(yaml.safe_load(file.read_text()))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("seed: 7", "sed: 7"),
        ("epochs: 3, lr", "epoch: 3, lr"),
        ("technique: distill", "technique: distil"),
        ("arch: mlp", "arch: mpl"),
        ("width: 8", "width: 0"),
        ("source: digits", "source: digit"),
        ("pruned:", "Pruned:"),
        ("pruned:", "data:"),
        ("from: student, ", ""),
        ("size_mb", "size"),
    ],
)
def test_the_plans_schema_refuses_what_the_gate_refuses(params: Path, old: str, new: str) -> None:
    validator = jsonschema.Draft7Validator(schemas.render()["plan"])
    text = (params / "plan.yaml").read_text().replace("1e-2", "0.01")  # PyYAML reads YAML 1.1
    validator.validate(yaml.safe_load(text))
    assert old in text
    assert list(validator.iter_errors(yaml.safe_load(text.replace(old, new, 1))))


def test_inner_models_of_two_plugins_may_share_a_name(params: Path, plugs: Path) -> None:
    prune = (plugs / "techniques" / "prune.py").read_text()
    (plugs / "techniques" / "thin.py").write_text(prune.replace("epochs: int = Field(ge=1)", "passes: int"))
    definitions = schemas.render()["plan"]["definitions"]
    assert list(definitions["techniques.prune.Recover"]["properties"]) == ["epochs", "helper"]
    assert list(definitions["techniques.thin.Recover"]["properties"]) == ["passes", "helper"]
