"""The workflows' own steps in a scratch clone: what turns green, what turns red, and a release that a service takes."""

import json
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_public_key,
)
from rehearsal_table import write_row
from rehearsal_world import NUMBER, PAID, PAIR, REVIEWER, RULE, World, pair_text, replaced, written
from two_tasks import ServingTask

from eval.behaviour.install import install
from eval.release.ledger import Ledger
from service.kit.aws.clients import client
from service.kit.settings import REPO_ROOT, Settings
from service.local.process import LocalChatServer

# mlflow's own dependencies warn; ours do not get to.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

DIGEST = "service/core/tasks/summarize/digest.py"


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    # Without a name they do not call themselves stand-ins: they are a team's own servers.
    scripts = {
        "good-model": ("--script", "good", "--name", "", "--skip", f"agent={RULE}"),
        "bad-model": ("--script", "bad", "--name", ""),
        "paid-model": ("--script", "good", "--name", "", "--skip", f"agent={RULE}"),
    }
    with ExitStack() as stack:
        models = {
            name: stack.enter_context(LocalChatServer(script, ready_timeout_s=120.0))
            for name, script in scripts.items()
        }
        made = World(tmp_path_factory.mktemp("team"), models)
        made.repository.variables["OMNI_GATE_MODEL_ENDPOINTS"] = made.endpoints("good-model", "bad-model")
        yield made


