"""The step `autoscale`: results/autoscale/, from what `stillroom capacity` measured, else from params/rollout.yaml.

By hand, and by `stillroom capacity` itself. results/package/autoscale/ holds the same files before any measurement, for
a package must not depend on the machine that it was made on.
"""

from __future__ import annotations

from tasks.capacity.levels import CAPACITY, Capacity
from tasks.capacity.sizing import measured
from tasks.core import artifact
from tasks.core.errors import ArtifactError
from tasks.deploy.files import write_autoscaling
from tasks.plan.schema import Settings
from tasks.plan.sizing import planned

FOLDER = artifact.RESULTS / "autoscale"


def run(settings: Settings) -> None:
    """Write the files and say what they are made from; ArtifactError when the measurement is of another set-up."""
    sizing = planned(settings.rollout)
    if CAPACITY.exists():
        capacity = artifact.read_json(CAPACITY, Capacity)
        asked = (settings.rollout.workers, settings.rollout.threads)
        if (capacity.workers, capacity.threads) != asked:
            raise ArtifactError(
                f"{CAPACITY}: measured with {capacity.workers} workers of {capacity.threads} threads;"
                f" params/rollout.yaml asks for {asked[0]} of {asked[1]}; run `stillroom capacity` again"
            )
        sizing = measured(sizing, capacity)
    write_autoscaling(FOLDER, sizing)
    print(f"autoscale: {FOLDER}\n{sizing.origin}")
