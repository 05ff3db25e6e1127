"""The guide's commands deploy the stacks that stand beside them: what each needs, in order, and how many there are."""

import json
import re
import shlex
import subprocess
from pathlib import Path
from unittest.mock import Mock

import pytest

from service.access.items import CLIENT, KEY
from service.access.sealing import KmsSealer

ROOT = Path(__file__).resolve().parents[2]
GUIDE = (ROOT / "docs" / "guides" / "deploying.md").read_text(encoding="utf-8")
WAY = GUIDE.partition("## From an empty account to the first answer")[2].partition("### Then")[0]
TEMPLATES = ROOT / "infra" / "cdk" / "templates" / "prod"
STACKS = {file.stem: json.loads(file.read_text(encoding="utf-8")) for file in sorted(TEMPLATES.glob("*.json"))}
WORKFLOWS = {
    name: (ROOT / ".github" / "workflows" / f"{name}.yml").read_text(encoding="utf-8") for name in ("image", "deploy")
}


def _lines(text):
    """Each command of ``text`` as words, in the order in which they stand there."""
    blocks = re.findall(r"^ *```text\n(.*?)^ *```", text.replace("\\\n", " "), re.MULTILINE | re.DOTALL)
    return [shlex.split(line) for block in blocks for line in block.splitlines() if line.strip()]


def _deployed(words):
    """The stacks that a line deploys by name, with the parameters that it gives each."""
    if "tools/cdk.py" in words:
        names = [word for word in words[words.index("deploy") + 1 :] if word.startswith("omni-") and ":" not in word]
        given = [words[place + 1] for place, word in enumerate(words) if word == "--parameters"]
        return names, [tuple(one.partition("=")[0].split(":")) for one in given]
    if words[:3] == ["aws", "cloudformation", "deploy"]:
        name = words[words.index("--stack-name") + 1]
        return [name], [(name, word.partition("=")[0]) for word in words if "=" in word]
    return [], []


def _needs(stack):
    """The stacks whose exports a template imports, and theirs."""
    imported = set(re.findall(r'"Fn::ImportValue": "(omni-[a-z]+):', json.dumps(STACKS.get(stack, {}))))
    return imported.union(*(_needs(one) for one in imported))


def _stacks():
    table = GUIDE.partition("## What there is")[2].partition("\n\nThey depend")[0]
    return re.findall(r"^\| `(omni-[a-z]+)` \|", table, re.MULTILINE)


def test_a_newcomer_types_twelve_commands():
    assert re.findall(r"^(\d+)\. ", WAY, re.MULTILINE) == [str(number) for number in range(1, 13)]
    assert "Twelve commands follow" in WAY


def test_the_table_has_every_stack_after_those_that_it_needs():
    stacks = _stacks()
    assert set(stacks) == {*STACKS, "omni-api", "omni-quicksight"}  # these two are not committed
    for place, stack in enumerate(stacks):
        assert _needs(stack) <= set(stacks[:place]), stack


def test_every_stack_is_deployed_by_name_or_with_one_that_needs_it():
    named = [name for words in _lines(GUIDE) for name in _deployed(words)[0]]
    along = {
        one
        for name in named
        for one in (_needs("omni-service") | {"omni-service"} if name == "omni-api" else _needs(name))
    }
    assert set(named) | along == set(_stacks())


@pytest.mark.parametrize("stack", sorted(STACKS))
@pytest.mark.acceptance("operation-21")
def test_a_command_gives_what_the_template_asks_for(stack):
    """CDK deploys nothing while a parameter is missing, and CloudFormation says so after it has begun."""
    parameters = STACKS[stack].get("Parameters", {})
    asked = {name for name, parameter in parameters.items() if "Default" not in parameter}
    given = {name for words in _lines(GUIDE) for one, name in _deployed(words)[1] if one == stack}
    assert asked <= given <= set(parameters)


def test_the_first_stack_fits_into_a_deployment_without_a_bucket():
    assert (TEMPLATES / "omni-bootstrap.json").stat().st_size < 51_200


