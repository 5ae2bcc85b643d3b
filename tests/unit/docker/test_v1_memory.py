"""What is kept in memory of images is bounded by its size, not by its number."""

from repoman_docker.v1.reading import Memory


def test_what_was_asked_for_last_is_kept_as_long_as_it_fits():
    memory = Memory[bytes](10, len)
    asked: list[str] = []

    def get(key: str, size: int) -> int:
        def work() -> bytes:
            asked.append(key)
            return bytes(size)

        return len(memory.get(key, work))

    assert [get("a", 4), get("b", 4), get("a", 4)] == [4, 4, 4]
    assert asked == ["a", "b"]
    get("c", 4)
    get("a", 4)
    assert asked == ["a", "b", "c"], "b made room"
    get("b", 4)
    assert asked == ["a", "b", "c", "b"]


def test_what_is_too_large_is_not_kept_and_does_no_harm():
    memory = Memory[bytes](10, len)
    for _ in range(3):
        assert len(memory.get("large", lambda: bytes(50))) == 50
    kept = memory.get("small", lambda: bytes(3))
    assert memory.get("small", lambda: bytes(4)) is kept
