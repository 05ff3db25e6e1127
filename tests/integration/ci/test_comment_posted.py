"""The workflow that posts comments, its script run by Node.js against scripted answers of GitHub's API."""

import pytest
from github_runner import Event, Repository

from service.kit.settings import REPO_ROOT

pytestmark = pytest.mark.slow
HEAD = "f" * 40


@pytest.fixture
def post(tmp_path, monkeypatch):
    """Run the workflow after another has ended; returns the call that wrote a comment, or None."""
    workflow = (REPO_ROOT / ".github" / "workflows" / "prompt-comment.yml").read_text(encoding="utf-8")
    monkeypatch.setattr("github_runner.shown", lambda remote, name, commit: workflow)

    def run(files, *, after="prompt-gate", conclusion="success", head=HEAD, comments=(), event="pull_request"):
        ended = {"name": after, "id": 5, "event": event, "conclusion": conclusion, "head_sha": HEAD}
        repository = Repository(
            remote=tmp_path,
            scratch=tmp_path,
            artifacts={after: {"pr-number.txt": "17\n", **files}},
            routes={
                "pulls.get": {"head": {"sha": head}},
                "issues.listComments": list(comments),
                "issues.createComment": {},
                "issues.updateComment": {},
            },
        )
        start = Event(name="workflow_run", ref="main", sha="0" * 40, payload={"workflow_run": ended})
        job = repository.run("prompt-comment", start)["comment"]
        assert job.green, job.said
        return next((call for call in job.asked if call["route"].endswith(("createComment", "updateComment"))), None)

    return run


def mine(marker):
    return {"id": 3, "user": {"type": "Bot"}, "body": f"<!-- {marker} -->\n# Before\n"}


JUDGED = {"pr-comment.md": "<!-- prompt-gate -->\n**Green.**\n"}


def test_a_judgement_is_posted_once_and_then_updated(post):
    first = post(JUDGED)
    assert first["route"] == "issues.createComment"
    assert first["parameters"]["issue_number"] == 17
    assert first["parameters"]["body"] == "<!-- prompt-gate -->\n**Green.**\n"
    again = post(
        JUDGED, comments=[{"id": 1, "user": {"type": "User"}, "body": "<!-- prompt-gate -->"}, mine("prompt-gate")]
    )
    assert (again["route"], again["parameters"]["comment_id"]) == ("issues.updateComment", 3)


def test_the_evaluation_has_a_comment_of_its_own(post):
    found = post(JUDGED, after="evaluation", comments=[mine("prompt-gate")])
    assert found["route"] == "issues.createComment"
    assert found["parameters"]["body"] == "<!-- evaluation -->\n**Green.**\n"


def test_where_nothing_is_judged_only_an_earlier_comment_is_corrected(post):
    assert post({}) is None
    assert "# Nothing to judge" in post({}, comments=[mine("prompt-gate")])["parameters"]["body"]


def test_a_gate_that_could_not_run_says_so(post):
    assert "# The gate could not run" in post({}, conclusion="failure")["parameters"]["body"]


def test_no_comment_is_posted_for_a_newer_commit_or_a_run_without_a_pull_request(post):
    assert post(JUDGED, head="e" * 40) is None
    assert post(JUDGED, event="workflow_dispatch") is None
    assert post(JUDGED, conclusion="cancelled") is None
