"""Every mistake that a person can make in a file, one planted at a time, and the line that tells it."""

from pathlib import Path
from typing import get_args

import pytest

from tasks.core.metrics import Ceiling
from tasks.plan import PlanError, load

PLAN, EXPECT, ROLLOUT, SCHEDULE = "plan.yaml", "expectations.yaml", "rollout.yaml", "schedule.yaml"
TECHNIQUES = "distill, prune, quantize, train"
ROWS = "data, baseline, student, pruned, student_int8"
METRICS = ", ".join(get_args(Ceiling))
STUDENT = "  student: {from: baseline, technique: distill, epochs: 3, student: {arch: mlp, width: 8}, layers: [1, 2]}\n"
PRUNED = "  pruned: {from: baseline, technique: prune, ratio: 0.5, recover: {epochs: 1}}\n"

# file, what is replaced, by what, the line that must come out (after `params/`)
CASES = [
    # unknown keys
    (PLAN, "threads: 1\n", "threads: 1\nthread: 1\n",
     "plan.yaml:3: thread: found an unknown key; allowed: seed, threads, bench, choose, data, model, variants; "
     "did you mean 'threads'?"),
    (PLAN, "batch: [1", "batches: [1",
     "plan.yaml:10: bench.batches: found an unknown key; allowed: threads, batch, engines, rounds, round_ms, "
     "precision, budget_s; did you mean 'batch'?"),
    (PLAN, "epochs: 3, lr", "epoch: 3, epochs: 3, lr",
     "plan.yaml:6: variants.baseline.epoch: found an unknown key; allowed: epochs, lr, from, technique; "
     "did you mean 'epochs'?"),
    (PLAN, "val_share", "val_shares",
     "plan.yaml:3: data.val_shares: found an unknown key; allowed: subset, source, val_share, test_share, "
     "calibration_rows, mean, std; did you mean 'val_share'?"),
    (PLAN, "width: 32}", "widht: 32}",
     "plan.yaml:4: model.widht: found an unknown key; allowed: width, arch; did you mean 'width'?"),
    (PLAN, "size_mb: 1", "size_bm: 1",
     f"plan.yaml:13: choose.at_most.size_bm: found an unknown key; allowed: {METRICS}; did you mean 'size_mb'?"),
    (PLAN, "recover: {epochs: 1}", "recover: {epochs: 1, epoch: 2}",
     "plan.yaml:8: variants.pruned.recover.epoch: found an unknown key; allowed: epochs, helper; "
     "did you mean 'epochs'?"),
    (EXPECT, "train: 5", "trian: 5",
     "expectations.yaml:1: min_rows.trian: found an unknown key; allowed: train, calibration, val, test; "
     "did you mean 'train'?"),
    # unknown plug-ins
    (PLAN, "technique: distill", "technique: distil",
     f"plan.yaml:7: variants.student.technique: found 'distil'; allowed: {TECHNIQUES}; did you mean 'distill'?"),
    (PLAN, "arch: small_cnn", "arch: smal_cnn",
     "plan.yaml:4: model.arch: found 'smal_cnn'; allowed: mlp, small_cnn; did you mean 'small_cnn'?"),
    (PLAN, "source: digits", "source: digit",
     "plan.yaml:3: data.source: found 'digit'; allowed: digits, npz; did you mean 'digits'?"),
    (PLAN, "arch: mlp", "arch: mpl",
     "plan.yaml:7: variants.student.student.arch: found 'mpl'; allowed: mlp, small_cnn; did you mean 'mlp'?"),
    (PLAN, "width: 8", "width: 0",
     "plan.yaml:7: variants.student.student.width: found 0; allowed: a whole number, at least 1, at most 4096"),
    (PLAN, "recover: {epochs: 1}", "recover: {epochs: 1, helper: {arch: smallcnn}}",
     "plan.yaml:8: variants.pruned.recover.helper.arch: found 'smallcnn'; allowed: mlp, small_cnn; "
     "did you mean 'small_cnn'?"),
    (PLAN, "source: digits", "source: npz", "plan.yaml:3: data.path: found nothing; allowed: text"),
    (PLAN, "arch: small_cnn", "arch: null", "plan.yaml:4: model.arch: found null; allowed: mlp, small_cnn"),
    # the tree
    (PLAN, "from: student,", "from: studnet,",
     f"plan.yaml:9: variants.student_int8.from: found 'studnet'; allowed: {ROWS}; did you mean 'student'?"),
    (PLAN, "student_int8:", '"line\\nbreak":',
     "plan.yaml:9: variants['line\\nbreak']: found the name 'line\\nbreak'; allowed: a-z, then a-z, 0-9 and _, "
     "at most 64; for instance 'line_break'"),
    (PLAN, "from: data", "from: student",
     "plan.yaml:6: variants.baseline.from: found a loop: baseline -> student -> baseline; "
     "allowed: a chain that ends at 'data'"),
    (PLAN, "pruned: {from: baseline", "pruned: {from: pruned",
     "plan.yaml:8: variants.pruned.from: found a loop: pruned -> pruned; allowed: a chain that ends at 'data'"),
    (PLAN, "from: student,", "from: null,",
     f"plan.yaml:9: variants.student_int8.from: found null; allowed: {ROWS}"),
    (PLAN, "from: student, ", "", f"plan.yaml:9: variants.student_int8.from: found nothing; allowed: {ROWS}"),
    (PLAN, "from: student,", "from: [student],",
     f"plan.yaml:9: variants.student_int8.from: found ['student']; allowed: {ROWS}"),
    (PLAN, ", technique: quantize", "",
     f"plan.yaml:9: variants.student_int8.technique: found nothing; allowed: {TECHNIQUES}"),
    (PLAN, "{from: student, technique: quantize}", "quantize",
     "plan.yaml:9: variants.student_int8: found 'quantize'; allowed: a mapping with `from` and `technique`"),
    (PLAN, "student_int8:", "Student-int8:",
     "plan.yaml:9: variants.Student-int8: found the name 'Student-int8'; allowed: a-z, then a-z, 0-9 and _, at most 64"
     "; for instance 'student_int8'"),
    (PLAN, "student_int8:", "student.int8:",
     "plan.yaml:9: variants['student.int8']: found the name 'student.int8'; allowed: a-z, then a-z, 0-9 and _, "
     "at most 64; for instance 'student_int8'"),
    (PLAN, "student_int8:", "data:",
     "plan.yaml:9: variants.data: found the reserved name 'data'; "
     "allowed: any other: `from: data` is the untrained network"),
    (PLAN, "pruned: {from: baseline", "pruned: {from: student_int8",
     "plan.yaml:8: variants.pruned.from: found `student_int8`, which is ONNX; "
     "allowed: a trainable parent, which `prune` needs: put `prune` before `student_int8`"),
    (PLAN, "from: student,", "from: data,",
     "plan.yaml:9: variants.student_int8.from: found `data`, the untrained network; "
     "allowed: a trained parent, which `quantize` needs: put `train` or `load` before it"),
    (PLAN, STUDENT + PRUNED + "  student_int8: {from: student, technique: quantize}\n", "",
     "plan.yaml:5: variants: found no row but the reference 'baseline'; allowed: at least one more, to choose from"),
    (PLAN, "reference: baseline", "reference: basline",
     "plan.yaml:12: choose.reference: found 'basline'; allowed: baseline, student, pruned, student_int8; "
     "did you mean 'baseline'?"),
    (PLAN, "  reference: baseline\n", "", "plan.yaml:11: choose.reference: found nothing; allowed: text"),
    # what dvc.yaml reads from the file must be in it
    (PLAN, "seed: 7\n", "",
     "plan.yaml: seed: found nothing; allowed: a whole number, at least 0, below 4294967296"),
    (PLAN, "threads: 1\n", "",
     "plan.yaml: threads: found nothing; allowed: a whole number, at least 1, at most 256"),
    (PLAN, "data: {source: digits, val_share: 0.2}\n", "",
     "plan.yaml: data: found nothing; allowed: a mapping with `source`"),
    (PLAN, "model: {arch: small_cnn, width: 32}\n", "",
     "plan.yaml: model: found nothing; allowed: a mapping with `arch`"),
    (PLAN, "bench: {threads: [1], batch: [1, 32]}\n", "", "plan.yaml: bench: found nothing; allowed: a mapping"),
    # wrong types; strict: no "3" for 3, no true for 1
    (PLAN, "seed: 7", 'seed: "7"',
     "plan.yaml:1: seed: found '7'; allowed: a whole number, at least 0, below 4294967296"),
    (PLAN, "seed: 7", "seed: true",
     "plan.yaml:1: seed: found true; allowed: a whole number, at least 0, below 4294967296"),
    (PLAN, "seed: 7", "seed: 7.5",
     "plan.yaml:1: seed: found 7.5; allowed: a whole number, at least 0, below 4294967296"),
    (PLAN, "lr: 1e-2", "lr: true",
     "plan.yaml:6: variants.baseline.lr: found true; allowed: a number, above 0, at most 10"),
    (PLAN, "layers: [1, 2]", "layers: [1, two]",
     "plan.yaml:7: variants.student.layers[1]: found 'two'; allowed: a whole number"),
    (PLAN, "student: {arch: mlp, width: 8}", "student: mlp",
     "plan.yaml:7: variants.student.student: found 'mlp'; allowed: a mapping"),
    (PLAN, "threads: [1]", "threads: 1",
     "plan.yaml:10: bench.threads: found 1; allowed: a list of a whole number, at least 1, at most 256, not empty"),
    (PLAN, "recover: {epochs: 1}", "recover: 3",
     "plan.yaml:8: variants.pruned.recover: found 3; allowed: a mapping or null"),
    (SCHEDULE, "promote: false", "promote: no",
     "schedule.yaml:3: promote: found 'no'; allowed: true or false"),
    # out of range
    (PLAN, "val_share: 0.2", "val_share: 1.5",
     "plan.yaml:3: data.val_share: found 1.5; allowed: a number, above 0, below 0.9"),
    (PLAN, "ratio: 0.5", "ratio: 1.0",
     "plan.yaml:8: variants.pruned.ratio: found 1.0; allowed: a number, above 0, below 1"),
    (PLAN, "batch: [1, 32]", "batch: [1, 0]",
     "plan.yaml:10: bench.batch[1]: found 0; allowed: a whole number, at least 1, at most 65536"),
    (PLAN, "lr: 1e-2", "lr: .nan", "plan.yaml:6: variants.baseline.lr: found .nan; allowed: a finite number"),
    (PLAN, "lr: 1e-2", "lr: 1e999", "plan.yaml:6: variants.baseline.lr: found 1e999; allowed: a finite number"),
    (PLAN, "technique: quantize}", "technique: quantize, scheme: statik}",
     "plan.yaml:9: variants.student_int8.scheme: found 'statik'; allowed: static, dynamic; did you mean 'static'?"),
    (ROLLOUT, "max_replicas: 4", "max_replicas: 0",
     "rollout.yaml:4: scaling.max_replicas: found 0; allowed: a whole number, at least 1"),
    (ROLLOUT, "min_replicas: 1", "min_replicas: 9",
     "rollout.yaml:2: scaling: found these values together; allowed: max_replicas of at least min_replicas, 9"),
    (ROLLOUT, "max_replicas: 4", "max_replicas: 4\nstages: [0.5, 0.1]",
     "rollout.yaml: found these values together; allowed: stages that rise"),
    (ROLLOUT, "max_replicas: 4", "max_replicas: 4\njudge: {fast_disagreement: 0.01}",
     "rollout.yaml:5: judge: found these values together; allowed: fast_disagreement above disagreement, 0.02"),
    (ROLLOUT, "max_replicas: 4", "max_replicas: 4\nnotify: {webhook: 'ftp://a'}",
     "rollout.yaml:5: notify.webhook: found 'ftp://a'; allowed: text, matching ^(https?://.+)?$"),
    (EXPECT, "0.5", "0.5\nclass_share_min: 0.6",
     "expectations.yaml: found these values together; allowed: class_share_max of at least class_share_min, 0.6"),
    (SCHEDULE, "0 2 * * *", "0 2 * *",
     "schedule.yaml:1: cron: found '0 2 * *'; "
     'allowed: five fields (minute, hour, day, month, weekday), as in "0 2 * * *"'),
    (SCHEDULE, "0 2 * * *", "0 25 * * *",
     "schedule.yaml:1: cron: found '0 25 * * *'; allowed: a cron expression, as in \"0 2 * * *\" (Bad hour)"),
    (SCHEDULE, "0 2 * * *", "0 2 30 2 *",
     "schedule.yaml:1: cron: found '0 2 30 2 *'; "
     'allowed: a cron expression, as in "0 2 * * *" (Bad day-of-month)'),
    (SCHEDULE, "UTC", "Europe/Amsterdm",
     "schedule.yaml:2: timezone: found 'Europe/Amsterdm'; allowed: an IANA name such as UTC or Europe/Amsterdam; "
     "did you mean 'Europe/Amsterdam'?"),
    (SCHEDULE, "timezone: UTC", "timezone: ../../etc",
     "schedule.yaml:2: timezone: found '../../etc'; allowed: an IANA name such as UTC or Europe/Amsterdam"),
    # YAML itself
    (PLAN, "threads: 1\n", "threads: 1\nseed: 8\n",
     "plan.yaml:3: seed: found the same key twice, first on line 1; allowed: each key once"),
    (PLAN, "epochs: 3, lr", "epochs: 3, epochs: 4, lr",
     "plan.yaml:6: variants.baseline.epochs: found the same key twice, first on line 6; allowed: each key once"),
    (PLAN, "threads: 1\n", "threads: 1: 2\n",
     "plan.yaml:2:11: found a syntax error (mapping values are not allowed here); allowed: YAML"),
    (PLAN, "[1, 32]}", "[1, 32}",
     "plan.yaml:10:36: found a syntax error (while parsing a flow sequence, expected ',' or ']', but got '}'); "
     "allowed: YAML"),
    (PLAN, "seed: 7", "seed: \x07", "plan.yaml:1:7: found the character #x0007; allowed: printable text"),
    (PLAN, "seed: 7", "seed: !!python/object:os.system 7",
     "plan.yaml:1: seed: found 7; allowed: text or a number, without a tag"),
    (PLAN, "seed: 7", "seed: 7\n1: 2", "plan.yaml:2: 1: found a key that is not text; allowed: a word"),
    (PLAN, "seed: 7", 'seed: "\\ud800"', "plan.yaml:1: seed: found \\ud800; allowed: text or a number, without a tag"),
    (PLAN, "seed: 7\n", "seed: 7\n--- \n",
     "plan.yaml:2:1: found a syntax error (expected a single document in the stream, but found another document); "
     "allowed: YAML"),
]  # fmt: skip


