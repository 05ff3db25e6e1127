"""A rollout of messages that sell, 10-50-100, through running services and the table that they share: stopped by a drop in
approvals, and named in the weekly report with what the services kept.
"""

import hashlib
import shutil

import pytest
from two_tasks import Deployment, ServingTask, eventually

from reports.compare.approvals import findings_of
from reports.read.approvals import read_approvals
from reports.read.stops import read_stops
from reports.read.weeks import Week
from reports.run import write_weekly
from service.core.tasks.upsell import guidelines
from service.core.tasks.upsell.customer import UpsellInputs
from service.kit.frame.clock import wall_clock
from service.kit.settings import REPO_ROOT
from service.loading.build import build_loader
from service.warehouse.duck import DuckWarehouse

# mlflow's own dependencies warn; ours do not get to.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
STEPS = (10, 50, 100)
CUSTOMER = UpsellInputs.model_config["json_schema_extra"]["examples"][0]
BOILER = CUSTOMER["offers"][0]
DRAIN = {"id": "drain-care", "name": "Drain Care", "price": "£8 a month", "includes": ["a camera survey each year"]}


@pytest.fixture
def root(tmp_path):
    """A root with the templates, and with a pair whose guidelines forbid a word that the templates write about one offer."""
    made = tmp_path / "root"
    (made / "prompts" / "upsell").mkdir(parents=True)
    shutil.copy(REPO_ROOT / "prompts" / "models.yaml", made / "prompts")
    own = (REPO_ROOT / "service/core/tasks/upsell/guidelines.yaml").read_text(encoding="utf-8")
    stricter = own.replace('version: "1.0"', 'version: "1.1"').replace(
        "never: [cheap, free", "never: [boiler, cheap, free"
    )
    assert guidelines.read_guidelines(stricter.encode()).version == "1.1"
    (made / "prompts" / "upsell" / "stricter.yaml").write_text(stricter, encoding="utf-8")
    pair = (REPO_ROOT / "prompts" / "upsell" / "templates.prompty").read_text(encoding="utf-8")
    (made / "prompts" / "upsell" / "templates.prompty").write_text(pair, encoding="utf-8")
    new = pair.replace("name: templates", "name: stricter").replace("file: guidelines.yaml", "file: stricter.yaml")
    digest = hashlib.sha256(stricter.encode()).hexdigest()
    new = new.replace(guidelines.OWN_GUIDELINES.sha256, digest)
    (made / "prompts" / "upsell" / "stricter.prompty").write_text(new, encoding="utf-8")
    return made


@pytest.fixture
def deployment(local_aws, tmp_path, root):
    made = Deployment(local_aws(), tmp_path, task="upsell", pairs=("templates", "stricter"), root=root)
    running = []

    def start(*disks):
        tasks = [ServingTask(made, tmp_path / disk) for disk in disks]
        running.extend(tasks)
        return [task.ready() for task in tasks]

    yield made, start
    for task in running:
        task.end()


def asked(task, numbers, offers):
    """Have messages written to customers of these numbers; return the answers."""
    bodies = [CUSTOMER | {"customer_id": f"c-{number}", "offers": [offers(number)]} for number in numbers]
    return task.at_once(lambda body: task.call("/v1/upsell", body), bodies)


def is_counted(tasks, requests):
    """Wait until each task adds up the requests of all."""

    def seen(task):
        return sum(side["requests"] for side in task.pair()["rollout"]["sides"].values()) >= requests

    for task in tasks:
        eventually(lambda task=task: seen(task), f"{requests} requests are counted")


