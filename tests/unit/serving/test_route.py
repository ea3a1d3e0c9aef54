"""The split: sticky, fair, monotone, dealt anew by the salt."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from serving.route import bucket, route

USERS = [f"user-{i}" for i in range(20_000)]


@given(st.text(max_size=20), st.text(max_size=300))
def test_a_bucket_is_in_the_half_open_unit_interval_and_stays(salt: str, user: str) -> None:
    assert 0 <= bucket(salt, user) < 1
    assert bucket(salt, user) == bucket(salt, user)


def test_the_ends_are_exact() -> None:
    assert {route("s", 0.0, user) for user in USERS} == {"control"}
    assert {route("s", 1.0, user) for user in USERS} == {"treatment"}


def test_the_share_is_kept() -> None:
    for share in (0.01, 0.1, 0.5, 0.9):
        got = sum(route("s", share, user) == "treatment" for user in USERS) / len(USERS)
        # Four standard deviations of a binomial share.
        assert abs(got - share) < 4 * (share * (1 - share) / len(USERS)) ** 0.5


def test_raising_the_share_only_moves_users_to_the_treatment() -> None:
    before = {user for user in USERS if route("s", 0.1, user) == "treatment"}
    after = {user for user in USERS if route("s", 0.3, user) == "treatment"}
    assert before < after


def test_another_salt_deals_independently() -> None:
    both = sum(bucket("a", user) < 0.5 and bucket("b", user) < 0.5 for user in USERS) / len(USERS)
    assert abs(both - 0.25) < 0.02


def test_salt_and_user_do_not_run_into_each_other() -> None:
    assert bucket("ab", "c") != bucket("a", "bc")


def test_nobody_is_the_control() -> None:
    assert route("s", 1.0, None) == "control"


def test_the_buckets_are_part_of_the_contract() -> None:
    """A change of the hash would deal every user anew in the middle of a comparison."""
    assert [round(bucket("stillroom", user), 6) for user in ("u1", "u2", "")] == PINNED


PINNED = [0.208982, 0.9037, 0.903382]