@pytest.mark.parametrize(("file", "old", "new", "line"), CASES, ids=[f"{c[0]}-{c[2]!r:.40}" for c in CASES])
def test_one_mistake_gives_its_one_line(params: Path, file: str, old: str, new: str, line: str) -> None:
    text = (params / file).read_text()
    assert old in text
    (params / file).write_text(text.replace(old, new, 1))
    with pytest.raises(PlanError) as caught:
        load()
    told = str(caught.value).splitlines()
    # A name that is gone makes its children and the reference wrong as well; the planted mistake must be among them.
    assert f"params/{line}" in told
    assert len(told) == 1 or {"student_int8:", "from: data", "student: mlp"} & {old, new}, told


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"", "found an empty file; allowed: a YAML mapping; `{}` where every key may be left out"),
        (b"# nothing yet\n", "found an empty file; allowed: a YAML mapping; `{}` where every key may be left out"),
        (b"seed: 1\nx: \xff\n", "2:4: found the byte 0xff; allowed: UTF-8 text"),
        (b"- 1\n", "1: found [1]; allowed: a mapping of keys to values"),
        (b"null\n", "1: found null; allowed: a mapping of keys to values"),
        (b"&a {b: *a}", "found far too many values; allowed: 100000 values, nested at most 40 deep"),
        (b"[" * 5000, "found text that YAML cannot hold (RecursionError); allowed: YAML, nested at most 40 deep"),
    ],
)
@pytest.mark.parametrize("file", ["plan.yaml", "schedule.yaml", "smoke.yaml"])
def test_a_file_that_is_no_mapping(params: Path, file: str, content: bytes, line: str) -> None:
    (params / file).write_bytes(content)
    with pytest.raises(PlanError) as caught:
        load()
    colon = ":" if line[0].isdigit() else ": "
    assert str(caught.value) == f"params/{file}{colon}{line}"


