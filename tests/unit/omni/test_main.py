"""``omni``: every command under its station, verdicts as exit codes, JSON for scripts."""

import json
import subprocess
import sys
from types import SimpleNamespace
from unittest.mock import Mock

import pytest
import typer

from eval.release.audit_rollout import AuditItem
from eval.spine.errors import HarnessError, Refused
from figures import command_line
from figures.command_line import NO_REASON
from omni.app import STATIONS, build_app
from omni.simulated import mark_simulated, use_simulated_store
from reports.errors import ReportError
from service.commands.register import COMMANDS as SERVICE_COMMANDS
from service.commands.running import run_app
from service.kit.frame.display import terminal
from service.kit.frame.display.terminal import say
from service.kit.frame.errors import ServiceError
from service.kit.settings import REPO_ROOT

NAMES = """
eval gate behave sweep cases card results ui register promote rollback rollout rollout-end shadow history agents verify changed
pr-gate serve up down status token client clients token-keys load-events sql reconcile dashboards releases report backfill traffic
harvest schedule calls selftest calibrate simulate intents pin report-power capacity bench code-gate knowledge models tools
callbacks voicemails audit customer tenant deploy rehearse doctor route optimize pipeline features load-customers
check-approvals""".split()


@pytest.fixture(autouse=True)
def own_state(tmp_path, monkeypatch):
    monkeypatch.setenv("OMNI_STATE_DIR", str(tmp_path))
    monkeypatch.setenv("OMNI_REGISTRY_URI", f"sqlite:///{tmp_path}/mlflow.db")
    monkeypatch.setenv("OMNI_SIMULATED", "")  # `omni traffic` sets it; the fixture takes it back


def omni(*arguments):
    return run_app(build_app(), name="omni", expected=(ServiceError, HarnessError, ReportError), arguments=arguments)


def whole(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "omni", *arguments], cwd=REPO_ROOT, capture_output=True, text=True, check=False
    )


def commands(group):
    return group.commands if hasattr(group, "commands") else {}


def test_every_command_is_listed_under_a_station():
    found = commands(typer.main.get_command(build_app()))
    assert set(found) == set(NAMES)
    assert {command.rich_help_panel for command in found.values()} == set(STATIONS)


def test_the_service_alone_offers_the_same_functions():
    from service.commands.register import add_commands
    from service.commands.running import new_app

    app = new_app("The service.")
    add_commands(app)
    alone, all_of_them = (commands(typer.main.get_command(one)) for one in (app, build_app()))
    assert set(alone) == SERVICE_COMMANDS
    for name, command in alone.items():
        assert getattr(command.callback, "__wrapped__", None) is getattr(
            all_of_them[name].callback, "__wrapped__", None
        )
        assert set(commands(command)) == set(commands(all_of_them[name]))


def test_groups_hold_what_the_guides_name():
    found = commands(typer.main.get_command(build_app()))
    assert set(commands(found["harvest"])) == {"propose", "review", "accept"}
    assert set(commands(found["knowledge"])) == {"prepare", "build", "search", "publish", "measure"}
    assert set(commands(found["schedule"])) == {"run", "status", "deliver", "export"}
    assert set(commands(found["bench"])) == {
        "harness", "service", "warehouse", "report", "seeds", "floor", "history", "backfill", "knowledge", "agentdojo",
        "steps", "conversations", "checks", "months", "approvals", "features", "similar",
    }  # fmt: skip
    assert {"run", "work", "watch", "replay", "check", "rescore", "override"} <= set(commands(found["calls"]))


def test_help_shows_the_stations_in_order(capsys):
    assert omni("--help") == 0
    out = capsys.readouterr().out
    places = [out.index(f"─ {station} ─") for station in STATIONS]
    assert places == sorted(places)


@pytest.mark.parametrize("name", NAMES)
def test_every_command_prints_its_help(capsys, name):
    assert omni(name, "--help") == 0
    assert f"Usage: omni {name}" in capsys.readouterr().out


def test_an_unknown_command_is_exit_code_2_with_a_suggestion(capsys):
    assert omni("promot") == 2
    assert "promote" in capsys.readouterr().err


PLANTED = "release 1\x1b[2K\nok      release 2: forged\u202e"


class PlantedAudit:
    """A store whose tags, reasons and names were written to steer the terminal and to forge lines."""

    def __init__(self, *_):
        pass

    def items(self):
        return [AuditItem(name=PLANTED, detail="signature", problem=PLANTED), AuditItem(name=PLANTED, detail=PLANTED)]

    def history(self):
        release = Mock(sequence=1, at="now", kind="promote", pair_name="p", pair_digest="d", registry_version=1)
        release.who, release.why, release.exception = PLANTED, PLANTED, None
        entry = Mock(release=release)
        return [Mock(entry=entry, attestation=None, although=PLANTED, problem=PLANTED)]


