"""Schedulers on several machines over one DynamoDB and S3: nothing runs or arrives twice, and e-mail goes through SES."""

import json
import os
from concurrent.futures import ThreadPoolExecutor

import pytest
import typer
from made_tables import make_table
from pydantic import TypeAdapter
from receivers import MailServer
from scheduled import Clock, Receivers, job, make_scheduler

from omni.app import build_app
from omni.delivery.destinations import AnyDestination
from omni.delivery.mail import send_by_ses
from omni.delivery.outgoing import DeliveryFailed, Outgoing, OutgoingFile
from omni.delivery.sending import put_into_bucket, send
from omni.records import BucketObjects, KeptRecords, open_place
from omni.schedule.export import files_of
from omni.schedule.plan import PLAN_FILE, load_plan
from omni.schedule.runs import RunRecord
from service.kit.aws.clients import client
from service.kit.aws.stores import SHARED
from service.kit.frame.errors import StoreError
from service.kit.settings import REPO_ROOT

pytestmark = pytest.mark.slow
MACHINES = 6


@pytest.fixture(scope="module")
def mail():
    with MailServer() as server:
        os.environ["SMTP_HOST"] = server.address  # where the local AWS's SES hands mails on
        yield server
        del os.environ["SMTP_HOST"]


@pytest.fixture(scope="module")
def settings(own_aws, mail):
    return own_aws()


@pytest.fixture
def place(settings, request):
    table = f"shared-{request.node.name[:40]}"
    dynamodb = client("dynamodb", settings)
    make_table(dynamodb, SHARED, table)
    dynamodb.close()
    return open_place(settings.model_copy(update={"shared_table": table}))


def test_of_six_machines_one_runs_a_job_and_one_delivers_its_report(tmp_path, place):
    clock, send = Clock(), Receivers()
    ran = tmp_path / "ran"
    program = f"import time; open({str(ran)!r}, 'a').write('ran\\n'); time.sleep(0.5)"
    told = job(program, deliver={"what": "output", "to": ["folder"]})
    machines = [
        make_scheduler(tmp_path / str(name), told, clock=clock, send=send, place=place, machine=str(name))[0]
        for name in range(MACHINES)
    ]
    with ThreadPoolExecutor(MACHINES) as pool:
        for _ in range(3):
            list(pool.map(lambda machine: machine.turn(), machines))
    assert ran.read_text() == "ran\n"
    assert len(send.got) == 1


def test_another_machine_delivers_what_the_first_one_could_not(tmp_path, place):
    clock = Clock()
    told = job("print('text')", deliver={"what": "output", "to": ["folder"]})
    first, _ = make_scheduler(tmp_path / "a", told, clock=clock, send=Receivers("no"), place=place, machine="a")
    assert not first.turn()
    send = Receivers()
    second, _ = make_scheduler(tmp_path / "b", told, clock=clock, send=send, place=place, machine="b")
    clock.now = first.outbox.all()[0].next_at
    assert second.turn()
    assert send.got[0][0].lines == ("text",)
    assert [record.state for record in first.outbox.all()] == ["delivered"]
    assert place.objects.get(send.got[0][0].report_id) is None


def test_a_record_is_written_over_the_one_that_was_read_and_over_no_other(place):
    records = KeptRecords(place, "run", RunRecord)
    now = Clock().now
    run = RunRecord(slot=now, state="done", attempt=1, machine="a", begun_at=now, lease_until=now)
    later = run.model_copy(update={"attempt": 2})
    assert records.read("x") is None
    first = records.write("x", run, replaces=None)
    assert records.write("x", run, replaces=None) is None
    assert first == records.read("x")
    assert records.write("x", later, replaces=first) is not None
    assert records.write("x", run, replaces=first) is None
    assert {name: kept.record for name, kept in records.all().items()} == {"x": later}
    assert KeptRecords(place, "delivery", RunRecord).all() == {}


def test_a_bucket_that_is_missing_is_an_error_and_not_an_empty_place(settings):
    s3 = client("s3", settings)
    with pytest.raises(StoreError, match="create it"):
        BucketObjects(s3, "no-such-bucket", prefix="x/").get("x")
    s3.close()


def test_a_store_that_is_down_runs_nothing(tmp_path, settings):
    told = job(f"open({str(tmp_path / 'ran')!r}, 'a').write('ran')")
    away = open_place(settings.model_copy(update={"shared_table": "no-such-table"}))
    scheduler, said = make_scheduler(tmp_path, told, place=away)
    assert not scheduler.turn()
    assert "table 'no-such-table' refuses: ResourceNotFoundException" in said[0]
    assert not (tmp_path / "ran").exists()


