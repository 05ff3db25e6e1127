"""What tests put around a queue so that they wait for what happens, never for a time."""

import time

_HANG_S = 120.0  # guards against a hang alone: whoever waits so long finds the queue as it is


class UntilEmpty:
    """A queue that is listened to for as long as it holds a message, be it in the hands of a reader who died."""

    def __init__(self, queue):
        self._queue = queue
        self.keep, self.delete, self.waiting = queue.keep, queue.delete, queue.waiting

    def receive(self, *, wait_s, visible_after_s):
        """Return the next messages; none at once where ``wait_s`` is 0, else only when the queue is empty."""
        ends = time.monotonic() + (_HANG_S if wait_s else 0)
        while True:
            found = self._queue.receive(wait_s=0, visible_after_s=visible_after_s)
            if found or time.monotonic() >= ends or not any(self._queue.waiting()):
                return found
            time.sleep(0.02)


def announced(queue, put):
    """Call ``put``, which writes one object, and return when the queue has been told: S3 tells it a moment later."""
    before, ends = sum(queue.waiting()), time.monotonic() + _HANG_S
    put()
    while sum(queue.waiting()) <= before:
        assert time.monotonic() < ends, "S3 did not announce the object"
        time.sleep(0.005)
