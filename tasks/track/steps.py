"""What each step did, for MLflow: one table of every step of every leaf, and the way to the chosen one in Markdown."""

from __future__ import annotations

from tasks.core.results import Summary
from tasks.evidence.waterfall import Step, waterfall, waterfalls

TABLE = "waterfall.json"
_NAMES = {
    "accuracy": "test_accuracy_change",
    "accuracy_low": "test_accuracy_change_low",
    "accuracy_high": "test_accuracy_change_high",
    "accuracy_share": "test_accuracy_share",
    "size_bytes": "size_bytes_change",
    "size_share": "size_bytes_share",
    "latency_share": "latency_ratio_share",
    "value": "step_latency_ratio",
    "low": "step_latency_ratio_low",
    "high": "step_latency_ratio_high",
}


def columns(summary: Summary) -> dict[str, list[str | float | None]]:
    """A column a name, a line a step: what `mlflow.log_table` takes. No step: no line."""
    lines = [_line(leaf.variant, n, step) for leaf in waterfalls(summary).leaves for n, step in enumerate(leaf.steps)]
    return {name: [line[name] for line in lines] for name in lines[0]} if lines else {}


def log_steps(summary: Summary) -> None:
    """Log the table to the active run, where there is a variant beside the reference."""
    import mlflow

    if table := columns(summary):
        mlflow.log_table(table, TABLE)


def markdown(summary: Summary) -> str:
    """The steps from the reference to the chosen variant; empty where that is the reference."""
    steps = waterfall(summary, summary.chosen).steps
    if len(steps) == 1:
        return ""
    lines = [
        "",
        f"### What each step to `{summary.chosen}` did",
        "",
        "| step | technique | accuracy, points (95 %) | kB | latency over the step before (95 %) |",
        "| --- | --- | ---: | ---: | ---: |",
    ]
    for step in steps:
        if (change := step.change) is None:
            lines.append(
                f"| {step.variant} | {step.technique} | {step.accuracy:.2%} | {step.size_bytes / 1e3:,.1f} | |"
            )
            continue
        latency, paired = change.latency, change.accuracy_interval
        told = "" if change.latency_significant else ", no significant change"
        lines.append(
            f"| {step.variant} | {step.technique} | {100 * change.accuracy:+.2f}"
            f" [{100 * paired.low:+.2f}, {100 * paired.high:+.2f}] | {change.size_bytes / 1e3:+,.1f}"
            f" | {latency.value:.2f} [{latency.low:.2f}, {latency.high:.2f}]{told} |"
        )
    return "\n".join(lines)


def _line(leaf: str, number: int, step: Step) -> dict[str, str | float | None]:
    """One step; the changes of the first, the reference, are None."""
    line: dict[str, str | float | None] = {
        "leaf": leaf,
        "step": number,
        "variant": step.variant,
        "technique": step.technique,
        "test_accuracy": step.accuracy,
        "size_bytes": step.size_bytes,
        "latency_ratio": step.latency_ratio.value,
        **dict.fromkeys(_NAMES.values()),
    }
    if step.change is None:
        return line
    latency, paired = step.change.latency, step.change.accuracy_interval
    told = step.change.model_dump(include={"accuracy", "accuracy_share", "size_bytes", "size_share", "latency_share"})
    ends = {"accuracy_low": paired.low, "accuracy_high": paired.high}
    ratios = {"value": latency.value, "low": latency.low, "high": latency.high}
    return line | {_NAMES[key]: value for key, value in (told | ends | ratios).items()}
