"""The memory of tickets where there is no store."""

from concurrent.futures import ThreadPoolExecutor

from serving.once import Once


def test_a_key_counts_once_and_the_oldest_are_forgotten() -> None:
    once = Once(most=3)
    assert [once(key) for key in "abcab"] == [True, True, True, False, False]
    assert once("d") and once("a"), "a was the oldest of four"
    assert not once("d")


def test_of_many_threads_one_is_first() -> None:
    once = Once()
    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(once, ["key"] * 200)) == 1
