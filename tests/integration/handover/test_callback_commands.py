"""``omni callbacks`` against a local AWS: a promise is written down, overdue, rung and closed, and stopped in order."""

import os
import signal
import subprocess
import sys
from datetime import UTC, datetime

import pytest

from service.kit.frame.clock import set_clock

pytest.importorskip("ministack", reason="the local AWS is a development dependency: make setup")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
PHONE = "020 7946 0214"


@pytest.fixture(scope="module")
def settings(local_aws):
    return local_aws()


@pytest.fixture
def omni(settings, tmp_path):
    """Run a command at a time; ``started`` returns it while it runs."""
    clock = tmp_path / "clock"
    environment = os.environ | {
        "OMNI_AWS_ENDPOINT": settings.aws.endpoint,
        "OMNI_STATE_DIR": str(settings.state_dir),
        "OMNI_CLOCK_FILE": str(clock),
        "OMNI_STORE_TIMEOUT_S": "10",
    }

    class Omni:
        def started(self, *words, at):
            set_clock(clock, at)
            command = [sys.executable, "-m", "omni", "callbacks", *words]
            return subprocess.Popen(
                command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
            )

        def __call__(self, *words, at, code=0):
            running = self.started(*words, at=at)
            output, _ = running.communicate()
            assert running.returncode == code, output
            return output

    return Omni()


@pytest.mark.acceptance("event.CALLBACK_RUNG", "handover-13")
def test_a_promised_callback_is_rung_and_closed_from_the_command_line(omni):
    sunday, monday = datetime(2026, 11, 22, 20, tzinfo=UTC), datetime(2026, 11, 23, 10, 30, tzinfo=UTC)
    made = omni("add", PHONE, "--contact", "c-1", at=sunday)
    assert "promised by 2026-11-23 10:00 UTC, next ring 2026-11-23 09:00 UTC" in made
    assert "none rung; 1 waiting, 0 overdue; closed now" in omni("work", at=sunday)
    assert "1 callbacks wait, 1 overdue" in omni("list", at=monday, code=1)
    worked = omni("work", at=monday)
    assert "callbacks: 1 closed; 0 waiting, 0 overdue" in worked
    assert "CALLBACK_RUNG" in worked
    assert '"promise": "broken"' in worked
    assert "0 callbacks wait, 0 overdue" in omni("list", at=monday)
    assert not any(number in made + worked for number in (PHONE, "+442079460214", "2079460214"))


def test_a_following_worker_ends_in_order_when_it_is_told_to(omni):
    running = omni.started("work", "--follow", at=datetime(2026, 11, 23, 10, tzinfo=UTC))
    line = next(text for text in running.stdout if text.startswith("callbacks: "))
    assert "0 overdue" in line
    running.send_signal(signal.SIGTERM)
    running.communicate()
    assert running.returncode == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("add", "0905 123 4567", "--contact", "c-2"), "no UK number that may be called back"),
        (("work", "--webhook", "http://telephones.example/ring"), "--webhook must be an https address"),
    ],
)
def test_wrong_input_is_refused_in_one_line(omni, words, said):
    output = omni(*words, at=datetime(2026, 11, 23, 10, tzinfo=UTC), code=2)
    assert said in output
    assert len(output.strip().splitlines()) == 1
