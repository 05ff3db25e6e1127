"""Builds a call worker from the settings, with the released pair or a named one."""

import os
import socket
import sys
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from service.calls.hear.transcriber import Transcriber
from service.calls.insights.insight import InsightReader
from service.calls.insights.words import WordReader
from service.calls.redact.transcript import FindingRedactor, PatternRedactor, TranscriptRedactor
from service.calls.store.objects import CallInputs, ErasedCalls, TenantResults
from service.calls.store.states import CallJobs
from service.calls.worker.candidate import CallRollout
from service.calls.worker.scoring import CallScorer
from service.calls.worker.worker import CallWorker
from service.core.redaction.build import build_finder
from service.core.release.served import PairSource, ServedPair
from service.kit.aws.event_queue import LONGEST_WAIT_S, EventQueue
from service.kit.aws.stores import CALLS
from service.kit.frame.display.terminal import say
from service.kit.frame.errors import ConfigurationError, RegistryError
from service.kit.records.build import open_rows
from service.kit.settings import Settings
from service.kit.telemetry import metrics

if TYPE_CHECKING:
    from service.calls.worker.ordered import OrderedRescorings
    from service.core.unit.cards import ModelCards

_TASK = "scorecard"


def build_worker(settings: Settings, *, pair: str | None = None, waits: bool = False) -> CallWorker:
    """Return a worker; contacts only the registry, once, and only when no pair is named.

    ``waits``: where no pair is named and none is released, it waits for the first release (``wait_for_release``).

    Raises:
        ConfigurationError: the named pair has no file, or no pair is named, none is released, and it does not wait.
    """
    from service.calls.reviews import build_reviews
    from service.calls.store.form_store import build_forms
    from service.calls.tenants.desk import build_desk
    from service.core.llm.gateway import build_gateway
    from service.core.llm.logged_gateway import LoggedGateway
    from service.core.tasks.scorecard import TASK
    from service.core.unit.cards import ModelCards
    from service.kit.aws.clients import client
    from service.kit.records.tombstones import open_tombstones
    from service.warehouse import open_warehouse

    cards = ModelCards.load(settings.prompts_dir / "models.yaml")
    gateway = build_gateway(settings, cards, TASK.in_process)
    s3, dynamodb = client("s3", settings), client("dynamodb", settings)
    if waits and pair is None:
        wait_for_release(settings)
    production = None if pair is not None else released_source(settings)
    # A long poll answers after up to twenty seconds: the read timeout must be longer.
    patient = settings.model_copy(update={"store_timeout_s": LONGEST_WAIT_S + 10.0})
    desk = build_desk(settings, cards, dynamodb=dynamodb, named=pair is not None)
    released = served_from(settings, cards, pair, production)
    erased = ErasedCalls(open_tombstones(settings))
    results = partial(
        TenantResults, s3, settings.calls.results_bucket, kms_key=settings.calls.kms_key, is_erased=erased.has
    )
    return CallWorker(
        inputs=CallInputs(s3, settings.calls.bucket),
        results=results,
        jobs=CallJobs(open_rows(settings, CALLS, dynamodb), is_erased=erased.covers),
        forms=build_forms(settings, dynamodb=dynamodb, now=_now),
        redactor=build_redactor(settings),
        scorer=CallScorer(
            served=lambda tenant: desk.served(tenant, released(tenant)),
            gateway=LoggedGateway(gateway, cards),
            cards=cards,
            rollout=None if production is None else _rollout(settings, production, results, dynamodb),
            in_rollout=desk.is_free,
        ),
        tenants=desk,
        reviews=build_reviews(settings, dynamodb=dynamodb, s3=s3, now=_now),
        open_warehouse=partial(open_warehouse, settings),
        owner=f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}",
        queue=EventQueue(client("sqs", patient), settings.calls.queue, bucket=settings.calls.bucket),
        transcriber=build_transcriber(settings),
        insights=build_insights(settings),
        overwrite=settings.calls.overwrite,
    )


def build_ordered(settings: Settings, worker: CallWorker) -> "OrderedRescorings":
    """Return a worker's part in the orders to score stored calls again."""
    from service.calls.store.rescorings import RescoringOrders
    from service.calls.worker.ordered import OrderedRescorings

    return OrderedRescorings(worker=worker, orders=RescoringOrders(open_rows(settings, CALLS)))


def build_insights(settings: Settings) -> InsightReader:
    """Return the reader of sentiment and key phrases; by default Amazon Comprehend in `aws`, elsewhere a list of words.

    Raises:
        ConfigurationError: the settings name Comprehend with a stand-in for AWS.
    """
    wanted = settings.calls.insights or ("comprehend" if settings.environment == "aws" else "words")
    if wanted == "words":
        return WordReader()
    if settings.aws.endpoint is not None:
        raise ConfigurationError(
            "OMNI_CALLS_INSIGHTS is comprehend, which the local AWS does not have: unset it, or set it to words"
        )
    from service.calls.insights.comprehend import ComprehendReader
    from service.kit.aws.clients import client

    return ComprehendReader(client("comprehend", settings, attempts=1))


