"""A ticket travels with every answer, so that feedback on it needs no memory of ours: who answered what, sealed.

It holds the package, the role, a number of its own and the class that was given to each row, and a MAC over all of it
(BLAKE2b with a key, RFC 7693). Every worker that has the key reads the tickets of every other; without a key there are
none. The key comes from the environment: `stillroom serve` makes one that outlives a restart.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import os
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

from serving.package import ROLES, Role
from serving.refusal import Refused

ENVIRONMENT = "STILLROOM_TICKET_KEY"
HEADER = "X-Stillroom-Ticket"
ROWS_MAX = 1024  # an answer of more has no ticket: proxies refuse long headers
KEY_LEAST = 16  # characters
_MAC = 12  # bytes
_HEAD = struct.Struct(">8s?8s")  # package, whether it was the treatment, number


class KeyTooShortError(ValueError):
    """The key in the environment could be guessed."""


@dataclass(frozen=True)
class Ticket:
    """One answered request: the first 16 hex digits of the package's digest, and the class id of each of N rows."""

    package: str
    role: Role
    number: str
    classes: tuple[int, ...]


class Tickets:
    """Writes and reads tickets with one key."""

    def __init__(self, key: str) -> None:
        self._key = blake2b(key.encode(), digest_size=32).digest()

    @classmethod
    def from_environment(cls) -> Tickets | None:
        """With the key in the environment; None without one. KeyTooShortError for one that is no secret."""
        key = os.environ.get(ENVIRONMENT, "")
        if not key:
            return None
        if len(key) < KEY_LEAST:
            raise KeyTooShortError(f"{ENVIRONMENT}: {len(key)} characters; allowed: at least {KEY_LEAST}")
        return cls(key)

    def write(self, package_sha256: str, role: Role, classes: Sequence[int]) -> str:
        """A new ticket, in URL-safe base64."""
        head = _HEAD.pack(bytes.fromhex(package_sha256[:16]), role == "treatment", os.urandom(8))
        body = head + struct.pack(f">{len(classes)}H", *classes)
        return base64.urlsafe_b64encode(body + self._mac(body)).decode()

    def read(self, text: str) -> Ticket:
        """What `write` sealed; Refused for anything else."""
        try:
            sealed = base64.b64decode(text.encode("ascii"), b"-_", validate=True)
        except (UnicodeEncodeError, binascii.Error):
            sealed = b""
        body, mac = sealed[:-_MAC], sealed[-_MAC:]
        if len(body) < _HEAD.size or not hmac.compare_digest(mac, self._mac(body)):
            raise Refused("ticket: not one that this service gave; allowed: the header X-Stillroom-Ticket of an answer")
        package, treated, number = _HEAD.unpack_from(body)
        classes = struct.unpack(f">{(len(body) - _HEAD.size) // 2}H", body[_HEAD.size :])
        return Ticket(package.hex(), ROLES[treated], number.hex(), classes)

    def _mac(self, body: bytes) -> bytes:
        return blake2b(body, key=self._key, digest_size=_MAC).digest()
