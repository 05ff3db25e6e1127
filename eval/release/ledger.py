"""The ledger: a task's releases as a chain of signed envelopes, kept in MLflow's version tags and in a copy on disk."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Literal, Self

from eval.release.releaser import Releaser
from eval.release.signing import sign_statement
from eval.release.unseen import JudgeException
from eval.tracking.store import Tracking
from figures.command_line import omni
from service.core.release.ledger_copy import ledger_copy
from service.core.release.registry_store import check_store
from service.core.release.release import RELEASE_TAG_PREFIX, Release, attestation_tag, read_release
from service.core.release.statements import TrustedKeys, envelope_digest, load_trusted_keys
from service.core.release.unseen import UnseenPolicy
from service.core.release.verification import CLOCK_SKEW, verify_released
from service.core.unit.pair import Pair
from service.kit.frame.clock import wall_clock
from service.kit.frame.errors import RegistryError
from service.kit.frame.files import write_whole
from service.kit.frame.strict import lines_of
from service.kit.settings import Settings

if TYPE_CHECKING:
    from securesystemslib.signer import Signer


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerEntry:
    """One envelope of the ledger. ``release`` is None if it does not verify; ``problem`` then says why.

    ``where`` names its places; ``in_registry`` and ``in_file`` tell which of the two copies of the ledger hold it.
    """

    envelope: str
    where: str
    digest: str | None
    keyid: str | None
    release: Release | None
    problem: str | None
    in_registry: bool
    in_file: bool


class Ledger:
    """The releases of one task; reading them needs one request to the store per version."""

    def __init__(self, task: str, tracking: Tracking, settings: Settings, keys: TrustedKeys) -> None:
        self._task, self.tracking, self._settings, self.keys = task, tracking, settings, keys
        self._path = ledger_copy(task, settings)

    @classmethod
    def open(cls, task: str, settings: Settings) -> Self:
        """Return the ledger in an existing store, with the trusted keys of ``settings``."""
        check_store(settings.registry.uri)
        keys = load_trusted_keys(settings.trusted_keys_file)
        return cls(task, Tracking(settings.registry.uri, trusted_keys=settings.trusted_keys_file), settings, keys)

    def entries(self) -> list[LedgerEntry]:
        """Return all envelopes: the verified ones in sequence, then the others."""
        found: dict[str, LedgerEntry] = {}
        for version, tags in self.tracking.version_tags(self._task):
            for name, text in sorted(tags.items()):
                if name.startswith(RELEASE_TAG_PREFIX):
                    what = f"release {name.removeprefix(RELEASE_TAG_PREFIX).lstrip('0')} at version {version}"
                    entry = self._entry(text, what, (version, name))
                    found[entry.digest or f"{version} {name}"] = entry
        for number, text in enumerate(self._lines(), start=1):
            entry = self._entry(text, f"line {number} of {self._path}", None)
            key = entry.digest or f"line {number}"
            tagged = found.get(key)
            found[key] = entry if tagged is None else replace(tagged, in_file=True)
        return sorted(found.values(), key=lambda entry: entry.release.sequence if entry.release else 1 << 62)

    def releases(self) -> list[Release]:
        """Return the verified releases, newest first; `omni verify` reports the others."""
        return [entry.release for entry in reversed(self.entries()) if entry.release is not None]

    def _entry(self, text: str, what: str, tag: tuple[int, str] | None) -> LedgerEntry:
        release, digest, keyid, problem = None, None, None, None
        try:
            found, statement = read_release(text, self.keys, what)
            digest, keyid = statement.digest, statement.keyid
            if found.task != self._task or (tag is not None and tag != (found.registry_version, found.tag)):
                # Reject a copy: the original is in its own place, or missing there, which the copy must not hide.
                digest = None
                raise RegistryError(f"{what} is a copy of release {found.sequence} of task {found.task!r}")
            release = found
        except RegistryError as err:
            problem = str(err)
        return LedgerEntry(
            envelope=text,
            where=what,
            digest=digest,
            keyid=keyid,
            release=release,
            problem=problem,
            in_registry=tag is not None,
            in_file=tag is None,
        )

    def _lines(self) -> list[str]:
        try:
            return [line for line in lines_of(self._path.read_text(encoding="utf-8")) if line.strip()]
        except FileNotFoundError:
            return []
        except (OSError, UnicodeDecodeError) as err:
            raise RegistryError(f"the ledger {self._path} cannot be read ({type(err).__name__}); put it back") from err

    def attestation(self, release: Release) -> str | None:
        """Return the attestation envelope that ``release`` names, from a version's tags or from its MLflow run."""
        name = attestation_tag(release.attestation)
        candidates = [tags[name] for _, tags in self.tracking.version_tags(self._task) if name in tags]
        from_run = self.tracking.run_attestation(release.gate_run_id)
        return next(
            (text for text in [*candidates, *([from_run] if from_run else [])] if _is(text, release.attestation)), None
        )

    def publish(
        self,
        pair: Pair,
        version: int,
        *,
        kind: Literal["promote", "rollback", "restore"],
        gate_run_id: str,
        attestation: str,
        why: str,
        from_digest: str | None,
        after: int,
        signer: "Signer",
        by: Releaser | None = None,
        exception: JudgeException | None = None,
    ) -> Release:
        """Sign a release, write it with its attestation, move the alias, and copy the ledger, under a lock.

        Args:
            pair: content of the version, verified by the caller.
            version: registry version to point at.
            kind: promote, rollback, or restore (the same pair again, after the registry was tampered with).
            gate_run_id: MLflow run that holds the evidence.
            attestation: the evidence's envelope.
            why: the releaser's reason.
            from_digest: digest in production when the caller decided; None without production.
            after: sequence of the newest release when the caller decided, 0 for none; another one since then is refused.
            signer: if it fails, nothing was written.
            by: who releases; None: the person at this machine.
            exception: to release although nobody looked at some kinds of harm.
        """
        with self.tracking.release_lock(self._task):
            entries = [entry for entry in self.entries() if entry.release is not None]
            last = entries[-1] if entries else None
            now = wall_clock(self._settings.clock_file)()
            self._refuse_if_moved(last, after, now, kind)
            release = Release(
                task=pair.task,
                sequence=after + 1,
                kind=kind,
                registry_version=version,
                pair_name=pair.name,
                pair_digest=pair.digest,
                from_digest=from_digest,
                gate_run_id=gate_run_id,
                attestation=envelope_digest(attestation, "the gate attestation"),
                previous=last.digest if last else None,
                **asdict(by or Releaser.of({})),
                why=why,
                at=now.isoformat(timespec="seconds"),
                environment=self._settings.environment,
                stage=self._settings.stage,
                **(exception or JudgeException()).fields,
            )
            self._place(release, sign_statement(signer, release.statement()), attestation, entries)
            return release

    def _refuse_if_moved(self, last: LedgerEntry | None, after: int, now: datetime, kind: str) -> None:
        newest = last.release if last is not None else None
        if (newest.sequence if newest else 0) != after:
            again = omni("eval", task=self._task)
            raise RegistryError(f"production changed while this release was being decided; run `{again}` again")
        if kind == "promote" and newest and newest.moment > now + CLOCK_SKEW:
            raise RegistryError(
                f"release {after} is dated {newest.at}: this machine's clock ({now.isoformat(timespec='seconds')}) "
                "went back, or the other's was ahead; set the clock"
            )

    def _place(self, release: Release, envelope: str, attestation: str, entries: Sequence[LedgerEntry]) -> None:
        """Verify the signed release, write it to the store and copy the ledger, which had ``entries`` so far."""
        version = release.registry_version
        # The same check as a service makes: a release that services would refuse must not be written.
        verify_released(
            envelope,
            attestation,
            task=release.task,
            version=version,
            pair_digest=release.pair_digest,
            environment=self._settings.environment,
            keys=self.keys,
            policy=UnseenPolicy.of(self._settings),
            what=f"release {release.sequence}",
        )
        # Write the attestation first and move the alias last, so that a service never sees a release without its evidence.
        # After an interruption in between, promoting the same pair again completes the release.
        self.tracking.place(
            release.task, version, {attestation_tag(release.attestation): attestation, release.tag: envelope}
        )
        self._copy([*entries, self._entry(envelope, "the new release", (version, release.tag))])

    def _copy(self, entries: Sequence[LedgerEntry]) -> None:
        missing = [entry.envelope for entry in entries if not entry.in_file]
        lines = [*self._lines(), *missing]
        self._path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(self._path, "".join(f"{line}\n" for line in lines), durable=True)


def chain_problems(entries: Sequence[LedgerEntry]) -> dict[int, str]:
    """Return the chain's problems by sequence: gaps (by their first number), two with one number, a link to another release."""
    problems: dict[int, str] = {}
    previous: LedgerEntry | None = None
    for entry in entries:
        release = entry.release
        if release is None:
            continue
        before = previous.release.sequence if previous and previous.release else 0
        linked = previous.digest if previous else None
        if release.sequence == before:
            problems[release.sequence] = (
                f"there are two different releases {release.sequence}: {entry.where} and another"
            )
        elif release.sequence > before + 1:
            others = f", with all up to {release.sequence - 1}" if release.sequence > before + 2 else ""
            problems[before + 1] = f"it is missing{others}; restore it from a backup of the store or the ledger"
        elif release.previous != linked:
            problems[release.sequence] = (
                f"it follows on {(release.previous or 'nothing')[:12]}, but release {before} is {(linked or 'nothing')[:12]}"
            )
        previous = entry
    return problems


def _is(text: str, digest: str) -> bool:
    try:
        return envelope_digest(text, "attestation") == digest
    except RegistryError:
        return False
