"""Who a release is signed for: a person, also in CI, and the pull request that was merged."""

import getpass
import json

import pytest

from eval.release.releaser import Releaser
from eval.spine.errors import Refused

CI = {"CI": "true", "GITHUB_ACTIONS": "true"}


def test_at_a_machine_its_user_releases_and_others_may_have_approved():
    assert Releaser.of({}) == Releaser(who=getpass.getuser())
    found = Releaser.of({}, approved_by="maria", pull_request="https://git.example/pr/3")
    assert (found.who, found.approved_by, found.pull_request) == (
        getpass.getuser(),
        "maria",
        "https://git.example/pr/3",
    )


def test_in_ci_the_approver_releases_else_the_person_who_started_it_and_never_cis_own_user():
    assert Releaser.of(CI | {"GITHUB_ACTOR": "lee"}, approved_by="maria").who == "maria"
    assert Releaser.of(CI | {"GITHUB_ACTOR": "lee"}).who == "lee"
    for nobody in ({}, {"GITHUB_ACTOR": "github-actions[bot]"}, {"GITHUB_ACTOR": ""}):
        with pytest.raises(Refused, match="name who approved the release with --approved-by"):
            Releaser.of(CI | nobody)


@pytest.mark.parametrize(
    ("message", "number"),
    [
        ("Sharpen the dates (#12)", "12"),
        ("Merge pull request #7 from a/b\n\nmore (#9)", "7"),
        ("by hand, see #5", None),
    ],
)
def test_the_pull_request_is_read_from_githubs_event(tmp_path, message, number):
    event = tmp_path / "event.json"
    event.write_text(json.dumps({"head_commit": {"message": message}}))
    assert Releaser.of(CI | {"GITHUB_ACTOR": "lee", "GITHUB_EVENT_PATH": str(event)}).pull_request == number
    assert Releaser.of(CI | {"GITHUB_ACTOR": "lee", "GITHUB_REF": "refs/pull/4/merge"}).pull_request == "4"


@pytest.mark.parametrize("text", ["twelve", "http://x", "https://x\ny", "12; rm"])
def test_a_pull_request_is_a_number_or_an_address(text):
    with pytest.raises(Refused, match="--pull-request is a number or an https address"):
        Releaser.of({}, pull_request=text)


def test_a_name_cannot_forge_a_line_of_the_history():
    assert "\n" not in Releaser.of({}, approved_by="maria\nrelease 9").approved_by
