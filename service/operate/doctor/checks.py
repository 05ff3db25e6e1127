"""All checks of a deployment in the order in which their causes lead to each other."""

import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from service.kit.aws.clients import client
from service.kit.frame.errors import ServiceError
from service.kit.settings import Settings
from service.operate.doctor.stores import check_bucket, check_key, check_queue, check_table

_MOST_SKEW_S = 60.0  # AWS refuses signatures that are five minutes off
_LEAST_FREE_MB = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedPart:
    """One part of a deployment; ``problem`` is empty if it is well, ``runbook`` a page of docs/runbooks."""

    part: str
    problem: str = ""
    do: str = ""
    runbook: str = ""


def check_deployment(settings: Settings, *, now: Callable[[], float] = time.time) -> Iterator[CheckedPart]:
    """Check everything that ``settings`` name; without credentials that AWS accepts no store is asked."""
    yield _disk(settings)
    account = list(_account(settings, now))
    yield from account
    if not account[0].problem:
        yield from _stores(settings)
    models: set[str] = set()
    for task in settings.serving.required_tasks:
        yield _release(task, settings, models)
        if settings.environment == "aws":
            yield _told(task)
    if settings.environment == "aws" and not account[0].problem:
        yield from _models(settings, sorted(models))
    yield _last_known_good(settings)


def _disk(settings: Settings) -> CheckedPart:
    folder = next(one for one in (settings.state_dir, *settings.state_dir.parents) if one.exists())
    free_mb = shutil.disk_usage(folder).free // 1_000_000
    if free_mb >= _LEAST_FREE_MB:
        return CheckedPart(part="disk")
    do = f"make room under {folder}: answers wait there while a store is down"
    return CheckedPart(part="disk", problem=f"{free_mb} MB are free", do=do, runbook="unkept-answers")


def _account(settings: Settings, now: Callable[[], float]) -> Iterator[CheckedPart]:
    from email.utils import parsedate_to_datetime

    from botocore.exceptions import BotoCoreError, ClientError

    try:
        found = client("sts", settings, attempts=1).get_caller_identity()
    except ClientError as err:
        code = err.response["Error"]["Code"]
        yield CheckedPart(part="credentials", problem=f"AWS refuses them ({code})", do="renew them, or the task's role")
        return
    except BotoCoreError as err:
        do = "set credentials, and check the address of OMNI_AWS_ENDPOINT and the network; locally: omni up"
        yield CheckedPart(part="credentials", problem=f"AWS does not answer ({type(err).__name__})", do=do)
        return
    yield CheckedPart(part="credentials")
    date = found["ResponseMetadata"]["HTTPHeaders"].get("date")
    skew_s = now() - parsedate_to_datetime(date).timestamp() if date else 0.0
    if abs(skew_s) <= _MOST_SKEW_S:
        yield CheckedPart(part="clock")
    else:
        yield CheckedPart(
            part="clock", problem=f"it is {skew_s:+.0f} s off AWS's", do="let NTP or chrony set the clock"
        )


def _stores(settings: Settings) -> Iterator[CheckedPart]:
    from service.kit.aws.stores import BUCKETS, KMS_KEYS, QUEUES, TABLES

    names = settings.flat()
    on_aws = settings.environment == "aws"  # the local AWS leaves recovery out of a template
    dynamodb, sqs, s3, kms = (client(name, settings) for name in ("dynamodb", "sqs", "s3", "kms"))
    checks: list[tuple[str, str, Callable[[str], Iterator[tuple[str, str]]]]] = [
        *((f"table {names[one.setting]}", "restore", lambda _, one=one: check_table(
             dynamodb, one, names[one.setting], recoverable=on_aws))
          for one in TABLES),
        *((f"queue {names[one.setting]}", "dead-letters", lambda _, one=one: check_queue(sqs, one, names[one.setting]))
          for one in QUEUES),
        *((f"bucket {names[one.setting]}", "restore", lambda _, one=one: check_bucket(
             s3, one, names[one.setting], encrypted=on_aws))
          for one in BUCKETS),
        *((f"key {names[one.setting]}", "keys", lambda _, one=one: check_key(kms, names[one.setting]))
          for one in KMS_KEYS),
    ]  # fmt: skip
    for part, runbook, check in checks:
        yield from _found(part, runbook, check)


def _found(part: str, runbook: str, check: Callable[[str], Iterator[tuple[str, str]]]) -> Iterator[CheckedPart]:
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        problems = list(check(part))
    except ClientError as err:
        problems = [
            (f"AWS refuses to say: {err.response['Error']['Code']}", "does it exist, and may this role read it?")
        ]
    except BotoCoreError as err:
        problems = [(f"AWS does not answer ({type(err).__name__})", "check the network, and try again")]
    if not problems:
        yield CheckedPart(part=part)
    for problem, do in problems:
        yield CheckedPart(part=part, problem=problem, do=do, runbook=runbook)


def _models(settings: Settings, models: list[str]) -> Iterator[CheckedPart]:
    """Check access and quotas of the released pairs' models on Bedrock."""
    from service.operate.doctor.models import check_model

    bedrock, quotas = client("bedrock", settings), client("service-quotas", settings)
    for model in models:

        def check(_: str, model: str = model) -> Iterator[tuple[str, str]]:
            return check_model(bedrock, quotas, model)

        yield from _found(f"model {model}", "bedrock-throttles", check)


def _told(task: str) -> CheckedPart:
    """Check that somebody has verified what the task tells customers in trouble."""
    from service.core.run.task import load_task

    unverified = load_task(task).unverified()
    if not unverified:
        return CheckedPart(part=f"words of {task}")
    do = "read each on its source's page, and write the day into the task's file"
    return CheckedPart(part=f"words of {task}", problem=f"nobody has verified {', '.join(unverified)}", do=do)


def _release(task: str, settings: Settings, models: set[str]) -> CheckedPart:
    """Check registry, alias and signatures of a task's pair; add its models on Bedrock to ``models``."""
    from service.core.release.artifacts import with_artifacts
    from service.core.release.registry import fetch_released
    from service.core.unit.cards import ModelCards

    try:
        released = with_artifacts(fetch_released(task, settings), settings)
        cards = ModelCards.load(settings.prompts_dir / "models.yaml")
        models |= {name for name in released.pair.models if cards.get(name).wire == "bedrock"}
    except ServiceError as err:
        return CheckedPart(
            part=f"release of {task}", problem=str(err), do="see omni verify and omni history", runbook="registry-down"
        )
    return CheckedPart(part=f"release of {task}")


def _last_known_good(settings: Settings) -> CheckedPart:
    from service.core.release.last_known_good import read_last_known_good
    from service.core.release.statements import load_trusted_keys
    from service.core.release.unseen import UnseenPolicy

    part = "last known good pairs"
    try:
        for task in settings.serving.required_tasks:
            file = settings.state_dir / "served" / f"{task}.json"
            if file.exists():
                keys = load_trusted_keys(settings.trusted_keys_file)
                read_last_known_good(file, task, settings.environment, keys, UnseenPolicy.of(settings))
    except ServiceError as err:
        return CheckedPart(
            part=part, problem=str(err), do="delete the file; it is written anew", runbook="registry-down"
        )
    return CheckedPart(part=part)
