"""Steps that run what the runbooks say, by the rights of whoever is on call, and the commands of those pages."""

import json
import re
import shlex
import time
from collections.abc import Iterator
from typing import Any

import botocore.session
import botocore.validate
import jmespath
from botocore import xform_name

from omni.deploying.rehearsal.account import ACCOUNT, REGION, CannotDeploy
from omni.deploying.rehearsal.in_use import ask
from omni.deploying.rehearsal.rights import AwsRequest, Need, allows
from omni.deploying.rehearsal.steps import RehearsalSteps, expect
from omni.deploying.rehearsal.world import LocalProduction
from service.core.unit.cards import ModelCards
from service.kit.settings import REPO_ROOT

STEPS = RehearsalSteps()
FOLDER = REPO_ROOT / "docs" / "runbooks"
PAGES = sorted(set(FOLDER.glob("*.md")) - {FOLDER / "README.md"})
ON_CALL, PERSON = "omni-on-call", "person-on-call"
_MODELS = botocore.session.Session()
_TOOLS_OWN = {("logs", "tail")}  # no operation of the service's: the command line's own
_IN_IAM = {"service-quotas": "servicequotas"}  # the command line's names that IAM has otherwise
_OPERATORS = frozenset({"token-keys"})  # keys are rotated by omni-operator
_TASK = "omni-schedule"
_SIGN = frozenset({"rollback", "rollout", "rollout-end", "promote"})


