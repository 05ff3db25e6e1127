"""Transcribes recordings with Amazon Transcribe: one batch job per call, which has the call's id as its name."""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass, replace
from functools import partial
from typing import Any

from botocore.exceptions import ClientError

from service.calls.failure import CallFailed, FailureReason, Waiting
from service.calls.hear.formats import channels_of, read_transcript
from service.calls.hear.transcriber import BILLED_TRANSCRIBER, Facts, Heard
from service.calls.keys import TENANT_TAG, CallObject, job_name, job_output_key
from service.calls.store.objects import WallBreached
from service.kit.aws.bounded import translated
from service.kit.frame.errors import StoreError
from service.kit.frame.retries import RetryPlan
from service.kit.telemetry.tracing import passed

# Languages that a batch job redacts: https://docs.aws.amazon.com/transcribe/latest/dg/pii-redaction-batch.html (2026-11-21).
REDACTS = frozenset({"en-US", "es-US"})
# A job is COMPLETED before its output can be read; R-QA-FLOW allows up to 45 seconds.
_AVAILABLE_S = 45.0
_RETRIES = RetryPlan(first_s=1.0, longest_s=10.0)
_STORE = "Amazon Transcribe"


class _NotYet(Exception):
    """The output is not there, or not completely written."""


@dataclass(frozen=True, slots=True)
class AmazonTranscriber:
    """Implements ``Transcriber``.

    ``vocabulary`` returns the name of a tenant's custom vocabulary, or None; ``tags`` those by which its bills are split.
    ``notify`` reports a failed job to people; ``sleep`` and ``clock`` are in seconds.
    """

    transcribe: Any
    s3: Any
    _: KW_ONLY
    inputs: str
    outputs: str
    language: str
    kms_key: str | None = None
    role: str | None = None
    vocabulary: Callable[[str], str | None] = lambda tenant: None
    tags: Callable[[str], Mapping[str, str]] = lambda tenant: {}
    notify: Callable[[str, str], None] = lambda subject, text: None
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic

    def hear(self, source: CallObject, body: bytes, facts: Facts) -> Heard:
        """Start the call's job, or return the output of a completed one. See ``Transcriber.hear``.

        Raises:
            Waiting: the job is running.
            CallFailed: the job failed, or its output does not appear.
        """
        name = job_name(source)
        job = self._job(name)
        if job is None:
            self._start(source, name, body, facts)
            raise Waiting(name)
        status = job["TranscriptionJobStatus"]
        if status == "FAILED":
            # Amazon's reason describes the recording (format, rate, length) and never quotes it.
            why = str(job.get("FailureReason", "no reason given"))[:200]
            self.notify("Transcription failed", f"tenant {source.tenant}, job {name}: {why}")
            raise CallFailed(FailureReason.TRANSCRIPTION, f"job {name}: {why}")
        if status != "COMPLETED":
            raise Waiting(name)
        if {tag["Key"]: tag["Value"] for tag in job.get("Tags", [])}.get(TENANT_TAG) != source.tenant:
            # A job of this name that another system started: its output may be about another tenant's call.
            raise WallBreached(f"job {name} does not have the tag of tenant {source.tenant!r}; its output is not read")
        if "CreationTime" in job and "CompletionTime" in job:
            passed("wait for transcription", job["CreationTime"], job["CompletionTime"])
        redacts = "ContentRedaction" in job
        key = job_output_key(source.tenant, source.call_id)
        heard = read_transcript(self._output(_redacted(key) if redacts else key, name), facts)
        claimed = heard.claimed if heard.claimed is not None else {} if redacts else None
        return replace(heard, by=BILLED_TRANSCRIBER, job=name, claimed=claimed)

    def _job(self, name: str) -> dict[str, Any] | None:
        with translated(_STORE):
            try:
                found = self.transcribe.get_transcription_job(TranscriptionJobName=name)
            except ClientError as err:
                # Transcribe answers a missing job with 400 instead of 404.
                if err.response.get("Error", {}).get("Code") in {"BadRequestException", "NotFoundException"}:
                    return None
                raise
        job: dict[str, Any] = found["TranscriptionJob"]
        return job

    def _start(self, source: CallObject, name: str, body: bytes, facts: Facts) -> None:
        # With two channels each is one side; otherwise Transcribe separates voices without naming them.
        sides: dict[str, Any] = {"ShowSpeakerLabels": True, "MaxSpeakerLabels": 2}
        if facts.agent_channel or channels_of(body) == 2:
            sides = {"ChannelIdentification": True}
        if (vocabulary := self.vocabulary(source.tenant)) is not None:
            sides["VocabularyName"] = vocabulary
        declared = facts.language
        language = declared if declared is not None and "-" in declared else self.language
        wanted: dict[str, Any] = {
            "TranscriptionJobName": name,
            "LanguageCode": language,
            "Media": {"MediaFileUri": f"s3://{self.inputs}/{source.key}"},
            "OutputBucketName": self.outputs,
            "OutputKey": job_output_key(source.tenant, source.call_id),
            "Settings": sides,
            # The bill is split by them; a tenant cannot name itself otherwise than it is called.
            "Tags": [
                {"Key": key, "Value": text}
                for key, text in {**self.tags(source.tenant), TENANT_TAG: source.tenant}.items()
            ],
        }
        if language in REDACTS:
            wanted["ContentRedaction"] = {"RedactionType": "PII", "RedactionOutput": "redacted"}
        if self.kms_key is not None:
            wanted["OutputEncryptionKMSKeyId"] = self.kms_key
            wanted["KMSEncryptionContext"] = {TENANT_TAG: source.tenant}
        if self.role is not None:
            wanted["JobExecutionSettings"] = {"AllowDeferredExecution": True, "DataAccessRoleArn": self.role}
        with translated(_STORE):
            try:
                self.transcribe.start_transcription_job(**wanted)
            except ClientError as err:
                code = err.response.get("Error", {}).get("Code")
                if code == "ConflictException":  # another delivery of the same event started the job
                    return
                if code == "BadRequestException":
                    raise CallFailed(
                        FailureReason.TRANSCRIPTION,
                        "Amazon Transcribe does not accept the recording"
                        + (f", or vocabulary {vocabulary!r} is not one of its language" if vocabulary else ""),
                    ) from None
                raise

    def _output(self, key: str, name: str) -> bytes:
        read = partial(self._written, key)
        try:
            return _RETRIES.run(read, on=_NotYet, timeout_s=_AVAILABLE_S, sleep=self.sleep, clock=self.clock)
        except _NotYet:
            raise CallFailed(
                FailureReason.TRANSCRIPTION,
                f"job {name} is complete, but its transcript was not available after {_AVAILABLE_S:g} s; replay",
            ) from None

    def _written(self, key: str) -> bytes:
        try:
            with translated(f"bucket {self.outputs!r}"):
                body: bytes = self.s3.get_object(Bucket=self.outputs, Key=key)["Body"].read()
            json.loads(body)
        except ValueError as err:
            raise _NotYet from err
        except StoreError as err:
            refused = err.__cause__
            if isinstance(refused, ClientError) and refused.response["Error"]["Code"] in {"NoSuchKey", "404"}:
                raise _NotYet from err
            raise
        return body


def notify_topic(sns: Any, topic: str | None) -> Callable[[str, str], None]:
    """Return a function that publishes a message to an SNS topic; without a topic it does nothing."""

    def notify(subject: str, text: str) -> None:
        if topic is not None:
            with translated("SNS"):
                sns.publish(TopicArn=topic, Subject=subject, Message=text)

    return notify


def _redacted(key: str) -> str:
    # Transcribe adds this prefix to the file's name when it redacts.
    folder, _, name = key.rpartition("/")
    return f"{folder}/redacted-{name}"
