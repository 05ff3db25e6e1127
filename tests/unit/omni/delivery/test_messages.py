"""What a mail, a chat message and a folder hold: the report's sentences, inert, and nothing that steers its reader's program."""

import json
from datetime import UTC, datetime
from email import message_from_bytes
from email.policy import default

import pytest
from pydantic import TypeAdapter

from omni.delivery.chat import post_to_chat, slack_payload, teams_payload
from omni.delivery.destinations import AnyDestination
from omni.delivery.mail import build_mail, send_by_smtp
from omni.delivery.outgoing import DeliveryFailed, Outgoing, OutgoingFile
from omni.delivery.sending import put_into_folder, send
from omni.schedule.plan import PLAN_FILE, load_plan
from service.kit.settings import REPO_ROOT, Settings

HOSTILE = "Answers <!channel> *worse* [x](http://evil.example) \x1b[31m\u202e@here\r\nBcc: x@evil.example"
READ = TypeAdapter(AnyDestination).validate_python
MAIL = {"kind": "smtp", "server": "localhost:25", "tls": "none", "sender": "omni@example.com", "to": ["a@example.com"]}
CHAT = {"kind": "slack", "url_from": "CHAT_URL"}


def report(**changes):
    page = OutgoingFile(name="weekly.html", media_type="text/html", content=b"PHA+eW91cyE8L3A+")
    given = {"report_id": "weekly-1", "title": "Answers got worse", "lines": ("0.71 against 0.90",), "files": (page, page),
             "made_at": datetime(2026, 11, 16, 6, tzinfo=UTC)}  # fmt: skip
    return Outgoing(**given | changes)


def parsed(report, **changes):
    return message_from_bytes(build_mail(report, READ(MAIL | changes)).as_bytes(), policy=default)


def test_a_mail_says_the_headline_and_the_evidence_and_attaches_the_page():
    mail = parsed(report())
    assert mail["Subject"] == "Answers got worse"
    assert (mail["From"], mail["To"]) == ("omni@example.com", "a@example.com")
    text = mail.get_body(("plain",)).get_content().replace("\r\n", "\n")
    assert text.startswith("Answers got worse\n\n0.71 against 0.90\n\nThe page is attached: weekly-1.html.")
    (page,) = mail.iter_attachments()
    assert (page.get_content_type(), page.get_filename(), page.get_content()) == (
        "text/html", "weekly-1.html", "<p>yous!</p>",
    )  # fmt: skip
    assert page.get_content_disposition() == "attachment"


def test_a_mail_shows_its_page_where_html_is_read():
    mail = parsed(report())
    assert mail.get_body().get_content_type() == "text/html"  # the body that a mail program prefers
    assert mail.get_body().get_content().strip() == "<p>yous!</p>"
    table = OutgoingFile(name="cases.csv", media_type="text/csv", content=b"YQ==")
    assert parsed(report(files=(table,))).get_body().get_content_type() == "text/plain"


def test_the_same_report_has_the_same_message_id_and_another_one_has_not():
    assert parsed(report())["Message-ID"] == parsed(report(title="again"))["Message-ID"]
    assert parsed(report())["Message-ID"] != parsed(report(report_id="weekly-2"))["Message-ID"]


def test_a_hostile_title_adds_no_header_and_steers_nothing():
    mail = parsed(report(title=HOSTILE, lines=(HOSTILE,)))
    assert mail["Bcc"] is None
    assert "\\u001b[31m\\u202e@here Bcc: x@evil.example" in mail["Subject"]
    text = mail.get_body(("plain",)).get_content()
    assert "\x1b" not in text
    assert "\u202e" not in text


def test_a_link_stands_in_the_mail_where_the_folder_is_published():
    mail = parsed(report(), page_link="https://reports.example.com/{report}/weekly.html")
    assert "https://reports.example.com/weekly-1/weekly.html" in mail.get_body(("plain",)).get_content()