def blocks(page: str, kind: str) -> list[str]:
    """Return the blocks of a kind (``bash``, ``console``, ``insights``) on a page."""
    text = (FOLDER / f"{page}.md").read_text(encoding="utf-8")
    return [block.strip() for block in re.findall(rf"^```{kind}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)]


def commands(block: str) -> list[list[str]]:
    """Return the words of each command; one that a variable takes its value from counts as well."""
    text = re.sub(r"^\w+=\$\((.*?)\)$", r"\1", block.replace("\\\n", " "), flags=re.MULTILINE | re.DOTALL)
    text = text.replace("BACKUP_ARN", "arn:aws:dynamodb:eu-west-1:123456789012:table/omni-restored/backup/0123")
    text = re.sub(r"\bTIME\b", "2026-11-22T03:00:00Z", re.sub(r'"\$\(date [^)]*\)"', "1795316400", text))
    return [shlex.split(line) for line in text.splitlines()]


def aws_call(words: list[str]) -> tuple[str, str, Any]:
    """Return service, operation and arguments of a line of the AWS command line.

    Raises:
        CannotDeploy: AWS's own model of the operation does not take the arguments.
        LookupError, ValueError: there is no such service, operation or option.
    """
    service, command, *options = words
    if (service, command) in _TOOLS_OWN:
        return service, command, options
    if "--query" in options:
        jmespath.compile(options.pop(options.index("--query") + 1))
        options.remove("--query")
    if "--output" in options:
        del options[(place := options.index("--output")) : place + 2]
    if command == "wait":
        waiter = options.pop(0).title().replace("-", "")
        command = xform_name(_MODELS.get_waiter_model(service).get_waiter(waiter).operation, "-")
    model = _MODELS.get_service_model({"s3api": "s3"}.get(service, service))
    (operation,) = [name for name in model.operation_names if xform_name(name, "-") == command]
    shape = model.operation_model(operation).input_shape
    members = {xform_name(name, "-"): (name, member) for name, member in (shape.members if shape else {}).items()}
    given: dict[str, Any] = {}
    position = 0
    while position < len(options):
        option = options[position].removeprefix("--")
        name, member = members[option if option in members else option.removeprefix("no-")]
        if member.type_name == "boolean":
            given[name], position = option in members, position + 1
        else:
            text, position = options[position + 1], position + 2
            number = member.type_name in ("integer", "long")
            given[name] = int(text) if number else text.split(",") if member.type_name == "list" else text
    if shape:
        found = botocore.validate.ParamValidator().validate(given, shape)
        if found.has_errors():
            raise CannotDeploy(found.generate_report())
    return str(model.service_name), operation, given


def _on_call(world: LocalProduction) -> None:
    world.aws.roles[PERSON] = world.account.statements(ON_CALL)


def _run(world: LocalProduction, words: list[str], **instead: str) -> Any:
    """Run one ``aws`` line by the rights of whoever is on call; ``instead`` replaces arguments."""
    service, operation, given = aws_call(words)
    given |= {name: value for name, value in instead.items() if name in given}
    return getattr(world.client(service, PERSON), xform_name(operation))(**given)


def _block(page: str, having: str) -> list[list[str]]:
    found = [block for block in blocks(page, "console") if having in block]
    expect(len(found) == 1, f"{page}.md has {len(found)} blocks with {having}")
    return [words for _, *words in commands(found[0])]


@STEPS.step("Restore a table", "by its page and the rights of whoever is on call; answers go on")
def _restore_table(world: LocalProduction) -> str:
    """The table of clients, keys and releases is lost and comes back; the local AWS copies what is there, as of now."""
    _on_call(world)
    dynamodb, table = world.account["dynamodb"], world.person["OMNI_SHARED_TABLE"]
    before = dynamodb.scan(TableName=table)["Count"]
    began, backup = time.monotonic(), ""
    for words in _block("restore", "restore-table-from-backup"):
        answer = _run(world, words, BackupArn=backup)
        backup = answer.get("BackupDetails", {}).get("BackupArn", backup)
        if words[1] == "delete-table":
            time.sleep(2.0)
            ask(world)  # what the tasks know is enough meanwhile
    seconds, after = time.monotonic() - began, dynamodb.scan(TableName=table)["Count"]
    expect(after >= before, f"{after} of {before} items came back under the name {table}")
    ask(world)
    said = world.omni("client", "later", "--scopes", "summaries")
    return (
        f"{after} items after {seconds:.0f} s; answers went on; a client can be added ({len(said.splitlines())} lines)"
    )


@STEPS.step("A key waits for its deletion", "its page makes it usable, by the rights of whoever is on call")
def _key(world: LocalProduction) -> str:
    """The key that seals token keys is scheduled for deletion: nothing can be sealed until the page's commands ran."""
    kms = world.account["kms"]
    key = kms.describe_key(KeyId="alias/omni-token-keys")["KeyMetadata"]["Arn"]
    kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    lost = world.shell("omni token-keys --rotate")
    expect(lost.returncode != 0, "a key that waits for its deletion seals")
    began = time.monotonic()
    try:
        for words in _block("keys", "cancel-key-deletion"):
            _run(world, [key if word == "KEY" else word for word in words])
        seconds = time.monotonic() - began
        world.omni("token-keys", "--rotate")
    finally:
        kms.enable_key(KeyId=key)  # the steps after this one go on, whatever the page does
    return f"{lost.stderr.strip().splitlines()[-1]:.90}; usable again after {seconds:.0f} s"


def _needs(service: str, operation: str, given: dict[str, Any]) -> list[Need]:
    asked = AwsRequest(
        service=_IN_IAM.get(service, service), region=REGION, method="POST", target="/",
        headers={"x-amz-target": f"x.{operation}"}, body=json.dumps(given).encode(),
    )  # fmt: skip
    return asked.needs(ACCOUNT)


def _lines() -> Iterator[tuple[str, str, list[str]]]:
    for page in PAGES:
        for kind in ("bash", "console"):
            for block in blocks(page.stem, kind):
                for program, *words in commands(block):
                    yield page.stem, program, words


@STEPS.step("Runbooks", "each line can be run by whoever is on call")
def _runbooks(world: LocalProduction) -> str:
    """Each ``aws`` line is one that the role allows; none of ``omni`` signs, for no person has the key."""
    _on_call(world)
    problems, counted = [], 0
    known = ModelCards.load(REPO_ROOT / "prompts" / "models.yaml")
    for page, program, words in _lines():
        counted += 1
        if program == "omni" and words[0] in _SIGN:
            problems.append(f"{page}.md prints omni {words[0]} for a person, who has no key that signs")
        if words[:2] == ["models", "check"] and words[2] != "MODEL" and words[2] not in known:
            problems.append(f"{page}.md asks a model {words[2]}, which prompts/models.yaml does not name")
        if program == "aws":
            service, operation, given = aws_call(words)
            if (service, operation) in _TOOLS_OWN:
                continue
            needs = _needs(service, operation, given)
            refused = [need for need in needs if not allows(world.aws.roles[PERSON], need)]
            problems += [f"{page}.md: {ON_CALL} may not {need}" for need in refused]
    expect(not problems, "; ".join(sorted(set(problems))))
    return f"{counted} lines on {len(PAGES)} pages"


@STEPS.step(
    "Runbooks' commands of omni", "none is refused what it asks of AWS, by the rights that the pages' README names"
)
def _omni_lines(world: LocalProduction) -> str:
    """What pages run in a clone or as a task (``bash``); 1 says that something needs somebody. Redshift is not here."""
    lines: dict[str, str] = {}
    for page in PAGES:
        for block in blocks(page.stem, "bash"):
            lines |= {shlex.join(words): page.stem for words in commands(block) if words[0] == "omni"}
    task = world.account.role_of(_TASK)
    world.aws.roles[task] = world.account.statements(task)
    log_key = world.account.container("omni-service", "service").secrets["OMNI_LOG_KEY"]
    given = {"OMNI_LOG_KEY": world.account.secret(log_key)}
    problems = []
    for line, name in lines.items():
        done = world.shell(line, key=_whose(line.split()[1], task), **given)
        said = (done.stderr.strip() or done.stdout.strip() or "it says nothing").splitlines()[-1]
        if "AccessDenied" in done.stdout + done.stderr or (done.returncode not in (0, 1) and "Redshift" not in said):
            problems.append(f"{name}.md: {line} ended with {done.returncode}: {said[-150:]}")
    expect(not problems, "; ".join(problems))
    return f"{len(lines)} lines, none refused"


def _whose(command: str, task: str) -> str:
    """Whose rights a command of ``omni`` has by the pages' README: a person's, an operator's, or those of a task."""
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    (told,) = re.findall(r"^\*\*What asks the registry.*?\((.*?)\) runs in its network", text, re.MULTILINE | re.DOTALL)
    in_network = {words.removeprefix("omni ").split()[0] for words in re.findall("`(.*?)`", told)}
    return task if command in in_network else "operator" if command in _OPERATORS else PERSON