def test_a_report_is_mailed_through_ses(settings, mail):
    read = TypeAdapter(AnyDestination).validate_python
    destination = read({"kind": "ses", "sender": "omni@example.com", "to": ["lead@example.com"]})
    page = OutgoingFile(name="p.html", media_type="text/html", content=b"PHA+")
    report = Outgoing(report_id="weekly-1", title="A title", lines=("evidence",), files=(page,), made_at=Clock().now)
    with pytest.raises(DeliveryFailed, match="SES refuses: MessageRejected") as refused:
        send_by_ses(report, destination, settings)
    assert not refused.value.passing
    ses = client("ses", settings)
    ses.verify_email_identity(EmailAddress="omni@example.com")
    ses.close()
    send_by_ses(report, destination, settings)
    (message,) = mail.wait_for(1)
    assert message["Subject"] == "A title"
    assert [part.get_payload(decode=True) for part in message.iter_attachments()] == [b"<p>"]
    assert mail.receivers == [["lead@example.com"]]


def test_a_report_is_put_into_a_bucket(settings):
    read = TypeAdapter(AnyDestination).validate_python
    page = OutgoingFile(name="p.html", media_type="text/html", content=b"PHA+")
    report = Outgoing(report_id="weekly-1", title="A title", files=(page,), made_at=Clock().now)
    place = {"kind": "bucket", "bucket": settings.stores.archive_bucket, "prefix": "reports/"}
    assert put_into_bucket(report, read(place), settings) == f"s3://{place['bucket']}/reports/weekly-1/"
    s3 = client("s3", settings)
    found = s3.get_object(Bucket=place["bucket"], Key="reports/weekly-1/p.html")
    assert (found["Body"].read(), found["ContentType"]) == (b"<p>", "text/html; charset=utf-8")
    assert s3.get_object(Bucket=place["bucket"], Key="reports/weekly-1/message.txt")["Body"].read() == b"A title\n"
    s3.close()
    with pytest.raises(DeliveryFailed, match="bucket 'none' refuses: NoSuchBucket") as refused:
        put_into_bucket(report, read(place | {"bucket": "none"}), settings)
    assert not refused.value.passing


def test_a_runner_that_forgets_its_disk_leaves_a_report_in_the_archive(settings):
    destination = TypeAdapter(AnyDestination).validate_python({"kind": "archive", "path": "shelf"})
    report = Outgoing(report_id="weekly-1", title="A title", made_at=Clock().now)
    there = f"omni-reports/{settings.stage}/delivered/weekly-1/"
    assert send(report, destination, settings, {}) == f"s3://{settings.stores.archive_bucket}/{there}"
    s3 = client("s3", settings)
    found = s3.get_object(Bucket=settings.stores.archive_bucket, Key=f"{there}message.txt")
    assert found["Body"].read() == b"A title\n"
    s3.close()
    assert not (settings.root / "shelf").exists()


def test_the_exported_schedules_can_be_deployed(settings):
    plan = load_plan(REPO_ROOT / PLAN_FILE, typer.main.get_command(build_app()).commands)
    (template,) = files_of(plan, "eventbridge").values()
    given = {
        "Cluster": "arn:aws:ecs:us-east-1:000000000000:cluster/omni",
        "TaskDefinition": "arn:aws:ecs:us-east-1:000000000000:task-definition/omni:1",
        "Container": "app", "SchedulerRole": "arn:aws:iam::000000000000:role/scheduler",
        "Subnets": "subnet-1,subnet-2", "SecurityGroups": "sg-1",
    }  # fmt: skip
    formation, scheduler = client("cloudformation", settings), client("scheduler", settings)
    parameters = [{"ParameterKey": key, "ParameterValue": value} for key, value in given.items()]
    formation.create_stack(StackName="schedule", TemplateBody=template, Parameters=parameters)
    formation.get_waiter("stack_create_complete").wait(StackName="schedule", WaiterConfig={"Delay": 1})
    for job_of_file in plan.jobs:
        found = scheduler.get_schedule(GroupName="omni", Name=job_of_file.id)
        assert found["ScheduleExpressionTimezone"] == job_of_file.zone
        command = json.loads(found["Target"]["Input"])["containerOverrides"][0]
        assert command == {"name": "app", "command": ["schedule", "run"]}
    formation.close()
    scheduler.close()