def test_what_a_step_needs_was_made_by_a_step_before():
    """The service is not stable without keys, client and release; the runner needs the connection, which a person confirms."""
    order = [
        *("--stack-name omni-bootstrap", "confirm the connection", "tools/github.sh", "workflow run image"),
        *("tools/functions.py", "deploy omni-registry omni-runner", "once more", "token-keys --rotate"),
        *("omni-smoke-client", "workflow run promote", "deploy omni-api", "omni deploy smoke"),
    ]
    places = [WAY.index(part) for part in order]
    assert places == sorted(places)


def test_who_is_on_call_opens_what_seals_a_client_and_no_key_that_signs_tokens():
    (right,) = re.findall(
        r'"StringLike": \{"kms:EncryptionContext:(.*?)": "(.*?)\*"\}', json.dumps(STACKS["omni-bootstrap"])
    )
    kms = Mock(**{"encrypt.return_value": {"CiphertextBlob": b""}})
    KmsSealer(lambda: kms, "KEY").seal(b"", CLIENT + "acme")
    (context,) = kms.encrypt.call_args.kwargs["EncryptionContext"].items()
    assert right == (context[0], CLIENT)
    assert not KEY.startswith(CLIENT)


def test_the_guide_says_which_people_open_token_keys():
    table = GUIDE.partition("## What a role may do")[2].partition("\n## ")[0]
    rows = {
        cells[1].strip(): cells[2].strip()
        for cells in (line.split("|") for line in table.splitlines())
        if len(cells) > 2
    }
    assert rows["`omni-operator`"] == "yes"
    assert rows["`omni-on-call`"] == "no"


def test_a_task_may_pull_the_images_that_the_workflows_push_and_deploy():
    service = (TEMPLATES / "omni-service.json").read_text(encoding="utf-8")
    may_pull = set(re.findall(r":repository/(omni-[a-z]+)\"", service))
    assert may_pull == {"omni-service", "omni-workers"}
    made = {
        one["Properties"]["RepositoryName"]
        for one in STACKS["omni-bootstrap"]["Resources"].values()
        if one["Type"] == "AWS::ECR::Repository"
    }
    assert made == may_pull | {"omni-registry"}
    # What the variable holds, so that "$REPOSITORY"-service is omni-service.
    assert ".amazonaws.com/omni:" in WORKFLOWS["image"]
    assert WORKFLOWS["image"].count('"$REPOSITORY"-"$target') == 2
    assert re.search(r"for target in ([a-z ]+); do", WORKFLOWS["image"])[1].split() == [
        name.removeprefix("omni-") for name in ("omni-service", "omni-workers", "omni-registry")
    ]
    for kind in ("service", "workers"):
        assert f'"$REPOSITORY"-{kind}@"$' in WORKFLOWS["deploy"]


@pytest.mark.parametrize(
    ("there", "code", "kept"),
    [(False, 0, "create-secret --name"), (True, 0, "put-secret-value --secret-id"), (True, 2, None)],
)
def test_the_smoke_tests_client_gets_a_new_secret_when_its_step_runs_again(tmp_path, there, code, kept):
    block = next(one for one in re.findall(r"```text\n(.*?)```", WAY, re.DOTALL) if "omni-smoke-client" in one)
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    omni, aws = tmp_path / ".venv" / "bin" / "omni", tmp_path / "aws"
    omni.write_text(f"#!/bin/sh\necho its secret:\necho s3cret\nexit {code}\n", encoding="utf-8")
    refuses = '[ "$2" != create-secret ] || exit 254\n' if there else ""
    aws.write_text(f'#!/bin/sh\n{refuses}echo "$@" >> kept\n', encoding="utf-8")
    for file in (omni, aws):
        file.chmod(0o755)
    env = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    done = subprocess.run(["bash", "-c", block], cwd=tmp_path, env=env, capture_output=True, check=False)
    assert done.returncode == code
    asked = (tmp_path / "kept").read_text(encoding="utf-8") if (tmp_path / "kept").exists() else None
    secret = '--secret-string {"id": "smoke", "secret": "s3cret"}\n'  # pragma: allowlist secret
    assert asked == (kept and f"secretsmanager {kept} omni-smoke-client {secret}")
    assert (tmp_path / "kept").exists() == (kept is not None)
