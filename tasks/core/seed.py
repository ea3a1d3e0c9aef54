"""One seed a row, so that adding a row never changes another row's result."""

import hashlib


def seed_for(seed: int, name: str) -> int:
    """A 32-bit seed that depends on the plan's seed and the row's name alone."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{name}".encode()).digest()[:4], "big")
