"""The keeper of this checkout's rollout."""

from __future__ import annotations

import os

from flows import tokens
from flows.lease import newest
from tasks.live.keeper import ENVIRONMENT, Keeper


def reached() -> Keeper:
    """The keeper of this checkout, or the one that STILLROOM_KEEPER names, with the token if it is known."""
    return Keeper(os.environ.get(ENVIRONMENT, "") or newest(), tokens.known(tokens.ADMIN))
