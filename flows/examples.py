"""The example plans under params/examples/, and `stillroom use`, which puts one over params/."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from tasks.core.errors import PlanError, nearest

PARAMS = Path("params")
EXAMPLES = PARAMS / "examples"


def about(name: str) -> str:
    """What the example says of itself: the first comment of its plan that is not for editors."""
    lines = (EXAMPLES / name / "plan.yaml").read_text(encoding="utf-8").splitlines()
    return next((x.removeprefix("# ") for x in lines if x.startswith("# ") and "yaml-language-server" not in x), "")


def names() -> list[str]:
    """The examples of this checkout."""
    return sorted(p.parent.name for p in EXAMPLES.glob("*/plan.yaml"))


def told(name: str | None, *, force: bool, as_json: bool = False) -> str:
    """What `stillroom use` prints: what it wrote, or without a name the examples that there are."""
    if as_json:
        examples = [{"name": example, "about": about(example)} for example in names()]
        found = {"wrote": [str(file) for file in use(name, force=force)]} if name else examples
        return json.dumps(found, indent=2)
    if name is None:
        return "\n".join(f"{example:15} {about(example)}" for example in names())
    return "\n".join(f"wrote {file}" for file in use(name, force=force)) or f"params/ is the example {name} already"


def use(name: str, *, force: bool) -> list[Path]:
    """Copy the files of example `name` over params/; returns those that changed.

    Raises PlanError when there is no such example, or when a file to be replaced is neither an example's nor committed
    and `force` is off: then nothing is written.
    """
    if name not in names():
        raise PlanError(f"example {name!r}: there is none{nearest(name, names())}; allowed: {', '.join(names())}")
    found = {PARAMS / source.name: _adapted(source) for source in sorted((EXAMPLES / name).glob("*.yaml"))}
    changed = {file: text for file, text in found.items() if not file.exists() or file.read_text("utf-8") != text}
    own = [str(file) for file in changed if file.exists() and not force and not _kept_elsewhere(file)]
    if own:
        raise PlanError(
            f"{', '.join(own)}: changed by you and not committed; nothing was written. "
            f"Commit first, or lose the changes with `stillroom use {name} --force`"
        )
    for file, text in changed.items():
        file.write_text(text, encoding="utf-8")
    return list(changed)


def _adapted(source: Path) -> str:
    """The example's text as it reads two folders up, where the schemas are nearer."""
    return source.read_text(encoding="utf-8").replace("../../schemas/", "schemas/")


def _kept_elsewhere(file: Path) -> bool:
    """Whether the file's content can be had again: from an example, or from git."""
    if file.read_text(encoding="utf-8") in (_adapted(source) for source in EXAMPLES.glob(f"*/{file.name}")):
        return True
    tracked = ["git", "ls-files", "--error-unmatch", "--", str(file)]
    unchanged = ["git", "diff", "--quiet", "HEAD", "--", str(file)]
    try:
        return all(subprocess.run(c, capture_output=True, check=False).returncode == 0 for c in (tracked, unchanged))
    except FileNotFoundError:  # no git on this machine
        return False
