"""A name in the plan is a file in a folder; what the file must offer, and how its signature becomes a block."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tasks.plan import PlanError, load, plugin
from tasks.plan.plugs import names, own_keys


def test_names_are_the_folders_files(plugs: Path) -> None:
    (plugs / "models" / "_draft.py").write_text("")
    (plugs / "models" / "package").mkdir()
    (plugs / "models" / "package" / "__init__.py").write_text("")
    assert names("models") == ("mlp", "small_cnn")
    assert plugin("models", "mlp").__name__ == "tasks.models.mlp"


def test_an_unknown_name_is_told_with_the_folder_and_the_nearest(plugs: Path) -> None:
    with pytest.raises(PlanError) as caught:
        plugin("models", "mpl")
    assert str(caught.value) == "tasks/models: found no 'mpl'; allowed: mlp, small_cnn; did you mean 'mlp'?"
    with pytest.raises(PlanError, match=r"found no '\.\./core/contract'"):
        plugin("models", "../core/contract")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("TAKES = GIVES = 'torch'", "found no Params, apply; allowed: a module with Params, TAKES, GIVES, apply"),
        ("Params = apply = int\nTAKES = GIVES = 'torch'", "found Params; allowed: a subclass of tasks.core.contract"),
        ("from tasks.core.contract import Params\napply = 0\nTAKES = 'torch'\nGIVES = 'tf'", "found the form 'tf'"),
    ],
)
def test_a_file_that_is_no_technique(params: Path, plugs: Path, text: str, told: str) -> None:
    (plugs / "techniques" / "broken.py").write_text(text)
    plan = params / "plan.yaml"
    plan.write_text(plan.read_text().replace("technique: quantize", "technique: broken"))
    with pytest.raises(PlanError, match=told) as caught:
        load()
    assert str(caught.value).startswith("tasks/techniques/broken.py: ")


def positional(width: int = 3) -> None: ...
def unannotated(*, width=3) -> None: ...  # type: ignore[no-untyped-def]
def anything(**rest: int) -> None: ...
def unresolvable(*, width: "Nowhere") -> None: ...  # type: ignore[name-defined]  # noqa: F821


@pytest.mark.parametrize("function", [positional, unannotated, anything, unresolvable])
def test_a_signature_that_says_too_little(function: Callable[..., Any]) -> None:
    with pytest.raises(PlanError, match=rf"test_plugs.py: {function.__name__}\(\): found .*; allowed: "):
        own_keys(function)


def test_a_signature_becomes_a_strict_model_without_what_the_steps_give() -> None:
    def build(*, shape: "Unknown", classes: int, model_width: int, depth: int = 2) -> "Unknown":  # type: ignore[name-defined]  # noqa: F821
        ...

    model = own_keys(build)
    assert list(model.model_fields) == ["model_width", "depth"]
    assert model.model_validate({"model_width": 1}).model_dump() == {"model_width": 1, "depth": 2}
    with pytest.raises(ValueError, match="Extra inputs"):
        model.model_validate({"model_width": 1, "classes": 3})


def test_every_shipped_plugin_is_what_its_folder_holds() -> None:
    for function in [plugin("models", name).build for name in names("models")]:
        own_keys(function)
    for function in [plugin("sources", name).load for name in names("sources")]:
        own_keys(function)
    for name in names("techniques"):
        assert plugin("techniques", name).Params.model_config["frozen"]
