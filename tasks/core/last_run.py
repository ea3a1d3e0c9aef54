""".stillroom/run.json: how each stage of the flow run that was last here went, and the energy that was measured."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from tasks.core.artifact import read_json
from tasks.core.frozen import Frozen

RUN_RECORD = Path(".stillroom") / "run.json"


class Energy(Frozen):
    """What the machine took while a run computed; `source` says what counted it: RAPL, or a library and its version."""

    joules: float
    seconds: float
    source: str


class StageRun(Frozen):
    """How one stage of a flow run went: computed, reused, restored, failed or skipped; since when, and how long.

    `computed_s`: how long the stage took when a run here last computed it; 0 when none did; `computed_cpu_s`: how
    long processors worked for it then, null where that was not counted. `computed_j`: its part, by
    seconds, of the energy that was measured of that run; null when none was. `worker`: host and folder of the checkout
    elsewhere that did it in this run; empty when it was the driver's own.
    """

    state: str
    began: float = 0.0
    seconds: float
    computed_s: float = 0.0
    computed_cpu_s: float | None = None
    computed_j: float | None = None
    worker: str = ""


class LastRun(Frozen):
    """The flow run that was last here. Without one, DVC alone drove the stages.

    `energy` is that of the last run whose energy was measured; null where nothing measures it.
    """

    flow_run_id: str = ""
    flow_run_name: str = ""
    flow_run_url: str = ""
    stages: dict[str, StageRun] = Field(default_factory=dict)
    energy: Energy | None = None

    @classmethod
    def read(cls) -> LastRun:
        """The record of the last flow run, or an empty one when no flow ever ran here."""
        return read_json(RUN_RECORD, cls) if RUN_RECORD.exists() else cls()

    def state(self, stage: str) -> str:
        """How a stage went, or `unknown` when no flow ran it."""
        return self.stages[stage].state if stage in self.stages else "unknown"

    def workers(self, row: str) -> dict[str, str]:
        """Tags that name the checkouts elsewhere that built and evaluated a row; none where the driver did."""
        found = {step: self.stages.get(f"{step}@{row}") for step in ("build", "evaluate")}
        return {f"{step}.worker": run.worker for step, run in found.items() if run and run.worker}

    def tags(self) -> dict[str, str]:
        """Tags that name the driver and, where it is Prefect, the flow run."""
        if not self.flow_run_id:
            return {"driver": "dvc"}
        return {
            "driver": "prefect",
            "prefect.flow_run_id": self.flow_run_id,
            "prefect.flow_run_name": self.flow_run_name,
            "prefect.flow_run_url": self.flow_run_url,
        }