def test_aliases_of_aliases_end_early(params: Path) -> None:
    levels = "\n".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12))
    (params / "plan.yaml").write_text(f"a0: &a0 1\n{levels}\n")
    with pytest.raises(PlanError, match="far too many values"):
        load()


@pytest.mark.parametrize("variants", ["{}", "null", "[]"])
def test_no_variants(params: Path, variants: str) -> None:
    text = (params / "plan.yaml").read_text()
    start, end = text.index("variants:"), text.index("bench:")
    (params / "plan.yaml").write_text(f"{text[:start]}variants: {variants}\n{text[end:]}")
    with pytest.raises(PlanError, match=r"^params/plan.yaml:5: variants: found .*; allowed: .*at least two rows"):
        load()


def test_missing_files(params: Path) -> None:
    (params / "rollout.yaml").rename(params / "rolout.yaml")
    with pytest.raises(PlanError) as caught:
        load()
    want = "params/rollout.yaml: found no such file; allowed: a YAML file of this name; did you mean 'rolout.yaml'?"
    assert str(caught.value) == want
    with pytest.raises(PlanError, match=r"^elsewhere: found no such folder"):
        load(Path("elsewhere"))
    (params / "rollout.yaml").mkdir()
    with pytest.raises(PlanError, match=r"rollout.yaml: found a file that cannot be read \(Is a directory\)"):
        load()


