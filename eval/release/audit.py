"""Verifies everything behind production, from the ledger to the per-case tables, and reports what is broken."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from eval.release.audit_rollout import AuditItem, rollout_items
from eval.release.ledger import Ledger, LedgerEntry, chain_problems
from eval.tracking.store import CASES_FILE, FIGURES_FILE
from figures.command_line import REASON, omni
from service.core.release.attestation import GateAttestation, read_attestation
from service.core.release.ledger_copy import ledger_copy
from service.core.release.release import Release
from service.core.release.unseen import UnseenPolicy, unseen_text
from service.core.release.verification import refuse_unseen, verify_released
from service.core.release.worth import refuse_elsewhere
from service.kit.frame.canonical import sha256_hex
from service.kit.frame.clock import wall_clock
from service.kit.frame.errors import RegistryError
from service.kit.settings import Settings

PUT_BACK = "restore the store from a backup; the releases themselves are not affected"


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryRow:
    """One line of the ledger: the release and its evidence, each None if it does not verify, and the problem."""

    entry: LedgerEntry
    attestation: GateAttestation | None
    problem: str | None
    now: datetime

    @property
    def although(self) -> str:
        """What the pair was released in spite of: "although nobody looked at ..."; "" if a judge looked at every kind."""
        return _although(self.entry.release, self.attestation, self.now)


class Audit:
    """The ledger of one task with everything that it refers to; read-only."""

    def __init__(self, task: str, settings: Settings) -> None:
        """Open the store and read the ledger."""
        self._task, self._settings = task, settings
        self._now = wall_clock(settings.clock_file)()
        self._ledger = Ledger.open(task, settings)
        self._tracking, self._keys = self._ledger.tracking, self._ledger.keys
        self._entries = self._ledger.entries()

    def history(self) -> list[HistoryRow]:
        """Return every envelope of the ledger: first those that do not verify, then the others, newest first."""
        broken = chain_problems(self._entries)
        rows = []
        for entry in reversed(self._entries):
            attestation, problem = None, entry.problem
            if entry.release is not None:
                attestation, problem = self._evidence(entry)
                problem = problem or broken.get(entry.release.sequence)
            rows.append(HistoryRow(entry=entry, attestation=attestation, problem=problem, now=self._now))
        return rows

    def items(self) -> Iterator[AuditItem]:
        """Yield one checked item after the other, in the order of the ledger."""
        yield AuditItem(name="trusted keys", detail=f"{len(self._keys.keys)} in {self._keys.path}")
        broken = chain_problems(self._entries)
        sequences = {entry.release.sequence for entry in self._entries if entry.release}
        for entry in self._entries:
            if entry.release is None:
                yield AuditItem(
                    name=entry.where,
                    detail="signature",
                    problem=f"{entry.problem}. No service uses it; find out who wrote it, then delete it",
                )
        for number in sorted(set(broken) - sequences):
            yield AuditItem(name=f"release {number}", detail="chain", problem=broken[number])
        seen: set[str] = set()
        for entry in self._entries:
            release = entry.release
            if release is None:
                continue
            attestation, problem = self._evidence(entry)
            yield self._release_item(
                entry, release, _although(release, attestation, self._now), broken.get(release.sequence)
            )
            yield AuditItem(
                name=f"release {release.sequence} evidence",
                detail=f"attestation {release.attestation[:12]}"
                + (f", evaluation {attestation.evaluation_id}, {attestation.headline}" if attestation else ""),
                problem=problem,
            )
            yield self._version_item(release)
            if attestation is not None and release.attestation not in seen:
                seen.add(release.attestation)
                yield self._artifact_item(release, CASES_FILE, attestation.cases_digest)
                yield self._artifact_item(release, FIGURES_FILE, attestation.figures_digest)
        yield self._alias_item()
        releases = [entry.release for entry in self._entries if entry.release is not None]
        yield from rollout_items(self._task, self._tracking, self._keys, self._settings, releases)

    def _release_item(self, entry: LedgerEntry, release: Release, although: str, chain: str | None) -> AuditItem:
        problem = chain
        if problem is None and not entry.in_registry:
            problem = (
                f"it is in {ledger_copy(self._task, self._settings)} but no longer in the registry: somebody removed tag "
                f"{release.tag} of version {release.registry_version}; promote the pair in production again"
            )
        copies = "registry and ledger" if entry.in_file else "registry; the next release adds it to the ledger here"
        return AuditItem(
            name=f"release {release.sequence}",
            detail=f"{release.kind} {release.pair_name} {release.pair_digest[:12]}, signed by {(entry.keyid or '?')[:12]}, "
            f"in {copies if entry.in_registry else 'ledger'}" + (f"; released {although}" if although else ""),
            problem=problem,
        )

    def _evidence(self, entry: LedgerEntry) -> tuple[GateAttestation | None, str | None]:
        release = entry.release
        assert release is not None
        envelope = self._ledger.attestation(release)
        if envelope is None:
            again = omni("eval", task=self._task)
            return None, f"attestation {release.attestation[:12]} is gone; {PUT_BACK}, or `{again}` and promote again"
        try:
            attestation, _ = read_attestation(
                envelope, self._keys, f"the gate attestation of release {release.sequence}"
            )
            verify_released(
                entry.envelope,
                envelope,
                task=self._task,
                version=release.registry_version,
                pair_digest=release.pair_digest,
                environment=None,
                keys=self._keys,
                policy=None,
                what=f"release {release.sequence}",
            )
        except RegistryError as err:
            return None, str(err)
        return attestation, None

    def _version_item(self, release: Release) -> AuditItem:
        name = f"release {release.sequence} content"
        detail = f"version {release.registry_version}"
        try:
            digest = self._tracking.pair_of(self._task, release.registry_version).digest
        except RegistryError as err:
            return AuditItem(name=name, detail=detail, problem=str(err))
        if digest == release.pair_digest:
            return AuditItem(name=name, detail=f"{detail} has digest {digest[:12]}")
        problem = (
            f"{detail} holds {digest[:12]} instead of {release.pair_digest[:12]}: somebody rewrote it; promote "
            "the pair in production again, and do not roll back to this release"
        )
        return AuditItem(name=name, detail=detail, problem=problem)

    def _artifact_item(self, release: Release, file: str, attested: str) -> AuditItem:
        name = f"release {release.sequence} {file}"
        detail = f"run {release.gate_run_id}"
        text = self._tracking.artifact(release.gate_run_id, file)
        if text is None:
            return AuditItem(name=name, detail=detail, problem=f"artifact {file} of {detail} is gone; {PUT_BACK}")
        digest = sha256_hex(text)
        if digest == attested:
            return AuditItem(name=name, detail=f"{detail}, digest {digest[:12]} as attested")
        problem = (
            f"artifact {file} of {detail} was changed: it has digest {digest[:12]}, the attestation has {attested[:12]}"
        )
        return AuditItem(name=name, detail=detail, problem=f"{problem}; {PUT_BACK}")

    def _alias_item(self) -> AuditItem:
        target = self._tracking.alias_target(self._task)
        releases = [entry.release for entry in self._entries if entry.release]
        detail = f"production -> version {target}" if target is not None else "production is not set"
        if not releases:
            problem = None if target is None else "there is no release: somebody set the alias by hand; delete it"
            return AuditItem(name="alias", detail=detail, problem=problem)
        newest = releases[-1]
        if target != newest.registry_version:
            back = omni("rollback", "--to", str(newest.sequence), *REASON, task=self._task)
            problem = (
                f"release {newest.sequence} is the newest and points at version {newest.registry_version}: the alias was "
                f"moved by hand; `{back}` puts it back"
            )
            return AuditItem(name="alias", detail=detail, problem=problem)
        try:
            served = self._tracking.production(self._task)
            found = served.release.sequence if served is not None else None
            problem = None if found == newest.sequence else f"it leads to release {found}, not {newest.sequence}"
            attestation, _ = self._evidence(next(entry for entry in self._entries if entry.release is newest))
            if attestation is not None:
                policy = UnseenPolicy.of(self._settings)
                what = f"release {newest.sequence}"
                refuse_elsewhere(what, newest.stage, newest.environment, self._settings.environment, policy)
                refuse_unseen(what, attestation, newest.unseen_allowed_in, policy)
        except RegistryError as err:
            problem = str(err)
        if problem is not None:
            again = omni("promote", newest.pair_name, *REASON, task=self._task)
            problem = f"services refuse it: {problem}. `{again}` repairs it"
        return AuditItem(name="alias", detail=f"{detail}, the newest release ({newest.sequence})", problem=problem)


def exceptions_by_year(rows: Sequence[HistoryRow]) -> dict[int, int]:
    """Return how many releases of each year were made without a licensed judge, newest year first."""
    releases = [row.entry.release for row in rows]
    years = [release.moment.year for release in releases if release is not None and release.exception is not None]
    return dict(sorted(Counter(years).items(), reverse=True))


def _although(release: Release | None, attestation: GateAttestation | None, now: datetime) -> str:
    if release is None or attestation is None:
        return ""
    text = unseen_text(attestation.unseen, attestation.looked_at, attestation.sentences)
    signed = release.exception
    allowed = f", an exception signed for stage {signed.stage!r}: {signed.text(now)}" if signed is not None else ""
    return f"although {text}{allowed}" if text else ""