def test_slack_gets_plain_text_in_which_nothing_is_a_mention_or_a_link():
    payload = slack_payload(report(title=HOSTILE, lines=(HOSTILE,)), "https://reports.example.com/weekly-1")
    texts = [block["text"] for block in payload["blocks"] if "text" in block]
    assert {(text["type"], text["emoji"]) for text in texts} == {("plain_text", False)}
    assert all(len(text["text"]) <= 150 for text in texts[:1])
    assert "<" not in payload["text"]
    assert payload["mrkdwn"] is False
    assert not any(char in json.dumps(payload, ensure_ascii=False) for char in "\x1b\u202e")
    assert payload["blocks"][-1]["elements"][0]["url"] == "https://reports.example.com/weekly-1"


def test_teams_gets_a_card_whose_markdown_is_escaped():
    payload = teams_payload(report(title=HOSTILE, lines=(HOSTILE,)), None)
    (attachment,) = payload["attachments"]
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    for block in attachment["content"]["body"]:
        assert "](" not in block["text"].replace("\\](", "")
        assert "<" not in block["text"]
        assert "\\*worse\\*" in block["text"]
    assert "actions" not in attachment["content"]


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("", "CHAT_URL is not set"),
        ("http://hooks.example.com/secret", "CHAT_URL holds no https address"),
        ("https://user:secret@hooks.example.com/", "CHAT_URL holds no https address"),
        ("file:///etc/secret", "CHAT_URL holds no https address"),
        ("https://hooks.example.com/secret\n", "CHAT_URL holds no https address"),
        ("https://[secret", "CHAT_URL holds no https address"),
    ],
)
def test_an_unsafe_address_is_refused_without_showing_it(url, said):
    with pytest.raises(DeliveryFailed, match=said) as refused:
        post_to_chat(report(), READ(CHAT), {"CHAT_URL": url})
    assert "secret" not in str(refused.value)
    assert not refused.value.passing


def test_a_missing_password_is_named():
    destination = READ(MAIL | {"user": "omni", "password_from": "MAIL_PASSWORD"})
    with pytest.raises(DeliveryFailed, match="the environment variable MAIL_PASSWORD is not set"):
        send_by_smtp(report(), destination, {})


def test_a_folder_gets_the_files_whole_and_once(tmp_path):
    destination = READ({"kind": "folder", "path": "shelf"})
    folder = put_into_folder(report(), destination, tmp_path)
    assert {path.name for path in folder.iterdir()} == {"weekly.html", "message.txt"}
    assert (folder / "message.txt").read_text() == "Answers got worse\n\n0.71 against 0.90\n"
    assert put_into_folder(report(title="Another title"), destination, tmp_path) == folder
    assert "Another title" not in (folder / "message.txt").read_text()
    assert [path.name for path in (tmp_path / "shelf").iterdir()] == ["weekly-1"]


def test_a_folder_that_cannot_be_written_is_a_failure_and_leaves_nothing(tmp_path):
    (tmp_path / "shelf").write_text("a file")
    with pytest.raises(DeliveryFailed, match="cannot be written"):
        put_into_folder(report(), READ({"kind": "folder", "path": "shelf"}), tmp_path)


@pytest.mark.parametrize("name", ["../up", "a/b", "", ".hidden", "a:b", "x" * 200])
def test_ids_that_are_no_names_are_refused(name):
    with pytest.raises(ValueError):
        report(report_id=name)
    with pytest.raises(ValueError):
        OutgoingFile(name=name, media_type="text/html", content=b"")


def test_without_an_aws_the_archive_is_a_folder(tmp_path):
    destination = READ({"kind": "archive", "path": "shelf"})
    place = send(report(), destination, Settings(root=tmp_path, state_dir=tmp_path / "state"), {})
    assert place == str(tmp_path / "shelf" / "weekly-1")
    assert (tmp_path / "shelf" / "weekly-1" / "message.txt").is_file()


def test_the_shipped_schedule_delivers_to_no_disk_that_a_runner_loses():
    known = {"load-events", "audit", "report", "harvest", "verify", "calibrate", "calls", "check-approvals"}
    plan = load_plan(REPO_ROOT / PLAN_FILE, known)
    kinds = {plan.destinations[name].kind for job in plan.jobs if job.deliver for name in job.deliver.to}
    assert kinds == {"archive"}