@pytest.mark.parametrize(("command", "lines"), [("verify", 3), ("history", 3)])
def test_planted_text_neither_steers_the_terminal_nor_forges_a_line(monkeypatch, capsys, command, lines):
    monkeypatch.setattr("eval.release.audit.Audit", PlantedAudit)
    omni(command)
    out = capsys.readouterr().out
    assert len(out.splitlines()) == lines
    assert "\x1b" not in out
    assert "\u202e" not in out
    assert "\\u001b[2K" in out


def test_an_error_that_quotes_planted_text_is_inert(monkeypatch, capsys):
    def refuse(*_, **__):
        raise Refused(f"pair {PLANTED} was never evaluated")

    monkeypatch.setattr("eval.release.promotion.promote_pair", refuse)
    assert omni("promote", "x", "--why", "y") == 1
    err = capsys.readouterr().err
    assert "\x1b" not in err
    assert not any(line.startswith("ok ") for line in err.splitlines())


def test_a_refusal_is_exit_code_1_and_one_line(monkeypatch, capsys):
    def refuse(*_, **__):
        raise Refused("pair 'x' was never evaluated")

    monkeypatch.setattr("eval.release.promotion.promote_pair", refuse)
    assert omni("promote", "x", "--why", "y") == 1
    assert capsys.readouterr() == ("", "error: pair 'x' was never evaluated\n")


def test_a_refusal_is_exit_code_1_for_every_release_command(monkeypatch):
    def refuse(*_, **__):
        raise Refused("no")

    monkeypatch.setattr("eval.release.promotion.roll_back", refuse)
    monkeypatch.setattr("eval.release.rollout.advance_rollout", refuse)
    monkeypatch.setattr("eval.release.rollout.end_rollout", refuse)
    assert omni("rollback", "--why", "y") == 1
    assert omni("rollout", "x", "--why", "y") == 1
    assert omni("rollout-end", "--why", "y") == 1


def test_promote_passes_its_arguments_on_unchanged(monkeypatch):
    asked = []

    def promote(*arguments, **_):
        asked.append(arguments[:3])
        raise Refused("no")

    monkeypatch.setattr("eval.release.promotion.promote_pair", promote)
    omni("promote", '--why=5$ less & "quoted" $HOME', "--", "--help")
    assert asked == [("summarize", "--help", '5$ less & "quoted" $HOME')]


@pytest.mark.parametrize(
    ("measured", "passed", "code"),
    [(True, True, 0), (False, False, 1), (True, False, 1)],
)
def test_gate_measures_behaviour_then_evaluates_and_ends_with_one_code(monkeypatch, measured, passed, code):
    done = []
    outcome = SimpleNamespace(evaluation=None)
    monkeypatch.setattr(
        "eval.commands.evaluate.measure_behaviour", lambda *a, **k: done.append(("behave", a)) or measured
    )
    monkeypatch.setattr(
        "eval.commands.evaluate.run_and_print", lambda options, _: done.append(("eval", options)) or outcome
    )
    monkeypatch.setattr("eval.commands.evaluate.passes", lambda found, names: passed)
    assert omni("gate", "extractive", "--task", "scorecard") == code
    assert [name for name, _ in done] == ["behave", "eval"]
    assert done[0][1] == ("scorecard", "extractive")
    assert (done[1][1].task, done[1][1].pairs) == ("scorecard", ("extractive",))


def test_a_gate_that_could_not_measure_behaviour_does_not_evaluate(monkeypatch):
    def fail(*_, **__):
        raise HarnessError("no Node.js here")

    monkeypatch.setattr("eval.commands.evaluate.measure_behaviour", fail)
    monkeypatch.setattr(
        "eval.commands.evaluate.run_and_print", lambda options, _: pytest.fail("evaluated all the same")
    )
    assert omni("gate", "extractive") == 2


def test_status_as_json_agrees_with_the_exit_code(capsys):
    assert omni("status", "--json") == 1
    assert [(part["name"], part["healthy"]) for part in json.loads(capsys.readouterr().out)] == [
        ("ministack", False),
        ("bedrock", False),
    ]