def build_transcriber(settings: Settings) -> Transcriber | None:
    """Return the transcriber of the settings; by default Amazon Transcribe in `aws`, elsewhere Whisper if it is installed.

    Raises:
        ConfigurationError: the settings name Whisper, and it is not installed.
    """
    from service.calls.hear import whisper

    wanted = settings.calls.transcriber or ("amazon" if settings.environment == "aws" else "whisper")
    if wanted == "amazon":
        from service.calls.hear.amazon_transcribe import AmazonTranscriber, notify_topic
        from service.calls.tenants.store import build_tenants
        from service.kit.aws.clients import client

        tenants = build_tenants(settings, dynamodb=client("dynamodb", settings))
        return AmazonTranscriber(
            client("transcribe", settings),
            client("s3", settings),
            inputs=settings.calls.bucket,
            outputs=settings.calls.results_bucket,
            language=settings.calls.transcribe_language,
            kms_key=settings.calls.kms_key,
            role=settings.calls.transcribe_role,
            vocabulary=tenants.vocabulary,
            tags=tenants.tags,
            notify=notify_topic(client("sns", settings), settings.calls.topic),
        )
    if wanted == "whisper" and whisper.is_installed():
        return whisper.WhisperTranscriber()
    if settings.calls.transcriber == "whisper":
        raise ConfigurationError(
            "OMNI_TRANSCRIBER is whisper, which is not installed: make setup EXTRAS=1 (pip: 'omni-insights[speech]')"
        )
    return None


def build_redactor(settings: Settings) -> TranscriptRedactor:
    """Return the redactor of calls, by ``OMNI_REDACTOR``: the patterns, with the finder that the settings name."""
    finder = build_finder(settings, settings.calls.redactor, "OMNI_REDACTOR")
    return PatternRedactor() if finder is None else FindingRedactor(finder)


def served_from(
    settings: Settings, cards: "ModelCards", pair: str | None, production: PairSource | None = None
) -> Callable[[str], ServedPair]:
    """Return a function from a tenant to its pair: the named pair's file, or the released pair, of ``production`` if given.

    Raises:
        ConfigurationError: the named pair has no file, or there is no verified release.
    """
    from service.core.tasks.scorecard import TASK

    if pair is not None:
        from service.core.unit.pair_file import load_pair

        path = settings.prompts_dir / _TASK / f"{pair}.prompty"
        if not path.is_file():
            raise ConfigurationError(f"there is no pair {pair!r}: {path.name} is not in prompts/{_TASK}/")
        named = ServedPair(
            pair=load_pair(path, cards=cards, task_variables=TASK.variables, part_variables=TASK.part_variables),
            registry_version=0,
            sequence=0,
            released_at="",
            released_by="",
            source="file",
        )
        return lambda tenant: named
    source = production or released_source(settings)
    return lambda tenant: source.current()


def released_source(settings: Settings) -> PairSource:
    """Return the source of the released pair, which switches to later releases.

    Raises:
        ConfigurationError: there is no verified release.
    """
    from service.core.release.registry import RegistryPairSource

    source = RegistryPairSource(_TASK, settings)
    source.refresh()
    try:
        source.current()
    except RegistryError as err:
        raise ConfigurationError(
            f"no released pair to score with ({err}): release one (omni gate PAIR --task {_TASK}, then omni promote "
            f"PAIR --task {_TASK} --why ...), or name one with --pair"
        ) from err
    source.start()
    return source


def wait_for_release(settings: Settings, *, sleep: Callable[[float], None] = time.sleep) -> None:
    """Return when there is a verified release. Each look until then is a round, so that a waiting worker is not silent."""
    from service.core.release.registry import RegistryPairSource

    source, told = RegistryPairSource(_TASK, settings), False
    while True:
        source.refresh()
        try:
            source.current()
        except RegistryError as err:
            if not told:
                say(f"calls wait for the first release: {err}", file=sys.stderr)
            told = True
            metrics.count(metrics.WORKER_ROUNDS, "calls")
            sleep(LONGEST_WAIT_S)
        else:
            return


def _rollout(
    settings: Settings, production: PairSource, results: Callable[[str], TenantResults], dynamodb: Any
) -> CallRollout:
    """Return the rollout that the service follows for the same task, as it stands now, and follow it."""
    from service.core.release.ledger_copy import signed_step
    from service.core.release.registry import CandidateReader
    from service.kit.records.shared_state import open_shared_state
    from service.rollouts.control import RolloutControl
    from service.rollouts.shadow import Shadow

    control = RolloutControl(
        _TASK,
        production,
        CandidateReader(_TASK, settings),
        settings.state_dir / "rollout" / _TASK,
        signed=partial(signed_step, _TASK, settings),
        shared=open_shared_state(settings, dynamodb),
        every_s=settings.registry.refresh_s,
    )
    control.tick()  # the first call, too, is one of the share or not
    control.start()
    return CallRollout(control=control, shadow=Shadow(settings.state_dir / "shadow"), results=results, now=_now)


def _now() -> datetime:
    return datetime.now(UTC)
