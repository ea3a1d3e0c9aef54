"""The folder of autoscaling files: one platform or one choice, one file."""

from __future__ import annotations

from pathlib import Path

from tasks.deploy.autoscale import Sizing
from tasks.deploy.bentocloud import bentocloud
from tasks.deploy.hpa import hpa
from tasks.deploy.keda import keda
from tasks.deploy.keeper import keeper
from tasks.deploy.kubernetes import kubernetes

WRITERS = {"bentocloud": bentocloud, "kubernetes": kubernetes, "hpa": hpa, "keda": keda, "keeper": keeper}


def write_autoscaling(folder: Path, sizing: Sizing) -> None:
    """All of them, or none: PlanError comes before the first is written."""
    texts = {name: write(sizing) for name, write in WRITERS.items()}
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
