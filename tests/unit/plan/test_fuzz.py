"""Whatever the bytes are, the gate says PlanError or lets through; it never breaks."""

import copy
from pathlib import Path
from typing import Any

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks.plan import PlanError, Settings, load
from tests.unit.plan.conftest import FILES

quick = settings(
    max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
yaml_ish = st.text(st.sampled_from("abfn01.e-+_: {}[],&*!%#?|>'\"\\uUx\t\n~<=@\ud7ffé"), max_size=60)
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**30), 10**30),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(["data", "baseline", "student", "train", "distill", "quantize", "mlp", "digits"]),
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(scalars, inner, max_size=3)),
    max_leaves=6,
)


def survives(folder: Path, file: str, content: bytes) -> None:
    for name, text in FILES.items():
        (folder / name).write_bytes(content if name == file else text.encode())
    try:
        assert isinstance(load(folder), Settings)
    except PlanError as e:
        for line in str(e).split("\n"):
            assert line.startswith(f"{folder}/") and ": found " in line and "; allowed: " in line, line
            assert line.isprintable()


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, item in inner for place in places(item, (*path, key)))]


@quick
@given(st.sampled_from(sorted(FILES)), st.binary(max_size=40))
def test_any_bytes(params: Path, file: str, content: bytes) -> None:
    survives(params, file, content)


@quick
@given(st.sampled_from(sorted(FILES)), yaml_ish, st.data())
def test_any_text_put_anywhere(params: Path, file: str, text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(FILES[file])))
    end = data.draw(st.integers(start, min(len(FILES[file]), start + 20)))
    survives(params, file, (FILES[file][:start] + text + FILES[file][end:]).encode())


@quick
@given(st.sampled_from(sorted(FILES)), st.data())
def test_any_value_put_anywhere(params: Path, file: str, data: st.DataObject) -> None:
    content = copy.deepcopy(yaml.safe_load(FILES[file]))
    for _ in range(data.draw(st.integers(1, 3))):
        path = data.draw(st.sampled_from(places(content)))
        value, inner = data.draw(values), content
        for key in path[:-1]:
            inner = inner[key]
        action = data.draw(st.sampled_from(["set", "drop", "add"]))
        if not path:
            continue
        if action == "drop":
            del inner[path[-1]]
        elif action == "add" and isinstance(inner, dict):
            inner[data.draw(scalars)] = value
        else:
            inner[path[-1]] = value
    survives(params, file, yaml.dump(content, allow_unicode=True).encode())
