"""The judge inside a pair, over the real wire: one that knows the labels is calibrated, others are not, and a fall is told."""

import json
import shutil
from dataclasses import replace

import pytest
import yaml

from eval.judges.calibrate import CalibrateOptions, missing_licences
from eval.judges.pair_judges import approval_notes, approvals_due, calibrate_approvals
from eval.suites.upsell import SUITE
from service.core.tasks.upsell import TASK
from service.core.unit.cards import ModelCards
from service.core.unit.pair_file import load_pair
from service.kit.frame.clock import wall_clock
from service.kit.frame.errors import ConfigurationError
from service.kit.settings import REPO_ROOT, Settings
from service.local.process import LocalBedrock
from service.local.scripted_model import SCRIPTED_MODEL_ID

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


def row(number, label):
    """A message to one of ten customers of the same company; a bad one promises what the offer does not state."""
    case = f"dev-{1 + number % 7:03d}"
    more = "" if label == "good" else " It keeps your home warm all winter."
    name = ["Dana", "Tom"][number % 2]
    return {
        "id": f"row-{number:03d}-{label}", "case_id": case, "label": label, "span": None,
        "summary": f"Hello {name}, Boiler Care {number} is £14 a month.{more} Hearthline. Reply STOP to opt out.",
        "kind": None if label == "good" else "promised_outcome",
        "pair_id": None if label == "good" else f"row-{number:03d}-good",
    }  # fmt: skip


ROWS = [row(number, label) for number in range(30) for label in ("good", "bad")]


def grades(right):
    """A script by which the judge sees the label of the rows that ``right`` is true of, and says the opposite elsewhere."""
    said = []
    for number, one in enumerate(ROWS):
        good = (one["label"] == "good") == right(number)
        said.append({"contains": [one["summary"]], "answers": [{"score": 9 if good else 3, "reasons": []}]})
    # The longer texts first: a good message is the beginning of no bad one, but ids may contain each other.
    return sorted(said, key=lambda rule: -len(rule["contains"][0]))


PERFECT = grades(lambda number: True)
WORSE = grades(lambda number: number % 4 != 0)
COIN = [{"contains": [], "answers": [{"score": 9, "reasons": []}, {"score": 3, "reasons": []}]}]
PROSE = [{"contains": [], "answers": ["A lovely message."]}]


@pytest.fixture
def root(tmp_path):
    (tmp_path / "prompts").mkdir()
    shutil.copytree(REPO_ROOT / "prompts" / "upsell", tmp_path / "prompts" / "upsell")
    shutil.copytree(REPO_ROOT / "datasets" / "upsell", tmp_path / "datasets" / "upsell")
    rows = tmp_path / "datasets" / "upsell" / "judge_calibration.jsonl"
    rows.write_text("\n".join(json.dumps(one) for one in ROWS) + "\n", encoding="utf-8")
    raw = yaml.safe_load((REPO_ROOT / "prompts" / "models.yaml").read_text(encoding="utf-8"))
    echo = next(card for card in raw["models"] if card["id"] == "local.echo-v1")
    raw["models"].append(echo | {"id": SCRIPTED_MODEL_ID, "short_name": "scripted"})
    plain = json.loads(json.dumps(raw, default=str))  # no YAML aliases
    (tmp_path / "prompts" / "models.yaml").write_text(yaml.safe_dump(plain), encoding="utf-8")
    pair = tmp_path / "prompts" / "upsell" / "nova-lite.prompty"
    text = pair.read_text(encoding="utf-8").replace("mistral.mistral-7b-instruct-v0:2", SCRIPTED_MODEL_ID)
    pair.write_text(text, encoding="utf-8")
    return tmp_path


def measured(root, script, *, repeats=2, fresh=False, said=None):
    path = root / "script.jsonl"
    path.write_text("\n".join(map(json.dumps, script)), encoding="utf-8")
    with LocalBedrock(("--models", SCRIPTED_MODEL_ID, "--script", str(path))) as bedrock:
        settings = settings_of(root, bedrock.url)
        options = CalibrateOptions(task="upsell", repeats=repeats, sets=("own",), concurrency=8, fresh=fresh)
        (report,) = calibrate_approvals(options, settings, [].append if said is None else said.append)
    return report


