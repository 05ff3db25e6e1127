"""Dead letters: a small object for each failed call under its tenant that says why it failed, without quoting the call."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

from service.calls.failure import CallFailed, FailureReason
from service.calls.keys import NO_TENANT, dead_prefix, letter_name_of, read_key
from service.calls.store.objects import TenantResults, WallBreached
from service.calls.store.states import CallJob
from service.kit.aws.event_queue import Announced
from service.kit.delivery.dead_letters import DeadLetter, DeadLetters


@dataclass(frozen=True, slots=True, kw_only=True)
class CallLetter:
    """One dead letter, read; ``about`` is the call's object."""

    letter: DeadLetter
    reason: FailureReason
    detail: str
    about: Announced


class CallLetters:
    """The dead letters of one tenant, or those about objects whose key belongs to no tenant."""

    def __init__(self, results: TenantResults) -> None:
        self._results = results
        self._letters = DeadLetters(
            prefix=dead_prefix(results.tenant),
            suffix=".json",
            write=results.put,
            keys=lambda prefix: (item.key for item in results.listed(prefix)),
            delete=lambda keys: results.delete(*keys),
        )

    @classmethod
    def of_no_tenant(cls, results: Callable[[str], TenantResults]) -> "CallLetters":
        """Return the letters about objects without a tenant."""
        return cls(results(NO_TENANT))

    def write(self, job: CallJob, err: CallFailed, now: datetime) -> None:
        """Write the letter of a call that failed. Safe to repeat."""
        source = job.source
        about = Announced(key=source.key, etag=source.etag, version=source.version)
        self._put(job.call_id, about, err, now)

    def write_about(self, about: Announced, err: CallFailed, now: datetime) -> None:
        """Write the letter of an object that belongs to no tenant's call. Safe to repeat."""
        self._put(letter_name_of(about.key, about.etag), about, err, now)

    def waiting(self, reason: FailureReason | None = None) -> Iterator[CallLetter]:
        """Yield all letters, or those of one reason, in the order of their keys.

        Raises:
            WallBreached: a letter is about another tenant's object: it was not written by this service, and is not followed.
        """
        tenant = self._results.tenant
        for letter in self._letters.waiting(reason):
            text = self._results.read(letter.key)
            if text is None:
                continue
            said = json.loads(text)
            about = Announced(key=said["object_key"], etag=said["etag"], version=said["version"])
            if tenant != NO_TENANT and read_key(about.key, etag=about.etag).tenant != tenant:
                raise WallBreached(
                    f"a dead letter of {tenant!r} names an object that is not the tenant's: {letter.key}"
                )
            yield CallLetter(letter=letter, reason=FailureReason(said["reason"]), detail=said["detail"], about=about)

    def replayed(self, one: CallLetter, failed_for: FailureReason | None) -> None:
        """Delete a letter whose call now has a result, or another letter."""
        self._letters.replayed([one.letter], {one.letter.name: failed_for})

    def _put(self, name: str, about: Announced, err: CallFailed, now: datetime) -> None:
        where = {"object_key": about.key, "etag": about.etag, "version": about.version}
        self._letters.bury(name, err.reason.value, err.detail, now, where)