def test_changed_as_json_holds_pairs_and_reasons(monkeypatch, capsys):
    found = SimpleNamespace(
        pairs=("extractive", "nova-lite"), code=("eval/spine/suite.py",), reasons=("two pairs changed",)
    )
    monkeypatch.setattr("eval.spine.changes.changed_pairs", lambda *_: found)
    assert omni("changed", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {
        "task": "summarize",
        "pairs": ["extractive", "nova-lite"],
        "roles": {"extractive": "floor", "nova-lite": "candidate"},
        "code": ["eval/spine/suite.py"],
        "reasons": ["two pairs changed"],
    }


def test_simulated_weeks_are_kept_apart():
    environment = {"OMNI_LOCAL_AWS_PORT": "5000"}
    use_simulated_store(environment)
    state = str(REPO_ROOT / ".omni" / "traffic")
    assert environment == {
        "OMNI_STATE_DIR": state,
        "OMNI_REGISTRY_URI": f"sqlite:///{state}/mlflow.db",
        "OMNI_LOCAL_AWS_PORT": "5000",
        "OMNI_LOCAL_BEDROCK_PORT": "4578",
        "OMNI_SIMULATED": "1",
    }


@pytest.mark.parametrize(("trace", "marked"), [("begun.json", True), ("truth.json", True), ("other.json", False)])
def test_a_state_that_holds_simulated_weeks_is_known_without_the_option(tmp_path, trace, marked):
    (tmp_path / "traffic").mkdir()
    (tmp_path / "traffic" / trace).write_text("{}", encoding="utf-8")
    environment = {"OMNI_STATE_DIR": str(tmp_path)}
    mark_simulated(environment)
    assert ("OMNI_SIMULATED" in environment) is marked


@pytest.mark.parametrize(("options", "suggested"), [((), "omni serve"), (("--traffic",), "omni --traffic serve")])
def test_what_is_suggested_next_stays_in_the_simulated_weeks(monkeypatch, capsys, options, suggested):
    release = SimpleNamespace(
        sequence=1, pair_name="a", pair_digest="d" * 64, registry_version=1, from_digest=None, task="summarize"
    )
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr("eval.release.promotion.promote_pair", lambda *_, **__: release)
    monkeypatch.setattr("eval.release.announce.announce", lambda *_: None)
    monkeypatch.setenv("OMNI_LOCAL_AWS_PORT", "5000")
    monkeypatch.setenv("OMNI_LOCAL_BEDROCK_PORT", "5001")
    assert omni(*options, "promote", "a", "--why", "y") == 0
    assert capsys.readouterr().out.endswith(f"Next: serve it: {suggested}\n")


@pytest.mark.parametrize("why", [NO_REASON, f" {NO_REASON} ", ""])
@pytest.mark.parametrize("command", [("promote", "a"), ("rollback",)])
def test_a_suggested_reason_that_nobody_filled_in_is_refused(monkeypatch, capsys, command, why):
    monkeypatch.setattr("eval.release.promotion.promote_pair", lambda *_, **__: pytest.fail("released"))
    monkeypatch.setattr("eval.release.promotion.roll_back", lambda *_, **__: pytest.fail("rolled back"))
    assert omni(*command, "--why", why) == 2
    assert "write the reason in your own words" in " ".join(capsys.readouterr().err.split())


def test_what_is_suggested_keeps_the_task(monkeypatch, capsys):
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr("eval.release.audit.Audit", lambda *_: SimpleNamespace(history=list))
    monkeypatch.setattr("sys.stdin.isatty", lambda: False)
    assert omni("history", "--task", "scorecard") == 0
    assert omni("harvest", "review", "--task", "scorecard") == 2
    assert omni("harvest", "review", "--against", "gate,challenge") == 2
    printed = capsys.readouterr()
    assert 'omni promote PAIR --why "why, in one sentence" --task scorecard\n' in printed.out
    assert "`omni harvest accept --task scorecard`" in printed.err
    assert "`omni harvest accept --against gate,challenge`" in printed.err


@pytest.mark.parametrize(("met", "code"), [(True, 0), (False, 1)])
def test_a_report_that_misses_its_target_is_exit_code_1(monkeypatch, met, code):
    monkeypatch.setattr("reports.simulate.scale.measure", lambda sizes: met)
    assert omni("bench", "report", "--answers", "10") == code


def test_a_bench_without_the_repository_is_refused(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr("service.kit.settings.REPO_ROOT", tmp_path)
    assert omni("bench", "warehouse") == 2
    assert "needs a checkout of the project" in capsys.readouterr().err


def test_ui_refuses_a_remote_store(monkeypatch, capsys):
    monkeypatch.setenv("OMNI_REGISTRY_URI", "https://mlflow.example")
    assert omni("ui") == 2
    assert "https://mlflow.example" in capsys.readouterr().err


@pytest.mark.cold
def test_completion_is_printed():
    done = whole("--show-completion", "bash")
    assert done.returncode == 0
    assert "_OMNI_COMPLETE" in done.stdout


@pytest.mark.cold
def test_the_process_ends_with_the_commands_exit_code():
    assert whole("status").returncode == 1
    assert whole("history", "--task", "nothing").returncode == 2


@pytest.mark.parametrize(
    ("printed", "shown"),
    [
        ("create it (locally: omni up)", "create it (locally: omni --traffic up)"),
        ("`.venv/bin/omni sql`, then omni report", "`.venv/bin/omni --traffic sql`, then omni --traffic report"),
        ("omni --traffic serve", "omni --traffic serve"),
        ("omni-channel omni loads omni", "omni-channel omni loads omni"),
    ],
)  # fmt: skip
def test_what_the_service_says_to_type_stays_in_the_simulated_weeks(monkeypatch, capsys, printed, shown):
    build_app()
    say(printed)
    assert capsys.readouterr().out == f"{printed}\n"
    monkeypatch.setenv("OMNI_SIMULATED", "1")
    say(printed)
    assert capsys.readouterr().out == f"{shown}\n"


def test_both_packages_mean_the_same_marker():
    assert terminal.SIMULATED == command_line.SIMULATED
