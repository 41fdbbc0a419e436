"""A cache in memory of least recently used values, with a limit in bytes."""

from collections import OrderedDict
from threading import Lock


class LruBytes:
    """Bytes by key; when they pass the budget, those longest unused go first."""

    def __init__(self, budget: int) -> None:
        self._budget = budget
        self._size = 0
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._lock = Lock()

    def get(self, key: str) -> bytes | None:
        """Return the value of a key."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def put(self, key: str, value: bytes) -> None:
        """Cache the bytes, unless they are so many that they would drive out all others."""
        if len(value) > self._budget // 16:
            return
        with self._lock:
            self._size += len(value) - len(self._kept.pop(key, b""))
            self._kept[key] = value
            while self._size > self._budget:
                self._size -= len(self._kept.popitem(last=False)[1])