def settings_of(root, endpoint=None):
    return Settings(
        root=root, state_dir=root / "state", registry_uri=f"sqlite:///{root}/mlflow.db", bedrock_endpoint=endpoint
    )


def note(root, judge=SCRIPTED_MODEL_ID):
    """What an evaluation of the pair says of its judge."""
    cards = ModelCards.load(root / "prompts" / "models.yaml")
    pair = load_pair(
        root / "prompts" / "upsell" / "nova-lite.prompty",
        cards=cards,
        task_variables=TASK.variables,
        part_variables=TASK.part_variables,
    )
    (part,) = pair.parts
    (found,) = approval_notes(SUITE, settings_of(root), cards, [replace(pair, parts=(replace(part, model=judge),))])
    return found


@pytest.mark.acceptance("message-08")
def test_a_judge_that_knows_the_labels_is_calibrated_and_named_so(root):
    report = measured(root, PERFECT)
    alone, code, together = report.record.sets
    assert (alone.n, alone.bad_rows, alone.unscored) == (60, 30, 0)
    assert (alone.kappa.value, alone.self_agreement.value) == (1.0, 1.0)
    assert alone.flagged == {"good": (0, 30), "promised_outcome": (30, 30)}
    # The messages name "Boiler Care 7", which is no price of the offer, so code refuses them all, whatever the judge says.
    assert (code.set_name, code.flagged["good"]) == ("code alone", (29, 30))  # number 14 is its price
    assert together.flagged["good"] == (29, 30)
    assert (report.shortfall, report.approves) == ("", "nova-lite")
    assert missing_licences([report]) == []
    (due,) = approvals_due("upsell", settings_of(root), days=90, now=wall_clock(None)())
    assert (due.rubric, due.reason) == ("approval of nova-lite", "")
    assert note(root).status.startswith("calibrated, kappa 1.00 [1.00, 1.00] on n=60, ")
    liked = note(root, "amazon.nova-micro-v1:0")
    assert liked.status.startswith("uncalibrated: never measured with this prompt and model; run ")
    assert liked.status.endswith("; a model of the generator's own family; decides what leaves, not this gate")
    assert not liked.gates


def test_a_coin_is_not_calibrated_and_prose_is_no_score(root):
    coin = measured(root, COIN)
    assert coin.record.sets[0].kappa.high < 0.6
    assert "kappa" in coin.shortfall
    assert missing_licences([coin]) == ["approval of nova-lite"]
    prose = measured(root, PROSE, repeats=1, fresh=True)
    assert prose.record.sets[0].unscored == 60
    assert "could not be scored" in prose.shortfall
    (failure,) = prose.failures
    assert failure[1] == 60
    assert failure[0].startswith("the judge's answer cannot be read")


@pytest.mark.acceptance("event.JUDGE_MEASURED")
def test_a_judge_that_agrees_less_than_at_first_is_told(root, monkeypatch):
    told = []
    monkeypatch.setattr(
        "eval.judges.pair_judges.log", lambda event, **fields: told.append((event.value, fields["fallen"]))
    )
    first = measured(root, PERFECT)
    same = measured(root, WORSE)  # the answers are kept: nothing was asked
    assert (same.record.first_date, same.shortfall) == (first.record.date, "")
    told.clear()
    worse = measured(root, WORSE, fresh=True)
    assert told == [("JUDGE_MEASURED", 1)]
    assert worse.record.sets[0].kappa.value < 0.6
    assert any(note.startswith("against ") and "agrees less" in note for note in worse.notes)
    (due,) = approvals_due("upsell", settings_of(root), days=90, now=wall_clock(None)())
    assert "kappa" in due.reason


def test_nobody_who_answers_is_an_error_that_says_what_to_do(root):
    options = CalibrateOptions(task="upsell", repeats=1, sets=("own",), concurrency=8)
    with pytest.raises(ConfigurationError, match=r"nobody answered .* models check"):
        calibrate_approvals(options, settings_of(root, "http://127.0.0.1:9"), [].append)
