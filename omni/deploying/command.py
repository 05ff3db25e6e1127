"""``deploy``: keeps releases of pairs out while new code is deployed."""

import os
from typing import TYPE_CHECKING, Annotated

import typer

from figures.command_line import REASON, omni
from service.kit.frame.display.terminal import say
from service.kit.frame.errors import ConfigurationError

if TYPE_CHECKING:
    from service.kit.settings import Settings
    from service.rollouts.change_lock import ChangeLock

_SERVICE = "omni-service"  # the family of its task definitions
_OF_THE_CONTAINER = frozenset({"OMNI_TRUSTED_KEYS", "OMNI_HOST"})  # a file and an address that exist there alone
_UNKNOWN = "unknown-because-deploy-settings-failed"  # an OMNI_ENVIRONMENT with which no command runs
deploy = typer.Typer(no_args_is_help=True, help="Keep releases of pairs out while new code is deployed.")
DeployedBy = Annotated[
    str, typer.Option(help="Who deploys: a name that the other commands repeat, such as a run's number.")
]


@deploy.command("begin")
def begin(
    holder: DeployedBy,
    why: Annotated[str, typer.Option(help="The reason, shown to whoever is refused.")],
    for_min: Annotated[float, typer.Option(min=1, max=240, help="Minutes until the lock expires by itself.")] = 90,
) -> None:
    """Take the lock, unless a pair is being released or rolled out; the same holder prolongs it."""
    from eval.spine.errors import Refused
    from service.rollouts.change_lock import ChangeHeld

    lock, settings = _lock()
    try:
        change = lock.begin("deployment", holder, why, for_s=for_min * 60)
        if (running := _rollouts(settings)) is not None:
            lock.end(change)
            raise Refused(f"{running}. Promote its pair, or end it (`{omni('rollout-end', *REASON)}`), then deploy")
    except ChangeHeld as err:
        raise Refused(str(err)) from err
    say(f"begun: {change}")


@deploy.command("end")
def end(holder: DeployedBy) -> None:
    """Give the lock back."""
    from eval.spine.errors import Refused
    from service.rollouts.change_lock import ChangeHeld

    lock, _ = _lock()
    present = lock.present()
    if present is None:
        say("nobody changes production; nothing to end")
        return
    if (present.kind, present.holder) != ("deployment", holder):
        raise Refused(f"{holder} does not hold the lock: {present}")
    try:
        lock.end(present)
    except ChangeHeld as err:
        raise Refused(str(err)) from err
    say(f"ended: {present}")


@deploy.command("status")
def status() -> None:
    """Say who changes production now, and which pair is rolled out."""
    lock, settings = _lock()
    say(str(lock.present() or "nobody changes production"))
    if (running := _rollouts(settings)) is not None:
        say(running)


@deploy.command("smoke")
def smoke(
    url: Annotated[str, typer.Argument(help="Address of the service, as in http://localhost:8080.")],
    account: Annotated[str, typer.Option(help="The canary account: a customer that nobody is.")],
    client: Annotated[
        str | None,
        typer.Option(help="Secret in Secrets Manager with the client that asks; without it, the token is SMOKE_TOKEN."),
    ] = None,
    gateway_key: Annotated[
        str, typer.Option(help="Key of the API's gateway, where customers ask; without it, the service's own address.")
    ] = "",
) -> None:
    """Ask for a summary about the canary account, which has a history; fail unless a model answered."""
    from eval.spine.errors import Refused
    from service.operate.deployment.smoke import smoke_problem

    token = os.environ.get("SMOKE_TOKEN", "") if client is None else _token(url, client, gateway_key)
    problem = smoke_problem(url, account, token, key=gateway_key)
    if problem is not None:
        raise Refused(f"the smoke test of {url} failed: {problem}")
    say(f"{url} is ready and answers")


@deploy.command("settings")
def settings_of_service() -> None:
    """Print the deployed service's settings, without secrets, as lines for a shell: eval "$(omni deploy settings)".

    Where AWS does not tell, the line printed makes every later command of that shell refuse: a shell does not stop at a failed
    ``eval``, and would ask the local stack.
    """
    import shlex

    from botocore.exceptions import BotoCoreError, ClientError

    from service.kit.aws import clients
    from service.kit.frame.errors import StoreError
    from service.kit.settings import Settings

    if os.environ.get("OMNI_ENVIRONMENT") == _UNKNOWN:
        del os.environ["OMNI_ENVIRONMENT"]  # of the try before
    try:
        found = clients.client("ecs", Settings()).describe_task_definition(taskDefinition=_SERVICE)["taskDefinition"]
    except (BotoCoreError, ClientError) as err:
        problem = err.response["Error"]["Code"] if isinstance(err, ClientError) else type(err).__name__
        say(f"export OMNI_ENVIRONMENT={_UNKNOWN}")
        raise StoreError(
            f"AWS does not tell what {_SERVICE} runs with ({problem}): set AWS_REGION and credentials of its account"
        ) from err
    for container in found["containerDefinitions"]:
        for one in container.get("environment", []):
            if one["name"] not in _OF_THE_CONTAINER:
                say(f"export {one['name']}={shlex.quote(one['value'])}")


def _token(url: str, secret: str, gateway_key: str) -> str:
    """Return a new token of the client that a secret holds: none is stored, so none has run out."""
    import json

    import httpx2
    from botocore.exceptions import BotoCoreError, ClientError

    from service.kit.aws import clients
    from service.kit.frame.errors import StoreError
    from service.kit.settings import Settings
    from service.operate.deployment.smoke import token_of

    try:
        found = json.loads(
            clients.client("secretsmanager", Settings()).get_secret_value(SecretId=secret)["SecretString"]
        )
        return token_of(url, found["id"], found["secret"], key=gateway_key)
    except (BotoCoreError, ClientError) as err:
        problem = err.response["Error"]["Code"] if isinstance(err, ClientError) else type(err).__name__
        raise StoreError(
            f"the secret {secret!r} cannot be read ({problem}): the role needs GetSecretValue on it"
        ) from err
    except (httpx2.HTTPError, KeyError, ValueError) as err:
        raise StoreError(f"{url} gives the client of {secret!r} no token: {type(err).__name__}: {err!s:.200}") from err


def _lock() -> "tuple[ChangeLock, Settings]":
    from eval.release.services import services_table
    from service.kit.settings import Settings
    from service.rollouts.change_lock import ChangeLock

    settings = Settings()
    shared = services_table(settings)
    if shared is None:
        raise ConfigurationError("there is no stack to deploy to: name one in OMNI_ENVIRONMENT, or run `make up`")
    return ChangeLock(shared), settings


def _rollouts(settings: "Settings") -> str | None:
    """Return a line about the first task whose customers are divided between two pairs."""
    from eval.release.rollout import running_rollout

    for task in settings.serving.required_tasks:
        if (step := running_rollout(task, settings)) is not None:
            return f"a rollout runs: step {step.sequence} of {task} gives {step.pair_name} {step.percent}% of the customers"
    return None
