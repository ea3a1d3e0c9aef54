"""What is asked of Prometheus, by the alert rules and the dashboard alike.

Names are those of serving/metrics.py and, with `keeper` in them, of serving/keeper/exposition.py, on the keeper's port.
"""

from __future__ import annotations

WINDOW = "5m"


def rate(metric: str, by: str = "", where: str = "") -> str:
    """What a counter gains a second, summed over workers and hosts, by some labels."""
    grouped = f" by ({by})" if by else ""
    return f"sum{grouped} (rate({metric}{f'{{{where}}}' if where else ''}[{WINDOW}]))"


def quantile_s(share: float, of: str = "request", by: str = "variant") -> str:
    """A quantile of the time to an answer, or (`of="stage"`) of a part of it, in seconds, by its buckets."""
    buckets = rate(f"stillroom_{of}_duration_seconds_bucket", f"le, {by}")
    return f"histogram_quantile({share:g}, {buckets})"


_HIT = 'outcome="hit"'
_ALL, _ROWS = rate("stillroom_requests_total"), rate("stillroom_shadow_rows_total")


def _outcome(matches: str) -> str:
    return rate("stillroom_shadow_rows_total", where=f'outcome=~"{matches}"')


ERRORS = rate("stillroom_requests_total", where='status=~"5.."') + f" / {_ALL}"
REFUSALS = rate("stillroom_requests_total", where='status=~"4.."') + f" / {_ALL}"
COMPARED = _outcome("agreed|disagreed")
DISAGREEMENT = f"{_outcome('disagreed')} / {COMPARED}"
DIVERGENCE = f"{rate('stillroom_shadow_kl_nats_total')} / {COMPARED}"
DROPPED = f"{_outcome('dropped')} / {_ROWS}"
SHADOW_FAILURES = _outcome("failed")
SHARE = "max(stillroom_treatment_share)"
MODELS = "stillroom_model_info == 1"
FLIPS = rate("stillroom_shadow_flips_total", "label")
OUTCOMES = rate("stillroom_shadow_rows_total", "outcome")
REQUESTS = rate("stillroom_requests_total", "variant")
IN_FLIGHT = "sum(stillroom_requests_in_flight)"
WAITING = "sum(stillroom_shadow_queue_rows)"
BUSY = f"sum(rate(stillroom_process_cpu_seconds[{WINDOW}]))"
RESIDENT = "sum(stillroom_process_resident_bytes)"
STAGES_P95_S = quantile_s(0.95, of="stage", by="variant, stage")
RIGHT = (
    rate("stillroom_feedback_rows_total", "variant", 'outcome="right"')
    + f" / {rate('stillroom_feedback_rows_total', 'variant')}"
)
PSI = "max by (feature) (stillroom_keeper_drift_psi)"
KS = "max by (feature) (stillroom_keeper_drift_ks)"
STAGE = "max(stillroom_keeper_stage)"
FOUND_HARM = 'max by (rule) (stillroom_keeper_finding{outcome="harm"})'
DECISIONS = "sum by (kind, by) (increase(stillroom_keeper_decisions_total[1h]))"
ROLLED_BACK = 'sum by (by) (increase(stillroom_keeper_decisions_total{kind="rollback"}[15m]))'
WORKERS = "max by (state) (stillroom_keeper_workers)"
LETTERS = "sum by (to, outcome) (increase(stillroom_keeper_notices_total[1h]))"
UNJUDGED_S = "time() - max(stillroom_keeper_judged_timestamp_seconds)"
NO_KEEPER = "absent(stillroom_keeper_judged_timestamp_seconds)"
LOOKUPS = rate("stillroom_cache_lookups_total")
HITS = f"{rate('stillroom_cache_lookups_total', where=_HIT)} / {LOOKUPS}"
