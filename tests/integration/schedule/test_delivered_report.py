"""The Monday report arrives by itself: `omni schedule run` makes it and a real mail server and webhook receive it."""

import json
import os
import ssl
import subprocess
import sys
from datetime import UTC, datetime

import pytest
from pydantic import TypeAdapter
from receivers import MailServer, Webhook, make_certificate

from omni.delivery.chat import post_to_chat
from omni.delivery.destinations import AnyDestination
from omni.delivery.mail import send_by_smtp
from omni.delivery.outgoing import DeliveryFailed, Outgoing, OutgoingFile
from service.kit.frame.clock import set_clock
from service.kit.settings import REPO_ROOT

READ = TypeAdapter(AnyDestination).validate_python
REPORT = Outgoing(
    report_id="weekly-1", title="A title", lines=("evidence",), made_at=datetime(2026, 11, 16, tzinfo=UTC),
    files=(OutgoingFile(name="p.html", media_type="text/html", content=b"PHA+"),),
)  # fmt: skip
SCHEDULE = """
destinations:
  folder: {{kind: folder, path: shelf}}
  mail: {{kind: smtp, server: "{mail}", tls: none, sender: omni@example.com, to: [lead@example.com]}}
  chat: {{kind: slack, url_from: CHAT_URL, page_link: "https://reports.example.com/{{report}}/"}}
jobs:
  - id: weekly
    what: writes the report on the week before
    command: [report, --json, --week, {week}]
    cron: "0 6 * * MON"
    timeout: 5m
    catch_up: 6d
    deliver: {{what: report, to: [folder, mail, chat]}}
  - {{id: audit, what: checks the releases, command: [verify], cron: "0 5 * * *", timeout: 5m, catch_up: 1d,
     deliver: {{what: problems, to: [folder]}}}}
"""


class House:
    """A project folder with a warehouse, a clock and a schedule; ``run`` types a command of `omni schedule`."""

    def __init__(self, folder, mail, url):
        self.folder = folder
        self.clock = folder / "clock"
        self.file = folder / "schedule.yaml"
        self.file.write_text(SCHEDULE.format(mail=mail, week="2026-W46"), encoding="utf-8")
        self.environment = os.environ | {
            "PYTHONPATH": str(REPO_ROOT), "OMNI_ROOT": str(folder), "OMNI_STATE_DIR": str(folder / "state"),
            "OMNI_CLOCK_FILE": str(self.clock), "OMNI_REGISTRY_URI": f"sqlite:///{folder}/none.db", "CHAT_URL": url,
        }  # fmt: skip

    def run(self, *words, at, **environment):
        set_clock(self.clock, datetime.fromisoformat(at).replace(tzinfo=UTC))
        return subprocess.run(
            [sys.executable, "-m", "omni", "schedule", *words, "--file", str(self.file)],
            env=self.environment | environment, cwd=REPO_ROOT, capture_output=True, text=True, check=False,
        )  # fmt: skip


@pytest.fixture
def house(tmp_path, hand_made_warehouse):
    hand_made_warehouse(tmp_path / "state" / "warehouse" / "omni.duckdb")

    def build(mail, chat):
        return House(tmp_path, mail.address, chat.url)

    return build


@pytest.mark.slow
def test_a_report_missed_for_two_days_arrives_once_at_every_destination(house, tmp_path):
    refusals = [(500, {})] * 4  # more than the three tries of one turn
    with MailServer() as mail, Webhook(*refusals) as chat:
        place = house(mail, chat)
        first = place.run("run", "weekly", at="2026-11-18T09:00")  # Monday's run was missed: the machine was off
        assert first.returncode == 1, first.stdout + first.stderr
        assert "weekly: done, due 2026-11-16 06:00 UTC, 2 d late" in first.stdout
        assert (
            "to chat: waiting until 2026-11-18 09:01 UTC after 1 failed attempt: the webhook answered 500"
            in first.stdout
        )
        status = place.run("status", at="2026-11-18T09:00")
        assert status.returncode == 1
        assert "weekly-summarize-2026-W46 to chat: waiting" in status.stdout
        for minute in (1, 2, 3):
            again = place.run("run", "weekly", at=f"2026-11-18T09:0{minute}")
            assert again.returncode == 0, again.stdout + again.stderr
        told = json.loads(place.run("status", "--json", at="2026-11-18T09:04").stdout)
    assert {item["to"]: item["state"] for item in told["deliveries"]} == dict.fromkeys(
        ("chat", "folder", "mail"), "delivered"
    )
    (message,), (post,) = mail.mails, chat.posts
    page = tmp_path / "shelf" / "weekly-summarize-2026-W46" / "index.html"
    headline = json.loads((tmp_path / "state/schedule/output/weekly/2026-11-16T0600Z-1.out").read_text())["headline"]
    assert message["Subject"] == post["blocks"][0]["text"]["text"] == headline
    assert [part.get_payload(decode=True) for part in message.iter_attachments()] == [page.read_bytes()]
    assert post["blocks"][-1]["elements"][0]["url"] == "https://reports.example.com/weekly-summarize-2026-W46/"
    kept = "".join(path.read_text() for path in (tmp_path / "state").rglob("*.json"))
    assert "SECRET-PATH" not in kept + first.stdout + first.stderr + status.stdout + again.stdout
    assert [path.name for path in (tmp_path / "state" / "schedule" / "outbox").iterdir()] == []


