import json
import re
import shlex
from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from eval.instruments.traffic.offline import records, write_offline
from eval.instruments.traffic.plan import CHANNEL, TrafficOptions, make_plan, monday_after, newest_full_week
from eval.instruments.traffic.releases import FIRST, RULE, SECOND, stand_in_arguments, write_root
from eval.instruments.traffic.stories import episodes
from eval.instruments.traffic.truth import opinion, truth_of, unhelpful_rate
from eval.spine.cases import load_cases
from eval.spine.errors import TrafficError
from service.core.run.task import load_task
from service.core.tasks.summarize.digest import extractive_digest
from service.core.unit.cards import ModelCards
from service.core.unit.pair_file import load_pair
from service.kit.settings import Settings
from service.local.options import parse_arguments

ROOT = Path(__file__).resolve().parents[5]
OPTIONS = TrafficOptions(until=date(2026, 11, 16), weeks=2, per_day=60)


@pytest.fixture(scope="module")
def told():
    dataset = load_cases(ROOT / "datasets" / "summarize" / "dev.jsonl", input_model=load_task("summarize").input_model)
    return episodes(dataset.cases)


@pytest.fixture(scope="module")
def plan(told):
    return make_plan(OPTIONS, told)


def test_the_same_options_give_the_same_weeks_and_another_seed_others(told, plan):
    assert make_plan(OPTIONS, told).contacts == plan.contacts
    other = make_plan(replace(OPTIONS, seed=1), told)
    assert not {c.account_number for c in other.contacts} & {c.account_number for c in plan.contacts}


def test_contacts_lie_in_the_weeks_and_in_order(plan):
    times = [contact.at for contact in plan.contacts]
    assert times == sorted(times)
    assert times[0] >= datetime(2026, 11, 2, tzinfo=UTC)
    assert times[-1] < datetime(2026, 11, 16, tzinfo=UTC)
    assert OPTIONS.released_at == datetime(2026, 11, 9, 6, tzinfo=UTC)
    assert len({contact.contact_id for contact in plan.contacts}) == len(plan.contacts)


def test_an_account_has_one_history_and_shows_it_at_each_of_its_contacts(plan):
    by_account = {}
    for contact in plan.contacts:
        first = by_account.setdefault(contact.account_number, contact)
        episode = plan.episodes[contact.episode]
        assert contact.episode == first.episode
        assert episode.moved(contact.at, contact.gap) == episode.moved(first.at, first.gap)
        newest = episode.moved(contact.at, contact.gap)[-1]
        assert newest.timestamp == contact.at - contact.gap
    again = [contact for contact in plan.contacts if contact.again]
    assert again
    assert not any(by_account[contact.account_number].again for contact in again)


def test_the_stages_of_a_story_hold_only_the_facts_known_by_then(told):
    for episode in told:
        ids = {item.interaction_id for item in episode.visible}
        assert {fact.interaction_id for fact in episode.facts} <= ids
        assert episode.coverage(extractive_digest(episode.visible)) > 0


def test_fewer_facts_and_more_noise_make_more_complaints():
    rates = [unhelpful_rate(coverage) for coverage in (0.0, 0.2, 0.5, 1.0)]
    assert rates == sorted(rates, reverse=True)
    assert rates[2] == rates[3] == pytest.approx(0.03)
    assert unhelpful_rate(1.0, noise=0.05) == pytest.approx(0.03 * 0.95 + 0.97 * 0.05)


def test_an_opinion_depends_on_seed_and_contact_alone(plan):
    some = plan.contacts[:300]
    first = [opinion(contact, plan.episodes[contact.episode], "", OPTIONS) for contact in some]
    assert first == [opinion(contact, plan.episodes[contact.episode], "", OPTIONS) for contact in some]
    given = [said for said in first if said is not None]
    assert 0.25 < len(given) / len(some) < 0.45
    assert sum(not said.helpful for said in given) / len(given) > 0.4  # an empty summary helps nobody
    assert any(said.comment for said in given)
    assert any(said.edited_summary for said in given)


