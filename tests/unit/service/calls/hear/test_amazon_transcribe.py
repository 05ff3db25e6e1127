"""Amazon Transcribe by its own service model (botocore's Stubber): job names, redaction, KMS context, waiting, failing."""

import io
import json
import re
from datetime import UTC, datetime, timedelta

import boto3
import pytest
from botocore.response import StreamingBody
from botocore.stub import Stubber
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from service.calls.failure import CallFailed, FailureReason, Waiting
from service.calls.hear.amazon_transcribe import AmazonTranscriber
from service.calls.hear.transcriber import Facts
from service.calls.keys import call_of_job, job_name, read_key
from service.calls.store.objects import TenantResults, WallBreached
from service.kit.telemetry import tracing
from service.local.call_samples import as_transcribe

SOURCE = read_key("acme/calls/some folder/Ünïcode name (1).wav", etag="e1")
NAME = job_name(SOURCE)
FACTS = Facts()
KEY = "arn:aws:kms:eu-central-1:000000000000:key/k"


@pytest.fixture
def amazon():
    """Stubbed clients, a transcriber on them, a clock that only sleeping moves, and what people were told."""
    clients = [
        boto3.client(name, region_name="eu-central-1", aws_access_key_id="x", aws_secret_access_key="x")
        for name in ("transcribe", "s3")
    ]
    stubs = [Stubber(client) for client in clients]
    slept, told = [], []

    def make(language="en-US", **more):
        return AmazonTranscriber(
            *clients, inputs="in", outputs="out", language=language, notify=lambda *said: told.append(said), sleep=slept.append,
            clock=lambda: sum(slept), **more,
        )  # fmt: skip

    for stub in stubs:
        stub.activate()
    yield make, *stubs, slept, told
    for stub, client in zip(stubs, clients, strict=True):
        stub.assert_no_pending_responses()
        client.close()


def missing(stub):
    stub.add_client_error(
        "get_transcription_job", "BadRequestException", expected_params={"TranscriptionJobName": NAME}
    )


def found(stub, status, **more):
    tags = [{"Key": "tenant_id", "Value": "acme"}]
    job = {"TranscriptionJobName": NAME, "TranscriptionJobStatus": status, "Tags": tags, **more}
    stub.add_response("get_transcription_job", {"TranscriptionJob": job}, {"TranscriptionJobName": NAME})


def start(**changes):
    wanted = {
        "TranscriptionJobName": NAME,
        "LanguageCode": "en-US",
        "Media": {"MediaFileUri": f"s3://in/{SOURCE.key}"},
        "OutputBucketName": "out",
        "OutputKey": f"tmp/acme/{SOURCE.call_id}.json",
        "Settings": {"ShowSpeakerLabels": True, "MaxSpeakerLabels": 2},
        "Tags": [{"Key": "tenant_id", "Value": "acme"}],
        "ContentRedaction": {"RedactionType": "PII", "RedactionOutput": "redacted"},
    }
    return {name: value for name, value in {**wanted, **changes}.items() if value is not None}


@pytest.mark.acceptance("call-step-03")
def test_a_jobs_name_is_one_that_transcribe_takes():
    assert re.fullmatch(r"[0-9a-zA-Z._-]{1,200}", job_name(read_key(f"{'a' * 62}/calls/x", etag="e")))
    assert job_name(read_key("acme/calls/a/test.wav", etag="1")) != job_name(
        read_key("acme/calls/a_test.wav", etag="2")
    )


@pytest.mark.acceptance("call-step-02")
def test_a_job_is_started_redacting_with_the_tenant_in_tags_and_keys(amazon):
    make, transcribe, _, _, _ = amazon
    missing(transcribe)
    role = {"AllowDeferredExecution": True, "DataAccessRoleArn": "arn:aws:iam::000000000000:role/r"}
    kms = {"OutputEncryptionKMSKeyId": KEY, "KMSEncryptionContext": {"tenant_id": "acme"}}
    transcribe.add_response("start_transcription_job", {}, start(**kms, JobExecutionSettings=role))
    with pytest.raises(Waiting) as caught:
        make(kms_key=KEY, role=role["DataAccessRoleArn"]).hear(SOURCE, b"", FACTS)
    assert caught.value.job == NAME


