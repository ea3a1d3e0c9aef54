"""The flow's stages are dvc.yaml's stages."""

from pathlib import Path

import pytest

from flows.stages import stages
from tasks import __main__ as seam
from tasks.plan import load


def test_every_stage_comes_after_what_it_needs():
    seen: set[str] = set()
    for stage in stages(load().plan):
        assert seen.issuperset(stage.needs), stage
        seen.add(stage.name)


def test_the_names_and_the_order_are_those_of_dvc_yaml():
    dvc = pytest.importorskip("dvc.repo")
    repo = dvc.Repo()
    graph = repo.index.graph
    ours = {s.name: s for s in stages(load().plan)}
    assert {s.addressing for s in graph} == set(ours)

    def before(name: str) -> set[str]:
        return set(ours[name].needs).union(*(before(n) for n in ours[name].needs))

    for stage in graph:
        missing = {s.addressing for s in graph.successors(stage)} - before(stage.addressing)
        assert not missing, f"the flow may run {stage.addressing} before {missing}"


def test_stage_names_are_step_modules():
    steps = {stage.name.split("@")[0] for stage in stages(load().plan)}
    assert steps == {*seam.PER_VARIANT, *seam.ONCE}
    for step in (*steps, *seam.BY_HAND):
        assert Path(f"tasks/{step}.py").exists() or Path(f"tasks/{step}/__init__.py").exists()
