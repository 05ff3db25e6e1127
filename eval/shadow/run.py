"""Makes a shadow report from stored answers to a verdict: finds the pairs by digest, reads, judges."""

import datetime as dt
from pathlib import Path

from eval.shadow.decide import judge_shadows
from eval.shadow.report import ShadowReport, write_shadow_report
from eval.shadow.stored import choose_candidate, read_shadows
from eval.spine.errors import ShadowError
from eval.suites import load_suite
from figures.files import out_folder
from service.answers_kept.archive import Archive
from service.calls.store.objects import TenantResults, all_tenants
from service.core.release.release import DIGEST_TAG
from service.core.run.task import load_task
from service.core.tasks.scorecard import TASK as SCORECARD
from service.core.unit.cards import ModelCards
from service.core.unit.pair import Pair
from service.core.unit.pair_file import load_pair
from service.kit.frame.errors import PairError
from service.kit.settings import Settings


def shadow_report(task_name: str, settings: Settings, *, candidate: str | None, most: int) -> tuple[ShadowReport, Path]:
    """Judge the stored shadow answers of a candidate, write the report, and return it with its page's path.

    Args:
        task_name: name of the task.
        settings: where files, S3 and the registry are.
        candidate: the beginning of the candidate's digest; None: the candidate of the newest answer.
        most: how many records to read, the newest.

    Raises:
        ShadowError: there is nothing to judge.
        StoreError: S3 does not answer.
        RegistryError: the candidate has no file any more and the registry does not answer.
    """
    task = load_task(task_name)
    cards = ModelCards.load(settings.prompts_dir / "models.yaml")
    stored = read_shadows(task_name, settings, _archive(settings), most=most, tenants=_tenants(task_name, settings))
    comparison = choose_candidate(stored.records, candidate)
    pairs = _pairs_of(task_name, cards, settings, (comparison.candidate, comparison.production))
    pair = pairs.get(comparison.candidate)
    if pair is None:
        raise ShadowError(
            f"pair {comparison.candidate[:12]} is neither a file of {settings.prompts_dir / task_name} nor registered, so its "
            "deadline and models are unknown; restore the file and run again"
        )
    now = dt.datetime.now(dt.UTC)
    production = pairs.get(comparison.production)
    report = ShadowReport(
        result=judge_shadows(
            comparison, task=task, suite=load_suite(task_name), cards=cards, pair=pair, today=now.date()
        ),
        stored=stored,
        production=production.name if production is not None else comparison.production[:12],
        made_at=now,
        environment=settings.environment,
    )
    folder = out_folder(settings.root, "shadow") / f"{task_name}-{now:%Y%m%dT%H%M%S}-{comparison.candidate[:12]}"
    return report, write_shadow_report(report, folder)


def _archive(settings: Settings) -> Archive | None:
    from service.kit.aws.clients import client

    if settings.environment == "local" and settings.aws.endpoint is None:
        return None
    return Archive(client("s3", settings, attempts=2), settings.stores.archive_bucket)


def _tenants(task: str, settings: Settings) -> list[TenantResults]:
    """Return the results of every tenant whose calls the task scores; the operator alone may read them all."""
    from service.kit.aws.clients import client

    if task != SCORECARD.name or (settings.environment == "local" and settings.aws.endpoint is None):
        return []
    return all_tenants(client("s3", settings, attempts=2), settings.calls.results_bucket)


def _pairs_of(task: str, cards: ModelCards, settings: Settings, digests: tuple[str, ...]) -> dict[str, Pair]:
    """Return the pairs with these digests: from their files, else from the registry."""
    found: dict[str, Pair] = {}
    for path in sorted((settings.prompts_dir / task).glob("*.prompty")):
        try:
            pair = load_pair(
                path,
                cards=cards,
                task_variables=load_task(task).variables,
                part_variables=load_task(task).part_variables,
            )
        except PairError:  # another pair's file is no concern of this report
            continue
        if pair.digest in digests:
            found[pair.digest] = pair
    if len(found) < len(set(digests)):
        from eval.tracking.store import Tracking

        tracking = Tracking(settings.registry.uri, trusted_keys=settings.trusted_keys_file)
        for version, tags in tracking.version_tags(task):
            digest = tags.get(DIGEST_TAG, "")
            if digest in digests and digest not in found:
                found[digest] = tracking.pair_of(task, version)
    return found
