"""A row that imitates needs a teacher that has learnt something: refused in the plan, by the real plug-ins."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasks.plan import PlanError, load_plan

HEAD = """\
seed: 7
threads: 1
data: {source: digits}
model: {%s}
variants:
  baseline: {from: data, technique: train, epochs: 3, lr: 0.1}
"""
TAIL = """\
bench: {threads: [1], batch: [1]}
choose: {reference: baseline}
"""
CNN, STUDENT = "arch: small_cnn, width: 8", "epochs: 1, lr: 0.1, student: {arch: small_cnn}"
RECOVER = "recover: {epochs: 1, lr: 0.1}"


def told(rows: dict[str, str], tmp_path: Path, model: str = CNN) -> list[str]:
    """The lines that the gate says of a plan with these rows beside the baseline, each without its place."""
    file = tmp_path / "plan.yaml"
    file.write_text(HEAD % model + "".join(f"  {name}: {{{row}}}\n" for name, row in rows.items()) + TAIL)
    try:
        load_plan(file)
    except PlanError as e:
        return [line.split(": ", 1)[1] for line in str(e).splitlines()]
    return []


def refusal(name: str, found: str, technique: str, key: str) -> str:
    return (
        f"variants.{name}.from: found {found}; allowed: a trained parent, which `{technique}` imitates as long as "
        f"{key} is above 0: put `train` or `load` before it"
    )


UNTRAINED = "`data`, the untrained network"
LINES = [
    ("student", f"from: data, technique: distill, {STUDENT}", refusal("student", UNTRAINED, "distill", "alpha")),
    ("qat", "from: data, technique: qat, epochs: 1, lr: 0.1", refusal("qat", UNTRAINED, "qat", "alpha")),
    (
        "half",
        f"from: data, technique: prune, ratio: 0.5, {RECOVER}",
        refusal("half", UNTRAINED, "prune", "recover: alpha"),
    ),
]


@pytest.mark.parametrize(("name", "row", "line"), LINES, ids=[name for name, *_ in LINES])
def test_the_untrained_network_is_no_teacher(name: str, row: str, line: str, tmp_path: Path) -> None:
    assert told({name: row}, tmp_path) == [line]


def test_nor_is_what_was_made_of_it_without_training(tmp_path: Path) -> None:
    rows = {
        "student": f"from: narrow, technique: distill, {STUDENT}",  # before its parent in the file
        "half": "from: data, technique: prune, ratio: 0.5",
        "narrow": "from: half, technique: factorize, ratio: 0.5",
    }
    assert told(rows, tmp_path) == [refusal("student", "`narrow`, never trained", "distill", "alpha")]


def test_what_trains_reads_weights_or_imitates_nobody_may_stand_there(tmp_path: Path) -> None:
    rows = {
        "alone": f"from: data, technique: distill, alpha: 0, {STUDENT}",
        "scaled": "from: data, technique: scale, ratio: 0.5, epochs: 1, lr: 0.1",
        "committee": "from: data, technique: ensemble, members: 2, epochs: 1, lr: 0.1",
        "pupil": f"from: committee, technique: distill, {STUDENT}",
        "half": "from: data, technique: prune, ratio: 0.5",
        "again": "from: half, technique: train, epochs: 1, lr: 0.1",
        "third": f"from: again, technique: distill, {STUDENT}",
        "given": "from: data, technique: load, path: weights.safetensors",
        "given_half": "from: given, technique: prune, ratio: 0.5",
        "fourth": f"from: given_half, technique: distill, {STUDENT}",
    }
    assert told(rows, tmp_path) == []


def test_a_checkpoint_in_the_model_block_may_be_trained(tmp_path: Path) -> None:
    row = {"student": f"from: data, technique: distill, {STUDENT}"}
    assert told(row, tmp_path, "arch: huggingface, checkpoint: a_folder") == []
    assert told(row, tmp_path, "arch: huggingface, config: {model_type: bert}") == [
        refusal("student", UNTRAINED, "distill", "alpha")
    ]