def test_only_the_planted_channel_is_hit_hard(plan):
    truth = truth_of(plan)
    rows = {(row["slice"], row["value"]): row for row in truth["slices"]}
    planted = rows["last_channel", CHANNEL]
    assert planted["effect"] > 0.12
    others = [
        row["effect"] for key, row in rows.items() if key[0] == "last_channel" and key[1] not in (CHANNEL, "social")
    ]
    assert max(map(abs, others)) < 0.06
    assert rows["last_channel", "chat"]["untouched"]
    assert truth["planted"] == {"slice": "last_channel", "value": CHANNEL, "pair": SECOND, "lost_rule": RULE}


def test_offline_records_are_the_same_each_time_and_hold_both_releases(plan):
    settings = Settings()
    kept = [record.model_dump_json() for record in records(plan, settings)]
    assert kept == [record.model_dump_json() for record in records(plan, settings)]
    kinds = Counter(
        "feedback" if "feedback_id" in row else "release" if "sequence" in row else "summary"
        for row in map(json.loads, kept)
    )
    transfers = sum(contact.transfer for contact in plan.contacts)
    assert kinds["release"] == 2
    assert kinds["summary"] == len(plan.contacts) + transfers
    assert 0.25 < kinds["feedback"] / len(plan.contacts) < 0.45
    for row in map(json.loads, kept):
        if "interactions_considered" in row:
            late = datetime.fromisoformat(row["generated_at"]) > OPTIONS.released_at
            assert row["pair"] == (SECOND if late else FIRST)


def test_offline_rows_are_loaded_by_the_command_that_is_suggested_once_the_local_aws_runs(tmp_path):
    for name in ("prompts", "datasets"):
        (tmp_path / name).symlink_to(Settings().root / name)
    written, suggested = write_offline(
        replace(OPTIONS, per_day=1), Settings(root=tmp_path, state_dir=tmp_path / "a state")
    )
    assert written.startswith("written: ")
    assert re.search(r"with the local AWS running \(\S+ up\): \S+ load-events --bulk '", suggested)
    (file,) = [word for word in shlex.split(suggested) if word.endswith("records.jsonl")]
    assert len(Path(file).read_text(encoding="utf-8").splitlines()) > 2


def test_the_two_pairs_differ_by_one_sentence_of_the_prompt(tmp_path):
    write_root(tmp_path, Settings())
    cards = ModelCards.load(tmp_path / "prompts" / "models.yaml")
    first, second = (
        load_pair(
            tmp_path / "prompts" / "summarize" / f"{name}.prompty",
            cards=cards,
            task_variables=load_task("summarize").variables,
        )
        for name in (FIRST, SECOND)
    )
    system = [pair.messages[0].content for pair in (first, second)]
    assert system[0].replace(f"{RULE}\n", "") == system[1]
    assert first.messages[1:] == second.messages[1:]
    options = parse_arguments(stand_in_arguments(first.model))
    assert options.digest_models == options.models == {first.model}
    assert [(skip.channel, skip.rule) for skip in options.digest_skips] == [(CHANNEL, RULE)]


def test_weeks_are_iso_weeks():
    assert monday_after("2026-W46") == date(2026, 11, 16)
    assert newest_full_week(datetime(2026, 11, 15, 23, 59, tzinfo=UTC)) == date(2026, 11, 9)
    assert newest_full_week(datetime(2026, 11, 16, tzinfo=UTC)) == date(2026, 11, 16)
    with pytest.raises(TrafficError, match="2026-W46"):
        monday_after("W46")


@pytest.mark.parametrize("changes", [{"weeks": 1}, {"per_day": 0}])
def test_too_little_to_simulate_is_refused(told, changes):
    with pytest.raises(TrafficError):
        make_plan(replace(OPTIONS, **changes), told)


def test_repeated_contacts_come_after_the_first(plan):
    seen = {}
    for contact in plan.contacts:
        if contact.again:
            assert seen[contact.account_number] < contact.at
        seen.setdefault(contact.account_number, contact.at)
    assert max(contact.gap for contact in plan.contacts) < timedelta(days=21)
