"""Each worker of a run begins with slow tests and ends with fast ones."""

from types import SimpleNamespace

from dealing import dealt


def module(name, count, *, slow):
    marker = (lambda wanted: object() if wanted == "slow" else None) if slow else (lambda wanted: None)
    return [SimpleNamespace(path=name, slow=slow, get_closest_marker=marker) for _ in range(count)]


def test_slow_modules_stand_at_the_beginning_of_every_workers_part():
    slow = [item for number in range(8) for item in module(f"slow{number}", 3, slow=True)]
    items = slow + [item for number in range(10) for item in module(f"fast{number}", 10, slow=False)]
    found = dealt(items, 4)
    assert sorted(map(id, found)) == sorted(map(id, items))
    parts = [found[start : start + 31] for start in range(0, 124, 31)]
    assert [[item.slow for item in part] for part in parts] == [[True] * 6 + [False] * 25] * 4
    assert [item.path for item in dealt(items, 1)] == [item.path for item in items]
