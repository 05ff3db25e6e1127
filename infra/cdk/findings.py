"""Compares what cdk-nag found with ``accepted.yaml``: each finding needs a reason, each reason a finding."""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

_ACCEPTED = Path(__file__).with_name("accepted.yaml")


@dataclass(frozen=True)
class Finding:
    """One rule that one construct breaks."""

    rule: str
    where: str
    text: str


@dataclass(frozen=True)
class Accepted:
    """Findings that are accepted: patterns that match rule and construct path whole, and the reason."""

    rule: str
    where: str
    because: str

    def covers(self, finding: Finding) -> bool:
        """Return whether the reason is about ``finding``."""
        return bool(re.fullmatch(self.rule, finding.rule) and re.fullmatch(self.where, finding.where))


def read_accepted(file: Path = _ACCEPTED) -> list[Accepted]:
    """Return the accepted findings."""
    return [Accepted(**entry) for entry in yaml.safe_load(file.read_text(encoding="utf-8"))]


def findings(assembly: Path) -> Iterator[Finding]:
    """Yield what the checks wrote about the templates in ``assembly``."""
    report = json.loads((assembly / "validation-report.json").read_text(encoding="utf-8"))
    for plugin in report["pluginReports"]:
        for found in plugin["violations"]:
            for construct in found["violatingConstructs"]:
                yield Finding(found["ruleName"], construct["constructPath"], found["description"])


def problems(found: Iterable[Finding], accepted: Iterable[Accepted]) -> list[str]:
    """Return a line for each finding without a reason and for each reason without a finding."""
    found, accepted = list(found), list(accepted)
    open_lines = [
        f"{one.where}: {one.rule}: {one.text}" for one in found if not any(entry.covers(one) for entry in accepted)
    ]
    stale = [
        f"accepted.yaml: nothing breaks {entry.rule} at {entry.where} any more: delete the entry"
        for entry in accepted
        if not any(entry.covers(one) for one in found)
    ]
    return open_lines + stale
