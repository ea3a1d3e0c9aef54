"""The nightly loop: pull data, compress, certify, promote behind the gates, see it served, watch it on its way up.

`stillroom schedule` deploys this flow (flows/schedule.py); a worker of the pool `stillroom` runs it in the checkout:
at night, when the live service reports drift, or now by `prefect deployment run retrain/nightly`. Data is validated by
`prepare` before it is used. Only what changed is computed: DVC remembers the rest. Whatever fails ends the run there:
what was served stays. Every task is tried again where it may pass, which is safe: `pull` fetches what is not there yet,
`certify` and `watch` only read, `promote` and `deploy` find done what an earlier try did; what a gate or the live
evidence refused is not asked a second time. The flow itself is not run again: the next night's goes on from its cache.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from prefect import flow, runtime, tags, task
from prefect.cache_policies import NO_CACHE

from flows.notify import on_end
from flows.step import broke_down, step
from flows.sweep import driver_tag

SERVED_WITHIN_S = 120.0  # the server looks for a new champion every few seconds, and downloads it


@task(cache_policy=NO_CACHE, persist_result=False, task_run_name="pull", retries=3, retry_delay_seconds=[10, 60, 300])
def pull() -> str:
    """Bring in the newest raw data that DVC tracks under data/."""
    from flows.pull import pull as fetch

    return fetch()


@task(cache_policy=NO_CACHE, persist_result=False, task_run_name="certify", retries=2, retry_delay_seconds=5)
def certify() -> str:
    """Put the chosen variant's certificate on the run's page; its name."""
    from prefect.artifacts import create_markdown_artifact

    from flows.certificate import certificate

    chosen, text = certificate()
    create_markdown_artifact(text, key="certificate", description=f"{chosen}, the variant chosen by this run")
    return chosen


@task(
    cache_policy=NO_CACHE,
    persist_result=False,
    task_run_name="promote",
    retries=2,
    retry_delay_seconds=[10, 60],
    retry_condition_fn=broke_down,
)
def promote() -> str:
    """Move the champion alias to the challenger if every gate of promotion.yaml holds."""
    return step("promote")


@task(
    cache_policy=NO_CACHE,
    persist_result=False,
    task_run_name="deploy",
    retries=2,
    retry_delay_seconds=[10, 60],
    retry_condition_fn=broke_down,
)
def deploy() -> str:
    """See the champion's package whole, and served; its version. The service follows the alias by itself."""
    from flows.watch import until_served

    version = Path(step("fetch").splitlines()[-1]).name
    print(until_served(version, SERVED_WITHIN_S))
    return version


def unless_taken_back(task: Any, run: Any, state: Any) -> bool:
    """Whether the watch failed for a reason that may pass: a version that was taken back is what it was to find."""
    return "RolledBackError" not in f"{type(state.data).__name__} {state.message}"


@task(
    cache_policy=NO_CACHE,
    persist_result=False,
    task_run_name="watch",
    retries=2,
    retry_delay_seconds=[10, 60],
    retry_condition_fn=unless_taken_back,
)
def watch(version: str, for_s: float) -> str:
    """Follow the version until it has arrived or was taken back by the live evidence."""
    from flows.watch import watch as follow

    return follow(version, for_s)


def alive() -> None:
    """Tag this run with its process, so that the next run's sweep can tell whether it was killed."""
    from prefect.client.orchestration import get_client

    run = runtime.flow_run.id
    if run is not None:
        with get_client(sync_client=True) as client:
            client.update_flow_run(run, tags=[*runtime.flow_run.tags, driver_tag()])


told = on_end(lambda run: str(run.parameters.get("webhook") or ""))


@flow(
    name="retrain",
    retries=0,
    persist_result=False,
    log_prints=True,
    on_completion=[told],
    on_failure=[told],
    on_crashed=[told],
    on_cancellation=[told],
)
def retrain(workers: int = 2, promote_winner: bool = False, watch_s: float = 0, webhook: str = "") -> str:
    """Bring the plan up to date; then promote the winner if asked to, and watch its rollout for `watch_s` seconds.

    Args:
        workers: Steps side by side.
        promote_winner: Move the champion alias when every gate holds.
        watch_s: How long to follow a new champion in the live service; 0: the service is not asked.
        webhook: Who is told how the run ended; empty: nobody.
    """
    from flows.compress import compress  # here, so that registering the deployment does not load the plan's plug-ins

    alive()
    print(pull())
    with tags(driver_tag()):
        compress(workers=workers)
    chosen = certify()
    if not promote_winner:
        return f"{chosen} is registered as challenger; `stillroom promote` moves the champion alias when the gates hold"
    said = promote()
    print(said)
    if not watch_s:
        return said.splitlines()[-1]
    return watch(deploy(), watch_s)
