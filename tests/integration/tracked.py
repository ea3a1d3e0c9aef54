"""A hand-written project of three rows, as the stages leave it behind: what `track` reads."""

import hashlib
import json
from pathlib import Path

import onnx
from onnx import TensorProto, helper

from tasks.core import artifact, last_run
from tasks.core.contract import Card, Params
from tasks.core.results import (
    Candidate,
    Chosen,
    Evaluation,
    Interval,
    Machine,
    PackageManifest,
    Quality,
    Summary,
    SummaryRow,
)
from tasks.plan.schema import (
    BenchBlock,
    ChooseBlock,
    DataBlock,
    Expectations,
    ModelBlock,
    Plan,
    Promotion,
    Rollout,
    Schedule,
    Settings,
    Variant,
)
from tasks.track import provenance
from tests.unit import fake_evidence
from tests.unit.fake_evidence import harm

ROWS = {"baseline": ("data", "train"), "small": ("baseline", "distill"), "small_int8": ("small", "quantize")}
WEIGH = "The machine was not quiet while it was timed: planted."
GATES = Promotion(
    at_most={"accuracy_drop": 0.02, "worst_class_drop": 0.1, "size_mb": 1.0, "latency_ratio": 0.9},
    at_least={"agreement": 0.95},
)


def settings(gates: Promotion = GATES) -> Settings:
    rows = {name: Variant(name=name, parent=p, technique=t, params=Params()) for name, (p, t) in ROWS.items()}
    plan = Plan(
        seed=7,
        threads=1,
        bench=BenchBlock(),
        data=DataBlock(source="digits"),
        model=ModelBlock(arch="mlp", params={"width": 32}),
        variants=rows,
        choose=ChooseBlock(reference="baseline"),
    )
    schedule = Schedule(cron="0 2 * * *")
    return Settings(plan=plan, expectations=Expectations(), rollout=Rollout(), promotion=gates, schedule=schedule)


def model(weight: float) -> bytes:
    """A linear model of two features and two classes; `weight` makes its bytes its own."""
    inputs = helper.make_tensor_value_info("features", TensorProto.FLOAT, ["batch", 2])
    outputs = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 2])
    matrix = helper.make_tensor("w", TensorProto.FLOAT, [2, 2], [weight, 0.0, 0.0, weight])
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["features", "w"], ["logits"])], "g", [inputs], [outputs], [matrix]
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    onnx.checker.check_model(made)
    return bytes(made.SerializeToString())


def write(chosen: str = "small", weight: float = 2.0, accuracy: float = 0.97, recall: float = 0.96) -> None:
    """Every file that the stages leave behind, as of a run whose `small` has this weight, accuracy and worst recall."""
    lock = {}
    for number, (name, (parent, technique)) in enumerate(ROWS.items()):
        ours = name == "small"
        body = model(weight if ours else 10.0 + number)
        folder = artifact.variant_folder(name)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "model.onnx").write_bytes(body)
        own = {"epochs": 3, "recover": {"epochs": 1}} if ours else {}
        card = Card(variant=name, parent=parent, technique=technique, form="torch", params=own, facts={})
        artifact.write_json(folder / "card.json", card)
        if name != "small_int8":
            artifact.write_json(
                folder / "model.json", {"arch": {"arch": "mlp", "width": 8 if ours else 32}, "changes": []}
            )
        digest = hashlib.sha256(body).hexdigest()
        classes = {"0": 0.98, "1": recall if ours else 0.98}
        quality = Quality(
            rows=100,
            accuracy=accuracy if ours else 0.98,
            macro_f1=0.97,
            per_class_recall=classes,
            agreement=0.99,
            calibration_error=0.01,
        )
        lost = harm({key: 0.98 - value for key, value in classes.items()}, 0.98 - quality.accuracy)
        report = Evaluation(
            variant=name,
            model_sha256=digest,
            size_bytes=len(body),
            parameters=4,
            macs=4,
            val=quality,
            test=quality,
            harm=lost,
            val_harm=lost,
            marks=fake_evidence.marks(quality.accuracy, 100),
        )
        artifact.write_json(artifact.evaluation_file(name), report)
        lock[f"build@{name}"] = {"cmd": f"python -m tasks build {name}", "outs": [{"sha": digest}]}
    Path("dvc.lock").write_text(json.dumps({"schema": "2.0", "stages": lock}))
    write_joins(chosen)


def write_joins(chosen: str) -> None:
    """results/, and the few other files that the parent run takes along."""
    machine = Machine(cpu="any", flags=(), cores=2, load_before=0, load_after=0, versions={})
    ratios = {name: Interval(value=0.4 + k / 10, low=0.3, high=0.8) for k, name in enumerate(ROWS)}
    same = {"p50_ms": 1.0, "p95_ms": 2.0}
    times = {
        name: tuple(fake_evidence.timing(1, 2, same, b).model_copy(update={"ratio": ratio}) for b in (1, 32))
        for name, ratio in ratios.items()
    }
    artifact.write_json(artifact.BENCH, fake_evidence.certificate(machine, times))
    candidates = {name: Candidate(values={}, gaps={}) for name in ROWS}
    artifact.write_json(
        artifact.CHOSEN,
        Chosen(variant=chosen, reference="baseline", prefer="size_mb", front=(chosen,), candidates=candidates),
    )
    rows = tuple(
        SummaryRow(
            variant=name,
            parent=parent,
            technique=technique,
            size_bytes=1000,
            accuracy=0.97,
            accuracy_drop=0.01,
            drop_interval=Interval(value=0.01, low=-0.01, high=0.03),
            step_change=None if name == "baseline" else Interval(value=-0.01, low=-0.03, high=0.01),
            latency_ratio=ratios[name],
            on_front=True,
            chosen=name == chosen,
        )
        for name, (parent, technique) in ROWS.items()
    )
    summary = Summary(reference="baseline", chosen=chosen, threads=1, batch=1, rows=rows, cautions=(WEIGH,))
    artifact.write_json(artifact.SUMMARY, summary)
    artifact.PAGE.write_text("<p>report</p>")
    for role, name in (("control", "baseline"), ("treatment", chosen)):
        artifact.PACKAGE.mkdir(exist_ok=True)
        (artifact.PACKAGE / f"{role}.onnx").write_bytes((artifact.variant_folder(name) / "model.onnx").read_bytes())
    files = {f"{r}.onnx": provenance.sha256(artifact.PACKAGE / f"{r}.onnx") for r in ("control", "treatment")}
    artifact.write_json(
        artifact.PACKAGE / "manifest.json", PackageManifest(control="baseline", treatment=chosen, files=files)
    )
    artifact.DATA.mkdir(exist_ok=True)
    (artifact.DATA / "validation.html").write_text("<p>valid</p>")


def flow(run_id: str, state: str) -> None:
    """What a Prefect flow run leaves in .stillroom/run.json."""
    stages = {f"{verb}@{name}": {"state": state, "seconds": 1.0} for name in ROWS for verb in ("build", "evaluate")}
    about = {"flow_run_id": run_id, "flow_run_name": f"flow-{run_id}", "flow_run_url": f"http://x/{run_id}"}
    artifact.write_json(last_run.RUN_RECORD, {**about, "stages": stages})