def test_all_mistakes_in_all_files_come_out_together_in_order(params: Path) -> None:
    changes = {
        "plan.yaml": [("seed: 7", "seed: -1"), ("distill", "distil"), ("ratio: 0.5", "ratio: 2"), ("mlp", "mpl")],
        "expectations.yaml": [("train: 5", "train: 0")],
        "rollout.yaml": [("0.1", "1.1")],
        "promotion.yaml": [("accuracy_drop", "acuracy_drop")],
        "schedule.yaml": [("0 2 * * *", "nightly"), ("UTC", "Mars")],
    }
    for file, edits in changes.items():
        text = (params / file).read_text()
        for old, new in edits:
            text = text.replace(old, new, 1)
        (params / file).write_text(text)
    (params / "smoke.yaml").write_text((params / "plan.yaml").read_text().replace("distil,", "distill,"))
    with pytest.raises(PlanError) as caught:
        load()
    places = [line.split(": found")[0].removeprefix("params/") for line in str(caught.value).splitlines()]
    assert places == [
        "plan.yaml:1: seed",
        "plan.yaml:7: variants.student.technique",  # whose the other keys are is not known
        "plan.yaml:8: variants.pruned.ratio",
        "expectations.yaml:1: min_rows.train",
        "rollout.yaml:1: treatment_share",
        "promotion.yaml:1: at_most.acuracy_drop",
        "schedule.yaml:1: cron",
        "schedule.yaml:2: timezone",
        "smoke.yaml:1: seed",
        "smoke.yaml:7: variants.student.student.arch",
        "smoke.yaml:8: variants.pruned.ratio",
    ]


def test_two_loops_and_a_row_that_hangs_from_one(params: Path) -> None:
    row = "{{from: {}, technique: train, epochs: 1}}"
    tree = {"ok": "data", "t": "b", "a": "b", "b": "c", "c": "a", "x": "y", "y": "x"}
    rows = "".join(f"  {name}: {row.format(parent)}\n" for name, parent in tree.items())
    text = (params / "plan.yaml").read_text().replace("reference: baseline", "reference: ok")
    (params / "plan.yaml").write_text(text[: text.index("  baseline")] + rows + text[text.index("bench:") :])
    with pytest.raises(PlanError) as caught:
        load()
    assert str(caught.value).splitlines() == [
        "params/plan.yaml:8: variants.a.from: found a loop: a -> b -> c -> a; allowed: a chain that ends at 'data'",
        "params/plan.yaml:11: variants.x.from: found a loop: x -> y -> x; allowed: a chain that ends at 'data'",
    ]
