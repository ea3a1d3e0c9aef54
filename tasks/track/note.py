"""What a reviewer reads first in MLflow: the parent run's page and a version's description, in Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from tasks.core.results import Summary
from tasks.evidence import verdict
from tasks.evidence.gates import Gate
from tasks.evidence.harm import sentences
from tasks.track import steps
from tasks.track.evidence import Row
from tasks.track.registry import MODEL, Version
from tasks.track.views import charts_key

TRAINING = "workflowType=machine_learning"  # MLflow's pages for models: the verdict on top, no chats and prompts beside


class Logged(NamedTuple):
    """A variant's nested run, and where its ONNX model lies; `reused`: an earlier run had logged the very same."""

    run_id: str
    model_uri: str
    reused: bool


class Links(NamedTuple):
    """Where things are in MLflow's pages."""

    experiment_id: str
    parent_id: str

    def run(self, run_id: str) -> str:
        """A run's page."""
        return f"{self._path(run_id)}?{TRAINING}"

    def charts(self, runs: Sequence[str]) -> str:
        """The charts that compare these runs, once `save_charts` has kept their view."""
        where = f"#/experiments/{self.experiment_id}/runs?{TRAINING}"
        return f"{where}&viewStateShareKey={charts_key(runs)}&compareRunsMode=CHART"

    def artifact(self, path: str) -> str:
        """A file of the parent run."""
        return f"{self._path(self.parent_id)}/artifacts/{path}?{TRAINING}"

    def _path(self, run_id: str) -> str:
        return f"#/experiments/{self.experiment_id}/runs/{run_id}"


def parent_note(
    summary: Summary,
    rows: Mapping[str, Row],
    logged: Mapping[str, Logged],
    gates: Sequence[Gate] | str,
    version: Version,
    links: Links,
    figures: Mapping[str, str],
) -> str:
    """Verdict, alarms, cautions, gates, links (to `figures` by their titles), the table, what each step did."""
    chosen, reference = rows[summary.chosen], rows[summary.reference]
    parts = [f"## {headline(chosen, reference)}", ""]
    if chosen is not reference:
        parts += [f"- {told}" for told in sentences(chosen.evaluation.harm)]
    parts += [f"- To weigh before shipping: {told}" for told in summary.cautions]
    parts += [f"- {gates_told(gates)}"]
    reused = [name for name, each in logged.items() if each.reused]
    if reused:
        told = "every variant" if len(reused) == len(logged) else ", ".join(reused)
        parts += [f"- Unchanged since an earlier run, and not logged again: {told} (linked below)"]
    here = [
        f"[version {version.number}](#/models/{MODEL}/versions/{version.number})",
        f"[the page]({links.artifact('results/report.html')})",
        f"[certificate]({links.artifact('results/bench.json')})",
        f"[data checks]({links.artifact('validation/validation.html')})",
        f"[plan]({links.artifact('params/plan.yaml')})",
    ]
    drawn = [f"[all variants of this run]({links.charts([each.run_id for each in logged.values()])})"]
    drawn += [f"[{title}]({links.artifact(path)})" for title, path in figures.items()]
    parts += ["", " · ".join(here), "", f"Charts: {' · '.join(drawn)}", ""]
    parts += [table(summary, logged, links), steps.markdown(summary)]
    return "\n".join(parts)


def headline(chosen: Row, reference: Row) -> str:
    """The verdict in one line, claiming what the intervals support."""
    mine, theirs = chosen.evaluation, reference.evaluation
    size, speed = verdict.size(mine.size_bytes, theirs.size_bytes), verdict.speed(chosen.timing.ratio)
    return verdict.headline(chosen.name, reference.name, (size, speed, verdict.accuracy(mine, theirs)), mine.harm)


def gates_told(gates: Sequence[Gate] | str) -> str:
    """What the gates of promotion.yaml say of the chosen variant, now."""
    if isinstance(gates, str):
        return f"Gates: {gates}"
    if not gates:
        return "Gates: params/promotion.yaml has none"
    failed = [f"{g.name} {g.found:.4g}, allowed {g.allowed}" for g in gates if not g.holds]
    return f"Gates: all {len(gates)} hold" if not failed else f"Gates: not promotable: {'; '.join(failed)}"


def table(summary: Summary, logged: Mapping[str, Logged], links: Links) -> str:
    """Every variant of this run, also those that an earlier run had logged."""
    lines = [
        f"Accuracy and its drop, in points, are on `test`; latency is{summary.on_engine} at {summary.threads} thread(s)"
        f" and batch {summary.batch}, over that of `{summary.reference}`: below 1 is faster.",
        "",
        "| variant | from | technique | kB | accuracy | drop | latency ratio (95 %) | front | |",
        "| --- | --- | --- | ---: | ---: | ---: | ---: | --- | --- |",
    ]
    for row in summary.rows:
        ratio = row.latency_ratio
        lines.append(
            f"| [{row.variant}]({links.run(logged[row.variant].run_id)}) | {row.parent} | {row.technique}"
            f" | {row.size_bytes / 1e3:,.1f} | {row.accuracy:.2%} | {100 * row.accuracy_drop:+.2f}"
            f" | {ratio.value:.2f} [{ratio.low:.2f}, {ratio.high:.2f}]"
            f" | {'yes' if row.on_front else 'no'} | {'**chosen**' if row.chosen else ''} |"
        )
    return "\n".join(lines)


def description(row: Row, reference: Row, gates: Sequence[Gate] | str, about: Mapping[str, str], run: str) -> str:
    """Of a registered version: what it is, what it is worth against the reference, and where it came from."""
    ours, drop = row.evaluation, row.evaluation.harm.accuracy_drop
    ratio, size_mb = row.timing.ratio, ours.size_bytes / 1e6
    return "\n".join(
        (
            f"**{row.name}**: {row.card.technique} of {row.card.parent}. {headline(row, reference)}.",
            "",
            f"All of it as of its registration, by [this run]({run}); later runs of this model have their own figures.",
            "",
            f"- accuracy on test {ours.test.accuracy:.2%}, drop {100 * drop.value:.2f} points"
            f" (95 % interval {100 * drop.low:.2f} to {100 * drop.high:.2f})",
            f"- size {size_mb:.3f} MB; latency ratio {ratio.value:.3f} [{ratio.low:.3f}, {ratio.high:.3f}]"
            f" at {row.timing.point}",
            f"- processors without VNNI: {row.portability}{paid(row, reference)}",
            f"- {gates_told(gates)}",
            f"- data {about['data.digest']}, commit {about['git.commit']}",
        )
    )


def paid(row: Row, reference: Row) -> str:
    """What a million requests cost, beside the reference's, where both are known."""
    if not (row.worth and reference.worth):
        return ""
    mine, theirs = row.worth.cost_per_million, reference.worth.cost_per_million
    return f"; a million requests cost {mine:.3g} {row.worth.currency}, with {reference.name} {theirs:.3g}"
