"""Who gets which model: a sticky split by user id, with nothing to remember and nothing to look up."""

from __future__ import annotations

from hashlib import blake2b

from serving.package import Role


def bucket(salt: str, user_id: str) -> float:
    """Where a user falls in [0, 1): always the same place for one salt, evenly spread over users.

    53 bits, so that the largest value is still below 1 as a float.
    """
    digest = blake2b(user_id.encode("utf-8", "surrogatepass"), key=blake2b(salt.encode()).digest(), digest_size=8)
    return (int.from_bytes(digest.digest(), "big") >> 11) / 2**53


def route(salt: str, share: float, user_id: str | None) -> Role:
    """The role that answers: the treatment for `share` of the users, the control for the rest and for no user at all.

    Raising `share` moves users from control to treatment and never back.
    """
    return "treatment" if user_id is not None and bucket(salt, user_id) < share else "control"
