"""``omni voicemails`` against a local AWS: a message is listed, overdue, closed once, and its number deleted."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from service.channels.phone.build import open_voicemails, phone_function
from service.kit.frame.clock import set_clock
from service.kit.records.table import RecordChanged

pytest.importorskip("ministack", reason="the local AWS is a development dependency: make setup")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
EVENT = json.loads((Path(__file__).parents[2] / "recorded" / "connect" / "flow_event.json").read_text("utf-8"))
CONTACT, PHONE = EVENT["Details"]["ContactData"]["ContactId"], "447700900123"
SUNDAY, MONDAY, TUESDAY = (datetime(2026, 11, day, 20, tzinfo=UTC) for day in (22, 23, 24))


@pytest.fixture
def settings(local_aws, tmp_path):
    return local_aws().model_copy(update={"clock_file": tmp_path / "clock"})


@pytest.fixture
def omni(settings):
    environment = os.environ | {
        "OMNI_AWS_ENDPOINT": settings.aws.endpoint,
        "OMNI_STATE_DIR": str(settings.state_dir),
        "OMNI_CLOCK_FILE": str(settings.clock_file),
        "OMNI_STORE_TIMEOUT_S": "10",
    }

    def run(*words, at, code=0):
        set_clock(settings.clock_file, at)
        command = [sys.executable, "-m", "omni", "voicemails", *words]
        done = subprocess.run(command, env=environment, text=True, capture_output=True, check=False)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    return run


@pytest.mark.acceptance("event.VOICEMAIL_CLOSED", "event.VOICEMAILS_CHECKED", "connect-13")
def test_a_message_is_listed_until_somebody_has_called_back(settings, omni):
    set_clock(settings.clock_file, SUNDAY)
    function, store = phone_function(settings), open_voicemails(settings).store
    assert function.handle(EVENT) == function.handle(EVENT) == {"promised": "5 PM on Monday 23 November"}
    listed = omni("list", at=SUNDAY)
    assert (
        f"{CONTACT}: left 2026-11-22 20:00 UTC, after a handover for explicit_request, a call is promised by" in listed
    )
    assert "1 messages wait, 0 overdue" in listed
    (shown,) = json.loads(omni("list", "--json", at=MONDAY, code=1))
    assert (shown["voicemail_id"], shown["overdue"]) == (CONTACT, True)
    assert "sealed_phone" not in shown
    checked = omni("check", at=MONDAY, code=1)
    assert "VOICEMAILS_CHECKED" in checked
    assert '"overdue": 1' in checked
    assert "call +447700900123" in omni("open", CONTACT, at=MONDAY, code=2)  # and no Amazon Connect here
    read = store.get(CONTACT)
    closed = omni("close", CONTACT, "--as", "called_back", "--by", "ann", at=TUESDAY)
    assert "closed as called_back, promise broken" in closed
    assert "VOICEMAIL_CLOSED" in closed
    with pytest.raises(RecordChanged):
        store.put(read)
    assert store.get(CONTACT).sealed_phone is None
    assert "0 messages wait, 0 overdue" in omni("list", at=TUESDAY)
    assert PHONE not in listed
    for words, said in (
        (("close", CONTACT, "--as", "empty", "--by", "bob"), "was closed as called_back by 'ann' already"),
        (
            ("close", CONTACT, "--as", "gone", "--by", "bob"),
            "--as 'gone' is not known",
        ),
        (("open", CONTACT), "its number is deleted"),
        (("open", "c-9"), "no message has the id 'c-9'"),
    ):
        refused = omni(*words, at=TUESDAY, code=2)
        assert said in refused
        assert len(refused.strip().splitlines()) == 1