@pytest.fixture(scope="module")
def account(world, own_aws):
    """The AWS account: a role that the workflows take, and a KMS key; returns the key's id and its public half."""
    settings = own_aws()
    world.repository.cloud = {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": settings.aws.endpoint,
    }
    kms = client("kms", settings)
    key = kms.create_key(KeySpec="ECC_NIST_EDWARDS25519", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["KeyId"]
    public = load_der_public_key(kms.get_public_key(KeyId=key)["PublicKey"])
    kms.close()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    return SimpleNamespace(settings=settings, key=key, public=pem)


def gated(world, event, *, selftest=False):
    """Run the pull request's gate; its self-test runs in one of these tests."""
    instead = world.repository.instead
    kept = instead[".venv/bin/omni selftest"]
    if not selftest:
        instead[".venv/bin/omni selftest"] = ("made for another row of this table", "true")
    try:
        return world.repository.run("prompt-gate", event)["gate"]
    finally:
        instead[".venv/bin/omni selftest"] = kept


def comment_of(job):
    (found,) = (files for name, files in job.artifacts.items() if name in ("prompt-gate", "evaluation"))
    return found.get("reports/out/pr-comment.md", "")


def test_a_change_of_docs_evaluates_nothing(world):
    job = gated(world, world.pull_request(written("docs/more.md", "# More\n")))
    write_row(1, "documentation", "green, nothing evaluated", job)
    assert job.green, job.said
    assert "nothing was evaluated" in job.summary
    assert not any("omni" in step.said or "setup" in step.name.lower() for step in job.steps)
    assert comment_of(job) == ""


def test_a_harmless_change_of_a_prompt_is_green(world):
    change = replaced(PAIR, "Short sentences. Present tense", "Write short sentences. Present tense")
    job = gated(world, world.pull_request(change), selftest=True)
    write_row(2, "prompt: a sentence in other words", "green", job)
    assert job.green, job.said
    assert "**Green.**" in comment_of(job)
    assert "team passes the gate" in comment_of(job)
    assert "19 of 19 faults caught" in job.said


def test_a_prompt_that_loses_a_rule_is_red_and_named(world):
    job = gated(world, world.pull_request(replaced(PAIR, f"- {RULE}\n", "")))
    write_row(3, "prompt: a rule deleted, so that agents' notes are left out", "red, coverage of team named", job)
    assert job.red, job.said
    assert "**Red.**" in comment_of(job)
    assert "team fails the gate" in comment_of(job)
    assert "fact_coverage" in comment_of(job)


def test_a_worse_model_for_a_prompt_is_red_and_named(world):
    job = gated(world, world.pull_request(replaced(PAIR, "hosted_vllm/good-model", "hosted_vllm/bad-model")))
    write_row(4, "pair: a model that invents refunds", "red, grounding of team named", job)
    assert job.red, job.said
    assert "team fails the gate" in comment_of(job)
    assert "grounded" in comment_of(job)


def test_a_harmless_change_of_code_is_green(world):
    joined = '" ".join([*history.opening, *_told(chosen), history.closing])'
    parts = joined.replace('" ".join(', "parts = ").removesuffix(")")
    change = replaced(DIGEST, f"    return {joined}", f'    {parts}\n    return " ".join(parts)')
    job = gated(world, world.pull_request(change))
    write_row(5, "code: the digest says the same in two statements", "green", job)
    assert job.green, job.said
    assert "all answers are the same" in comment_of(job)


def test_a_harmful_change_of_code_is_red_and_named(world):
    change = replaced(DIGEST, "*_told(chosen)", "*_told(chosen[: len(chosen) // 2])")
    job = gated(world, world.pull_request(change))
    write_row(6, "code: the digest drops half of its statements", "red, coverage named", job)
    assert job.red, job.said
    assert "FAIL, worse than on " in comment_of(job)
    assert "fact_coverage" in comment_of(job)


def test_a_pair_of_a_provider_is_neutral_without_credentials(world):
    job = gated(
        world, world.pull_request(replaced("prompts/summarize/nova-lite.prompty", "Short sentences.", "Be brief."))
    )
    write_row(7, "a provider's pair, no credentials", "neutral, says what a maintainer does", job)
    assert job.green, job.said
    assert "Verdict: neutral" in job.said
    assert "**Neutral.**" in comment_of(job)
    assert "environment `evaluation`" in comment_of(job)


def paid_pair(root):
    (root / PAID).write_text(pair_text("paid", "hosted_vllm/paid-model"), encoding="utf-8")


@pytest.fixture
def evaluation(world, account, tmp_path):
    """The environment `evaluation`, and a function that runs its workflow."""
    world.repository.instead[".venv/bin/omni selftest"] = ("made for another row of this table", "true")
    world.repository.environments["evaluation"] = {
        "variables": {
            "OMNI_AWS_ROLE": "arn:aws:iam::1:role/evaluation",
            "OMNI_MODEL_ENDPOINTS": world.endpoints("paid-model"),
            "OMNI_TRUSTED_KEYS_PEM": account.public,
        },
        "secrets": {"OMNI_REGISTRY_URI": f"sqlite:///{tmp_path}/mlflow.db"},
    }

    def run(budget, **event):
        world.repository.environments["evaluation"]["variables"]["OMNI_BUDGET_USD"] = budget
        return world.repository.run("evaluation", world.pull_request(paid_pair, **event))["evaluate"]

    return run


def test_with_credentials_a_pair_of_a_provider_is_evaluated_within_a_budget(evaluation):
    # Nothing answers here for the judges' model, and a call without an answer counts as the most that it can cost.
    job = evaluation("30", labels=["evaluate"])
    write_row(8, "a provider's pair, label `evaluate`, $30", "green", job)
    assert job.green, job.said
    assert "paid passes the gate" in comment_of(job)
    poor = evaluation("0.001", labels=["evaluate"])
    write_row(9, "a provider's pair, label `evaluate`, $0.001", "red, the budget named", poor)
    assert poor.red
    assert "the budget of $0.001 covers no further call" in comment_of(poor)


def test_credentials_never_meet_the_code_of_a_fork_or_a_branch_without_the_label(evaluation):
    forks = evaluation("2", labels=["evaluate"], fork=True)
    write_row(10, "a fork's pair, label `evaluate`", "does not run", forks)
    assert not forks.ran
    assert not evaluation("2").ran


def test_a_fault_of_style_turns_the_checks_red(world):
    event = world.pull_request(written("service/untidy.py", "import os\n"))
    job = world.repository.run("checks", event, jobs=("check",))["check"]
    write_row(11, "a fault of style", "red, file and rule named", job)
    assert job.red
    assert "service/untidy.py" in job.said
    assert "F401" in job.said


@pytest.fixture
def production(world, account, tmp_path):
    """The environment `production`: a store, a key in KMS, one reviewer; and a function that starts `promote` by hand."""
    install(Settings())  # of this checkout, and linked into the clone: promptfoo's 281 MB are not downloaded again
    (promptfoo,) = (Settings().state_dir).glob("promptfoo-*")
    link = f"mkdir -p .omni && ln -s {promptfoo} .omni/"
    words = world.repository.instead["make setup"][1]
    world.repository.instead["make setup"] = (
        "the present environment, linked in",
        words if link in words else f"{words} && {link}",
    )
    world.repository.instead[".venv/bin/omni selftest"] = ("made for another row of this table", "true")
    store = f"sqlite:///{tmp_path}/mlflow.db"
    world.repository.environments["production"] = {
        "variables": {
            "OMNI_AWS_ROLE": "arn:aws:iam::1:role/production",
            "OMNI_MODEL_ENDPOINTS": world.endpoints("good-model"),
            "OMNI_SIGNING_KMS_KEY": account.key,
            "OMNI_TRUSTED_KEYS_PEM": account.public,
        },
        "secrets": {"OMNI_REGISTRY_URI": store},
    }
    approval = {"state": "approved", "environments": [{"name": "production"}], "user": {"login": REVIEWER}}
    merged = {"number": NUMBER, "merged_at": "2026-11-22T12:00:00Z", "merge_commit_sha": "?"}
    world.repository.routes = {
        "actions.getReviewsForRun": [approval],
        "repos.listPullRequestsAssociatedWithCommit": [merged],
    }

    def run(**inputs):
        form = {"pair": "team", "why": "The first of our own", "without_judge": "a first release, read by grace"}
        form["without_judge_until"] = str((datetime.now(UTC) + timedelta(days=7)).date())
        form["budget"] = "30"  # as above
        event = world.started_by_hand(world.main, **form | inputs)
        return world.repository.run("promote", event)["promote"]

    return SimpleNamespace(run=run, store=store, place=world.repository.environments["production"])


def test_a_promotion_is_signed_by_kms_names_people_and_is_served(world, account, production, tmp_path):
    job = production.run()
    (tmp_path / "trusted.pem").write_text(account.public, encoding="utf-8")
    settings = account.settings.model_copy(
        update={"registry_uri": production.store, "trusted_keys": tmp_path / "trusted.pem", "stage": "prod"}
    )
    assert job.green, job.said
    (release,) = Ledger.open("summarize", settings).releases()
    assert (release.pair_name, release.who, release.pull_request) == ("team", REVIEWER, str(NUMBER))
    assert release.without_judge == "a first release, read by grace"
    assert release.without_judge_until is not None
    variables = {
        "OMNI_ROOT": str(job.folder),
        "OMNI_STAGE": "prod",
        "OMNI_REGISTRY_URI": production.store,
        "OMNI_TRUSTED_KEYS": str(tmp_path / "trusted.pem"),
        "OMNI_AWS_ENDPOINT": settings.aws.endpoint,
        "OMNI_MODEL_ENDPOINTS": world.endpoints("good-model"),
        "OMNI_CROWDED_FROM_S": "0",
    }
    service = ServingTask(SimpleNamespace(settings=settings, variables=lambda: variables), tmp_path / "disk")
    try:
        answer = service.ready().ask("1234567890")
    finally:
        service.end()
    write_row(12, "a promotion, signed by KMS", "green; a service serves the release", job)
    assert answer["pair"] == "team", answer


def test_without_a_licensed_judge_and_without_a_reason_nothing_is_evaluated(world, production):
    workflow = yaml.safe_load((world.clone / ".github" / "workflows" / "promote.yml").read_text(encoding="utf-8"))
    (words,) = (
        step["run"].strip() for step in workflow["jobs"]["promote"]["steps"] if step.get("name") == "Measure the judges"
    )
    shorter = words.replace("--sets own,contrasts", "--sets contrasts --judge claims --dev-cases 2 --gate-cases 2")
    assert shorter != words
    world.repository.instead[words] = ("one judge, on four cases", shorter)
    job = production.run(without_judge="")
    write_row(16, "a promotion without a licensed judge or a reason", "red, before the gate, says what to do", job)
    assert job.red
    assert job.steps[-1].name == "Measure the judges"
    assert "start this workflow by hand and say why in without_judge" in job.steps[-1].said
    assert "not known yet: whether judges may look at" in job.said


def test_a_key_that_nobody_trusts_is_refused_before_anything_is_measured(production):
    private = Ed25519PrivateKey.generate()
    text = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    production.place["variables"]["OMNI_SIGNING_KMS_KEY"] = ""
    production.place["secrets"]["OMNI_SIGNING_KEY"] = text
    job = production.run()
    write_row(13, "a promotion with another key", "red, before anything is measured", job)
    assert job.red
    assert "is not trusted" in job.steps[-1].said
    assert "omni selftest" not in job.said
    assert text.splitlines()[1] not in job.said


def test_a_merge_of_one_pair_asks_for_its_release_and_one_of_several_does_not(world):
    reworded = replaced(PAIR, "Short sentences. Present tense", "Write short sentences. Present tense")

    def two(root):
        reworded(root)
        paid_pair(root)

    one, several = (world.pushed(change) for change in (reworded, two))
    found = world.repository.run("promote", one, jobs=("changed",))["changed"]
    assert found.outputs == {"pairs": "team"}, found.said
    jobs = world.repository.run("promote", several)
    write_row(15, "a merge of two changed pairs", "nobody is asked: green, no release", jobs["changed"])
    assert jobs["changed"].outputs == {"pairs": "paid,team"}
    assert not jobs["promote"].ran


def test_without_an_approval_nothing_is_released(world, production):
    world.repository.routes["actions.getReviewsForRun"] = []
    job = production.run()
    write_row(14, "a promotion that nobody approved", "red, before anything is measured", job)
    assert job.red
    assert "Nobody approved this run" in job.steps[-1].said
    assert json.dumps(job.outputs) == "{}"
    assert job.folder != REPO_ROOT