def test_a_language_that_transcribe_does_not_redact_is_not_asked_to_be(amazon):
    make, transcribe, _, _, _ = amazon
    missing(transcribe)
    changes = {"LanguageCode": "de-DE", "ContentRedaction": None, "Settings": {"ChannelIdentification": True}}
    transcribe.add_response("start_transcription_job", {}, start(**changes))
    with pytest.raises(Waiting):
        make("de-DE").hear(SOURCE, b"", Facts(agent_channel="ch_0"))


def wav(channels):
    return b"RIFF\x24\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00" + channels.to_bytes(2, "little") + b"\x00" * 20


@pytest.mark.parametrize(
    ("body", "sides"),
    [
        (wav(1), {"ShowSpeakerLabels": True, "MaxSpeakerLabels": 2}),
        (wav(2), {"ChannelIdentification": True}),
        (b"fLaC\x00\x00\x00\x22" + b"\x00" * 12 + b"\x02", {"ChannelIdentification": True}),
        (b"ID3 an MP3", {"ShowSpeakerLabels": True, "MaxSpeakerLabels": 2}),
    ],
    ids=["one", "two", "flac", "untold"],
)
@pytest.mark.acceptance("call-step-05")
def test_a_recording_of_two_channels_is_heard_by_channel(amazon, body, sides):
    make, transcribe, _, _, _ = amazon
    missing(transcribe)
    transcribe.add_response("start_transcription_job", {}, start(Settings=sides))
    with pytest.raises(Waiting):
        make().hear(SOURCE, body, FACTS)


@pytest.mark.acceptance("call-step-06")
def test_a_tenants_vocabulary_is_used_and_named_when_it_does_not_fit(amazon):
    make, transcribe, _, _, _ = amazon
    words = {"acme": "acme-products"}
    sides = {"ShowSpeakerLabels": True, "MaxSpeakerLabels": 2, "VocabularyName": "acme-products"}
    missing(transcribe)
    transcribe.add_response("start_transcription_job", {}, start(Settings=sides))
    with pytest.raises(Waiting):
        make(vocabulary=words.get).hear(SOURCE, b"", FACTS)
    missing(transcribe)
    transcribe.add_client_error("start_transcription_job", "BadRequestException")
    with pytest.raises(CallFailed, match="vocabulary 'acme-products'"):
        make(vocabulary=words.get).hear(SOURCE, b"", FACTS)


@pytest.mark.acceptance("tenant-07")
def test_a_job_carries_the_tags_by_which_the_tenants_bill_is_split(amazon):
    make, transcribe, _, _, _ = amazon
    tags = {"acme": {"cost-center": "4711", "tenant_id": "brand"}}
    missing(transcribe)
    named = [{"Key": "cost-center", "Value": "4711"}, {"Key": "tenant_id", "Value": "acme"}]
    transcribe.add_response("start_transcription_job", {}, start(Tags=named))
    with pytest.raises(Waiting):
        make(tags=tags.get).hear(SOURCE, b"", FACTS)


@pytest.mark.acceptance("call-step-03")
def test_a_second_delivery_finds_the_job_there(amazon):
    make, transcribe, _, _, _ = amazon
    missing(transcribe)
    transcribe.add_client_error("start_transcription_job", "ConflictException")
    with pytest.raises(Waiting):
        make().hear(SOURCE, b"", FACTS)
    found(transcribe, "IN_PROGRESS")
    with pytest.raises(Waiting):
        make().hear(SOURCE, b"", FACTS)


def output(s3, key, body=None):
    if body is None:
        s3.add_client_error("get_object", "NoSuchKey", expected_params={"Bucket": "out", "Key": key})
    else:
        s3.add_response(
            "get_object", {"Body": StreamingBody(io.BytesIO(body), len(body))}, {"Bucket": "out", "Key": key}
        )


def test_the_output_is_awaited_and_says_whether_it_was_redacted(amazon):
    make, transcribe, s3, slept, _ = amazon
    said = as_transcribe([{"speaker": "agent", "start_s": 1.0, "text": "Hello there"}], NAME)
    body = json.dumps(said).encode()
    found(transcribe, "COMPLETED", ContentRedaction={"RedactionType": "PII", "RedactionOutput": "redacted"})
    key = f"tmp/acme/redacted-{SOURCE.call_id}.json"
    for piece in (None, None, body[:20], body):
        output(s3, key, piece)
    heard = make().hear(SOURCE, b"", FACTS)
    assert [(turn.speaker, turn.text) for turn in heard.turns] == [("agent", "Hello there")]
    assert (heard.by, heard.job, heard.claimed) == ("amazon-transcribe", NAME, {})
    assert slept == [1, 2, 4]
    found(transcribe, "COMPLETED")
    output(s3, f"tmp/acme/{SOURCE.call_id}.json", body)
    assert make("de-DE").hear(SOURCE, b"", FACTS).claimed is None


