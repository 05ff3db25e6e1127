"""Metrics for CloudWatch as log lines in its Embedded Metric Format: needs no agent, and no network call during a request.

Format: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html.
``aws-embedded-metrics`` writes the same lines but depends on aiohttp and an agent; a container whose standard output goes to
CloudWatch Logs needs neither.
"""

import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from service.kit.telemetry.metrics import Counter, Instrument

NAMESPACE = "OmniInsights"
FLUSH_S = 10.0
# The format's limit for the values of one metric in one line.
_MOST_VALUES = 100
_Series = tuple[Instrument, tuple[str, ...]]


class EmfSink:
    """Collects metrics and writes them every ten seconds. A killed process loses at most ten seconds of metrics, no log events.

    Each metric is written with its labels and without: CloudWatch does not aggregate over dimensions.
    """

    def __init__(
        self,
        write: Callable[[str], None],
        *,
        environment: str,
        now: Callable[[], float] = time.time,
        flush_s: float = FLUSH_S,
    ) -> None:
        """``write`` puts one line into the log; ``now`` returns epoch seconds."""
        self._write, self._environment, self._now, self._flush_s = write, environment, now, flush_s
        self._lock = threading.Lock()
        self._counts: dict[_Series, float] = {}
        self._values: dict[_Series, list[float]] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="emf", daemon=True)

    def __call__(self, instrument: Instrument, labels: tuple[str, ...], value: float) -> None:
        """Collect one value; see ``service.kit.telemetry.metrics.Sink``."""
        series = (instrument, labels)
        with self._lock:
            if isinstance(instrument, Counter):
                self._counts[series] = self._counts.get(series, 0.0) + value
            else:
                self._values.setdefault(series, []).append(value)

    def start(self) -> None:
        """Start writing in the background."""
        self._thread.start()

    def stop(self) -> None:
        """Write the remaining metrics and stop."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(2.0)
        self.flush()

    def flush(self) -> None:
        """Write the metrics collected since the last flush."""
        with self._lock:
            counts, self._counts = self._counts, {}
            values, self._values = self._values, {}
        for series, value in counts.items():
            self._write(self._line(series, value))
        for series, many in values.items():
            for part in _parts(many):
                self._write(self._line(series, part))

    def _loop(self) -> None:
        while not self._stop.wait(self._flush_s):
            self.flush()

    def _line(self, series: _Series, value: float | list[float]) -> str:
        instrument, labels = series
        dimensions = [["environment"]] + ([["environment", *instrument.labels]] if labels else [])
        line: dict[str, Any] = {
            "_aws": {
                "Timestamp": round(self._now() * 1000),
                "CloudWatchMetrics": [
                    {
                        "Namespace": NAMESPACE,
                        "Dimensions": dimensions,
                        "Metrics": [{"Name": instrument.emf, "Unit": instrument.unit}],
                    }
                ],
            },
            "environment": self._environment,
            **dict(zip(instrument.labels, labels, strict=True)),
            instrument.emf: value,
        }
        return json.dumps(line)


def _parts(values: list[float]) -> Iterator[list[float]]:
    for start in range(0, len(values), _MOST_VALUES):
        yield values[start : start + _MOST_VALUES]
