"""The folders of plug-ins, which are their own registry: a name in the plan is a file in a folder."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any, Final, Literal, get_args, get_type_hints

from pydantic import create_model
from pydantic.errors import PydanticUserError

from tasks.core.contract import Form, Params, Start
from tasks.core.errors import PlanError, nearest
from tasks.core.frozen import Frozen

Kind = Literal["techniques", "models", "sources"]
MUST_HAVE: Final[dict[Kind, tuple[str, ...]]] = {
    "techniques": ("Params", "TAKES", "GIVES", "apply"),
    "models": ("build",),
    "sources": ("load",),
}
GIVEN: Final[dict[str, tuple[str, ...]]] = {
    "build": ("shape", "classes", "vocab"),
    "load": (),
}  # by the steps, not by the plan


def names(kind: Kind) -> tuple[str, ...]:
    """The plug-ins in tasks/<kind>/, sorted; a file that starts with _ is none."""
    folder = importlib.import_module(f"tasks.{kind}").__path__
    found = (module.name for module in pkgutil.iter_modules(folder) if not module.ispkg)
    return tuple(sorted(name for name in found if not name.startswith("_")))


def plugin(kind: Kind, name: str) -> ModuleType:
    """The plug-in's module; PlanError when there is none of this name, or it is not what its folder holds."""
    known = names(kind)
    if name not in known:
        raise PlanError(f"tasks/{kind}: found no {name!r}; allowed: {', '.join(known)}{nearest(name, known)}")
    module = importlib.import_module(f"tasks.{kind}.{name}")
    lacking = [part for part in MUST_HAVE[kind] if not hasattr(module, part)]
    if lacking:
        wanted = ", ".join(MUST_HAVE[kind])
        raise PlanError(f"tasks/{kind}/{name}.py: found no {', '.join(lacking)}; allowed: a module with {wanted}")
    if kind == "techniques":
        for form, allowed in ((module.TAKES, get_args(Start)), (module.GIVES, get_args(Form))):
            if form not in allowed:
                raise PlanError(f"tasks/{kind}/{name}.py: found the form {form!r}; allowed: {', '.join(allowed)}")
        if not (isinstance(module.Params, type) and issubclass(module.Params, Params)):
            raise PlanError(f"tasks/{kind}/{name}.py: found Params; allowed: a subclass of tasks.core.contract.Params")
    return module


def own_keys(function: Callable[..., Any]) -> type[Frozen]:
    """The keyword-only parameters of a plug-in's `build` or `load`, less what the steps give it, as a strict model.

    Raises PlanError, with the file, when a parameter is not keyword-only or its annotation says nothing.
    """
    where = f"{function.__module__.replace('.', '/')}.py: {function.__name__}()"
    parameters = {
        name: parameter
        for name, parameter in inspect.signature(function).parameters.items()
        if name not in GIVEN.get(function.__name__, ())
    }
    for name, parameter in parameters.items():
        if parameter.kind is not parameter.KEYWORD_ONLY or parameter.annotation is parameter.empty:
            raise PlanError(f"{where}: found {parameter}; allowed: keyword-only and annotated, as in `*, {name}: int`")
    # The return type and what the steps give may name torch, which is not imported here: resolve the rest alone.
    wanted = SimpleNamespace(__annotations__={name: function.__annotations__[name] for name in parameters})
    try:
        hints = get_type_hints(wanted, globalns=getattr(function, "__globals__", {}), include_extras=True)
        fields: dict[str, Any] = {
            name: (hints[name], ... if parameter.default is parameter.empty else parameter.default)
            for name, parameter in parameters.items()
        }
        return create_model(function.__name__, __base__=Frozen, __module__=function.__module__, **fields)
    except (NameError, PydanticUserError) as e:
        raise PlanError(f"{where}: found {e}; allowed: annotations that pydantic knows, imported at the top") from None
