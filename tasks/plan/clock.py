"""When a schedule fires: text that must be a cron expression, and text that must be a time zone."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator

from tasks.core.errors import nearest


def _cron(text: str) -> str:
    from cronsim import CronSim, CronSimError

    if len(text.split()) != 5:
        raise ValueError('five fields (minute, hour, day, month, weekday), as in "0 2 * * *"')
    try:
        CronSim(text, datetime(2024, 1, 1))
    except CronSimError as e:
        raise ValueError(f'a cron expression, as in "0 2 * * *" ({e})') from None
    return text


def _timezone(text: str) -> str:
    from zoneinfo import ZoneInfo, available_timezones

    try:
        ZoneInfo(text)  # quick; the list of all names is only for those that have a doubtful one
        known = text[:1].isupper() or text in available_timezones()
    except (ValueError, OSError, KeyError):  # ZoneInfoNotFoundError is a KeyError, a folder's name an OSError
        known = False
    if not known:
        raise ValueError(f"an IANA name such as UTC or Europe/Amsterdam{nearest(text, available_timezones())}")
    return text


Cron = Annotated[str, AfterValidator(_cron)]
TimeZone = Annotated[str, AfterValidator(_timezone)]