@pytest.mark.acceptance("agent-02", "monitor-01")
def test_a_drop_in_approvals_stops_the_rollout_everywhere_and_the_weekly_report_names_it(deployment):
    made, start = deployment
    tasks = one, other = start("one", "other")
    made.roll_out(STEPS[0], STEPS)
    for task in tasks:
        eventually(lambda task=task: (task.pair()["rollout"] or {}).get("rollout") == 1, "step 1 is seen")
    # Of the first customers all can be offered something that both pairs may write about.
    first = [*asked(one, range(60), lambda _: DRAIN), *asked(other, range(60, 120), lambda _: DRAIN)]
    assert {answer["output"]["decision"] for answer in first} == {"send"}
    shown = sum(answer["pair"] == "stricter" for answer in first)
    assert 2 <= shown <= 30
    is_counted(tasks, 120)
    assert not one.pair()["rollout"]["stopped"]

    made.roll_out(STEPS[1], STEPS)
    for task in tasks:
        eventually(lambda task=task: (task.pair()["rollout"] or {}).get("rollout") == 2, "step 2 is seen")
    # Half of the next ones can be offered what the candidate's guidelines have no words for.
    half = [
        *asked(one, range(200, 350), lambda number: (BOILER, DRAIN)[number % 2]),
        *asked(other, range(350, 500), lambda number: (BOILER, DRAIN)[number % 2]),
    ]
    refused = [answer for answer in half if answer["output"]["decision"] == "not_approved"]
    assert {answer["pair"] for answer in refused} == {"stricter"}
    assert {tuple(answer["output"]["approval"]["kinds"]) for answer in refused} == {("brand",)}
    for task in tasks:
        eventually(lambda task=task: task.pair()["rollout"]["stopped"], "each task stops")
    reason = one.pair()["rollout"]["stopped"]
    assert other.pair()["rollout"]["stopped"] == reason
    assert reason.startswith("unapproved: ")
    after = [*asked(one, range(600, 620), lambda _: BOILER), *asked(other, range(620, 640), lambda _: BOILER)]
    assert {(answer["pair"], answer["output"]["decision"]) for answer in after} == {("templates", "send")}

    (stop,) = read_stops(made.settings, ["upsell"])["upsell"]
    assert (stop.sequence, stop.reason) == (2, reason)
    answers = len(first) + len(half) + len(after)
    check_report(made, stop, answers=answers, refused=len(refused))


def check_report(made, stop, *, answers, refused):
    """Load what the services kept, and read the weekly report and the daily look of it."""
    settings = made.settings
    loader, _ = build_loader(settings)
    loader.prepare_warehouse()
    loaded = 0

    def all_loaded():
        nonlocal loaded
        loader.scan(everything=True)
        with_warehouse = DuckWarehouse(settings.warehouse_file, read_only=True)
        try:
            loaded = int(with_warehouse.query("SELECT COUNT(*) AS n FROM omni_summaries", {})["n"].iloc[0])
        finally:
            with_warehouse.close()
        return loaded >= answers

    eventually(all_loaded, "all answers are in the warehouse")
    assert loaded == answers
    now = wall_clock(None)()
    week = Week.parse(f"{now:%G-W%V}")
    written = write_weekly(settings, week=week.name, task="upsell", now=now)
    first = written.actions[0]
    assert first.do.startswith(f"End the rollout of stricter v1.0.0, which stopped by itself on {stop.at:%a %-d %b}")
    assert first.because == f"step 2 was stopped: {stop.reason}"
    assert "stopped by itself" in written.page.read_text(encoding="utf-8")
    digest = written.digest.read_text(encoding="utf-8")
    assert "which stopped by itself" in digest
    assert "approval rate" in digest

    warehouse = DuckWarehouse(settings.warehouse_file, read_only=True)
    try:
        data = read_approvals(warehouse, "upsell", now + (week.end - week.start))  # as if a week had passed
    finally:
        warehouse.close()
    sums = data.days.groupby("pair")[["judged", "approved"]].sum()
    assert int(sums["judged"].sum()) == answers
    assert int((sums["judged"] - sums["approved"])["stricter"]) == refused
    assert {kind: sum(n for (_, of), n in data.kinds.items() if of == kind) for _, kind in data.kinds} == {
        "brand": refused
    }
    assert {finding.kind for finding in findings_of(data)} <= {"low"}  # a day alone is no level that fell
