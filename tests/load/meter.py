"""Who used the machine's processors while a scenario ran: the agents and the stand-ins share them with the service."""

import os
import resource
from collections import Counter

from tally import read_lines


class Meter:
    """Counts from when it is made. Whatever ends meanwhile and is waited for counts as the agents' (locust)."""

    def __init__(self, rig, services):
        self._rig, self._services = rig, services
        self._before = self._now()

    def read(self, seconds, records):
        """Return a note on ``seconds`` of work; ``records`` is locust's file."""
        serving, writing, stand_ins, agents = (
            after - before for after, before in zip(self._now(), self._before, strict=True)
        )
        rows = list(read_lines(records))
        answers = sum("answered" in row for row in rows) or 1
        # Agents that are meant to be spread and are not measure a burst: this was once so, and nobody saw it in a p95.
        a_second = sorted(Counter(int(row["at"]) for row in rows if "sent" in row).values()) or [0]
        parts = {"serving": serving, "writing": writing, "agents": agents}
        if self._rig.stores == "memory":
            parts["model and stores"] = stand_ins
        each = ", ".join(f"{name} {used / answers * 1000:.1f}" for name, used in parts.items())
        busy = sum(parts.values()) / seconds / (os.cpu_count() or 1)
        memory = max(service.rss_mb() for service in self._services)
        return (
            f"usual second {a_second[len(a_second) // 2]} requests, busiest {a_second[-1]}; "
            f"service {serving / seconds:.0%} of one core, {memory:.0f} MB a process; "
            f"ms of CPU per answer: {each}; together {busy:.0%} of {os.cpu_count()} cores"
        )

    def _now(self):
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        return (
            sum(service.cpu_s() for service in self._services),
            sum(service.children_cpu_s() for service in self._services),
            self._rig.cpu_s(),
            children.ru_utime + children.ru_stime,
        )