@pytest.mark.slow
def test_simulated_weeks_say_so_wherever_they_arrive(house, tmp_path):
    with MailServer() as mail, Webhook() as chat:
        done = house(mail, chat).run("run", "weekly", at="2026-11-16T06:00", OMNI_SIMULATED="1")
        assert done.returncode == 0, done.stdout + done.stderr
    assert mail.mails[0]["Subject"].startswith("Simulated week: ")
    assert "It says nothing about real production" in mail.mails[0].get_body(("plain",)).get_content()
    assert chat.posts[0]["text"].startswith("Simulated week: ")
    folder = tmp_path / "shelf" / "simulated-weekly-summarize-2026-W46"
    assert (folder / "simulated-index.html").is_file()


@pytest.mark.slow
def test_an_audit_that_cannot_run_is_told_and_the_report_still_comes(house, tmp_path):
    with MailServer() as mail, Webhook() as chat:
        done = house(mail, chat).run("run", at="2026-11-16T06:00")
    assert done.returncode == 1
    assert "audit: failed, due 2026-11-16 05:00 UTC, 1 h late: error: " in done.stdout
    told = tmp_path / "shelf" / "audit-2026-11-16T0500Z-failed" / "message.txt"
    assert told.read_text().startswith("audit could not run: checks the releases\n\nerror: ")
    assert len(mail.mails) == 1


def test_a_wrong_schedule_is_one_line(house):
    with MailServer() as mail, Webhook() as chat:
        place = house(mail, chat)
        place.file.write_text(place.file.read_text().replace("[verify]", "[serve]"))
        done = place.run("run", at="2026-11-16T06:00")
    assert done.returncode == 2
    assert done.stderr == f"error: {place.file}: job 'audit': 'serve' is no command of omni that a schedule can run\n"


# The mail server's and the webhook's answers


def smtp(server, **changes):
    given = {
        "kind": "smtp",
        "server": server.address,
        "tls": "none",
        "sender": "a@example.com",
        "to": ["b@example.com"],
    }
    return READ(given | changes)


@pytest.mark.parametrize(("answer", "passing"), [("451 busy", True), ("554 spam: SECRET", False)])
def test_what_a_mail_server_refuses_is_said_by_its_number(answer, passing):
    with MailServer(answer) as mail, pytest.raises(DeliveryFailed, match=f"answered {answer[:3]}$") as refused:
        send_by_smtp(REPORT, smtp(mail), {})
    assert refused.value.passing is passing


def test_a_mail_server_that_is_away_may_come_back():
    with MailServer() as mail:
        destination = smtp(mail)
    with pytest.raises(DeliveryFailed, match=r"cannot be reached: ConnectionRefusedError") as refused:
        send_by_smtp(REPORT, destination, {})
    assert refused.value.passing


@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")
def test_a_mail_goes_out_encrypted_and_with_a_login(tmp_path, monkeypatch):
    key, certificate = make_certificate(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    with MailServer(tls_context=context, require_starttls=True, auth_required=True) as mail:
        destination = smtp(mail, tls="starttls", user="omni", password_from="MAIL_PASSWORD")
        with pytest.raises(DeliveryFailed, match="CERTIFICATE_VERIFY_FAILED"):
            send_by_smtp(REPORT, destination, {"MAIL_PASSWORD": "right"})
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        with pytest.raises(DeliveryFailed, match="answered 535") as refused:
            send_by_smtp(REPORT, destination, {"MAIL_PASSWORD": "wrong"})
        assert "wrong" not in str(refused.value)
        assert mail.mails == []
        assert send_by_smtp(REPORT, destination, {"MAIL_PASSWORD": "right"}) == ""
    assert (len(mail.mails), mail.logins[-1]) == (1, (b"omni", b"right"))


@pytest.mark.parametrize(
    ("status", "headers", "passing", "wait"),
    [
        (500, {}, True, None),
        (429, {"Retry-After": "30"}, True, 30.0),
        (404, {}, False, None),
        (302, {"Location": "http://127.0.0.1:9/elsewhere"}, False, None),
        (307, {"Location": "http://127.0.0.1:9/elsewhere"}, False, None),
    ],
)
def test_what_a_webhook_refuses_is_said_by_its_status(status, headers, passing, wait):
    with Webhook((status, headers)) as chat, pytest.raises(DeliveryFailed) as refused:
        post_to_chat(REPORT, READ({"kind": "teams", "url_from": "URL"}), {"URL": chat.url})
    assert str(refused.value) == f"the webhook answered {status}"
    assert (refused.value.passing, refused.value.retry_after_s) == (passing, wait)
    assert len(chat.paths) == 1


def test_a_webhook_that_is_away_is_not_named():
    with Webhook() as chat:
        url = chat.url
    with pytest.raises(DeliveryFailed) as refused:
        post_to_chat(REPORT, READ({"kind": "slack", "url_from": "URL"}), {"URL": url})
    assert str(refused.value) == "the webhook cannot be reached: ConnectionRefusedError"