def test_the_wait_for_a_job_is_a_span_of_its_own_times(amazon):
    make, transcribe, s3, _, _ = amazon
    began = datetime(2026, 11, 23, 9, tzinfo=UTC)
    found(transcribe, "COMPLETED", CreationTime=began, CompletionTime=began + timedelta(minutes=4))
    output(s3, f"tmp/acme/{SOURCE.call_id}.json", json.dumps(as_transcribe([], NAME)).encode())
    exporter = InMemorySpanExporter()
    tracing.start_tracing("http://unused", environment="local", share=1.0, exporter=exporter)
    make("de-DE").hear(SOURCE, b"", FACTS)
    tracing._provider.force_flush()
    (wait,) = exporter.get_finished_spans()
    tracing.stop_tracing()
    assert (wait.name, wait.end_time - wait.start_time) == ("wait for transcription", 240 * 10**9)


@pytest.mark.parametrize(
    "tags", [[{"Key": "cost", "Value": "x"}], [{"Key": "tenant_id", "Value": "brand"}]], ids=["none", "another"]
)
@pytest.mark.acceptance("call-store-06")
def test_output_of_a_job_without_the_tenants_tag_is_not_read(amazon, tags):
    make, transcribe, _, _, _ = amazon
    found(transcribe, "COMPLETED", Tags=tags)
    with pytest.raises(WallBreached, match="does not have the tag of tenant 'acme'"):
        make().hear(SOURCE, b"", FACTS)


def test_a_jobs_name_says_its_call():
    assert call_of_job(NAME) == ("acme", SOURCE.call_id)
    for name in ("", "cci_", "cci_acme", "cci_acme_x", f"x{NAME}", f"{NAME}_2", f"cci_Acme_{SOURCE.call_id}"):
        assert call_of_job(name) is None


@pytest.mark.acceptance("call-step-04")
def test_a_transcript_that_never_comes_is_an_error_after_45_seconds(amazon):
    make, transcribe, s3, slept, _ = amazon
    found(transcribe, "COMPLETED")
    for _ in range(8):  # after 0, 1, 3, 7, 15, 25, 35 and 45 seconds
        output(s3, f"tmp/acme/{SOURCE.call_id}.json")
    with pytest.raises(CallFailed, match="not available after 45 s") as caught:
        make().hear(SOURCE, b"", FACTS)
    assert caught.value.reason is FailureReason.TRANSCRIPTION
    assert sum(slept) == 45


@pytest.mark.acceptance("call-step-14")
def test_a_failed_job_is_told_to_people(amazon):
    make, transcribe, _, _, told = amazon
    found(transcribe, "FAILED", FailureReason="The media format does not match")
    with pytest.raises(CallFailed, match="media format"):
        make().hear(SOURCE, b"", FACTS)
    assert told == [("Transcription failed", f"tenant acme, job {NAME}: The media format does not match")]


@pytest.mark.acceptance("call-store-01", "tenant-02")
def test_results_are_encrypted_under_the_tenant():
    import base64

    client = boto3.client("s3", region_name="eu-central-1", aws_access_key_id="x", aws_secret_access_key="x")
    with Stubber(client) as stub:
        context = base64.b64encode(b'{"tenant_id": "acme"}').decode()
        stub.add_response(
            "put_object",
            {},
            {
                "Bucket": "out", "Key": "acme/x.json", "Body": b"{}", "ContentType": "application/json",
                "Tagging": "tenant_id=acme",
                "ServerSideEncryption": "aws:kms", "SSEKMSKeyId": KEY, "SSEKMSEncryptionContext": context,
                "BucketKeyEnabled": False,
            },
        )  # fmt: skip
        assert TenantResults(client, "out", "acme", kms_key=KEY).put("acme/x.json", "{}") == "written"
        stub.assert_no_pending_responses()
    client.close()
