"""Who may change the row: the administrator anything, the follower of a registry only which package is offered."""

from __future__ import annotations

import hmac
import os
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256

from serving.refusal import Refused

ADMIN, FOLLOWER = "STILLROOM_ADMIN_TOKEN", "STILLROOM_FOLLOWER_TOKEN"
OF_FOLLOWER = ("/package", "/wake")


@dataclass(frozen=True, repr=False)
class Tokens:
    """The tokens that are accepted; empty = none."""

    admin: str = ""
    follower: str = ""

    @classmethod
    def read(cls, environment: Mapping[str, str] = os.environ) -> Tokens:
        """Those of the environment."""
        return cls(environment.get(ADMIN, ""), environment.get(FOLLOWER, ""))

    def check(self, header: str | None, path: str) -> str:
        """Who asks, `admin` or `follower`; Refused (403 without any token, 401 with a wrong one)."""
        scheme, _, given = (header or "").partition(" ")
        given = given.strip() if scheme.lower() == "bearer" else ""
        if _equal(given, self.follower) and path in OF_FOLLOWER:
            return "follower"
        if not self.admin:
            raise Refused(f"nothing can be changed here: {ADMIN} was not set when the keeper started", 403)
        if not _equal(given, self.admin):
            said = "no token" if not given else "a wrong token"
            raise Refused(f"Authorization: {said}; allowed: Bearer and the value of {ADMIN}", 401)
        return "admin"


def _equal(given: str, wanted: str) -> bool:
    """In a time that tells nothing of either; never for an empty token."""
    digests = (sha256(text.encode("utf-8", "surrogateescape")).digest() for text in (given, wanted))
    return hmac.compare_digest(*digests) and bool(wanted)
