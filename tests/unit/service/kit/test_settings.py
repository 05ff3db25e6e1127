import os
from decimal import Decimal
from pathlib import Path
from typing import get_args

import pytest
from pydantic import SecretStr, ValidationError
from pydantic_settings import SettingsError

from service.__main__ import main
from service.commands.wrong_settings import wrong_settings
from service.kit.settings import Settings, setting_places

# Every variable there is: what somebody has in an env file keeps its meaning. (text in the environment, where it is read, value)
VARIABLES = {
    "OMNI_ENVIRONMENT": ("aws", "environment", "aws"),
    "OMNI_ROOT": ("/r", "root", Path("/r")),
    "OMNI_STATE_DIR": ("/s", "state_dir", Path("/s")),
    "OMNI_BEDROCK_ENDPOINT": ("http://b", "bedrock.endpoint", "http://b"),
    "OMNI_BEDROCK_STAND_IN": ("smol", "bedrock.stand_in", "smol"),
    "OMNI_MODEL_ENDPOINTS": ('{"ollama/l": "http://o"}', "bedrock.model_endpoints", {"ollama/l": "http://o"}),
    "OMNI_AWS_REGION": ("eu-west-1", "aws.region", "eu-west-1"),
    "OMNI_REGISTRY_URI": ("http://m", "registry.uri", "http://m"),
    "OMNI_REGISTRY_REFRESH_S": ("1.5", "registry.refresh_s", 1.5),
    "OMNI_REGISTRY_TIMEOUT_S": ("7", "registry.timeout_s", 7),
    "OMNI_TRUSTED_KEYS": ("/t.pem", "release.trusted_keys", Path("/t.pem")),
    "OMNI_SIGNING_KEY_FILE": ("/k.pem", "release.signing_key_file", Path("/k.pem")),
    "OMNI_SIGNING_KEY": ("PEM", "release.signing_key", "PEM"),
    "OMNI_SIGNING_KMS_KEY": ("alias/k", "release.signing_kms_key", "alias/k"),
    "OMNI_ATTESTATION_DAYS": ("3", "release.attestation_days", 3),
    "OMNI_STAGE": ("test", "release.stage", "test"),
    "OMNI_RELEASE_UNSEEN": ("refuse", "release.unseen", "refuse"),
    "OMNI_EVIDENCE_BUCKET": ("b", "release.evidence_bucket", "b"),
    "OMNI_LEDGER_DIR": ("/l", "release.ledger_dir", Path("/l")),
    "OMNI_AWS_ENDPOINT": ("http://a", "aws.endpoint", "http://a"),
    "OMNI_INTERACTIONS_TABLE": ("i", "stores.interactions_table", "i"),
    "OMNI_STORE_TIMEOUT_S": ("0.5", "stores.timeout_s", 0.5),
    "OMNI_HISTORY_TIMEOUT_S": ("3.5", "stores.history_timeout_s", 3.5),
    "OMNI_SUMMARIES_TABLE": ("s", "summaries.table", "s"),
    "OMNI_CONFIG_TABLE": ("c", "stores.config_table", "c"),
    "OMNI_SHARED_TABLE": ("h", "stores.shared_table", "h"),
    "OMNI_CONVERSATIONS_TABLE": ("v", "stores.conversations_table", "v"),
    "OMNI_MESSAGES_TABLE": ("v", "stores.messages_table", "v"),
    "OMNI_HANDOVERS_TABLE": ("w", "stores.handovers_table", "w"),
    "OMNI_HANDOVER_UPDATE_S": ("45", "stores.handover_update_s", 45.0),
    "OMNI_CALLBACKS_TABLE": ("k", "stores.callbacks_table", "k"),
    "OMNI_FINDINGS_TABLE": ("k", "stores.findings_table", "k"),
    "OMNI_CALLBACKS_KMS_KEY": ("alias/k", "stores.callbacks_kms_key", "alias/k"),
    "OMNI_VOICEMAILS_TABLE": ("v", "stores.voicemails_table", "v"),
    "OMNI_CONVERSATION_HOURS": ("3", "stores.conversation_hours", 3),
    "OMNI_ANSWERS_TABLE": ("a", "summaries.answers_table", "a"),
    "OMNI_OUTBOX_TABLE": ("o", "summaries.outbox_table", "o"),
    "OMNI_KEEP_WAIT_MS": ("40", "summaries.keep_wait_ms", 40),
    "OMNI_SUMMARY_DAYS": ("8", "summaries.days", 8),
    "OMNI_ARCHIVE_BUCKET": ("a", "stores.archive_bucket", "a"),
    "OMNI_REUSE_WINDOW_S": ("0", "summaries.reuse_window_s", 0.0),
    "OMNI_SPOOL_DIR": ("/p", "summaries.spool_dir", Path("/p")),
    "OMNI_SPOOL_MAX_MB": ("1", "summaries.spool_max_mb", 1),
    "OMNI_EMBED_ORIGINS": ('["https://a.example"]', "serving.embed_origins", ("https://a.example",)),
    "OMNI_CROWDED_FROM_S": ("0.2", "serving.crowded_from_s", 0.2),
    "OMNI_WRITER_PROCESS": ("true", "summaries.writer_process", True),
    "OMNI_EVENTS_QUEUE": ("e", "stores.events_queue", "e"),
    "OMNI_CALLS_BUCKET": ("b", "calls.bucket", "b"),
    "OMNI_RESULTS_BUCKET": ("r", "calls.results_bucket", "r"),
    "OMNI_CALLS_QUEUE": ("q", "calls.queue", "q"),
    "OMNI_CALLS_TABLE": ("t", "calls.table", "t"),
    "OMNI_CALLS_INSIGHTS": ("comprehend", "calls.insights", "comprehend"),
    "OMNI_CALLS_OVERWRITE": ("true", "calls.overwrite", True),
    "OMNI_RECORDS_BUCKET": ("rec", "stores.records_bucket", "rec"),
    "OMNI_CALLS_KMS_KEY": ("alias/c", "calls.kms_key", "alias/c"),
    "OMNI_CALLS_TOPIC": ("arn:t", "calls.topic", "arn:t"),
    "OMNI_TRANSCRIBER": ("none", "calls.transcriber", "none"),
    "OMNI_TRANSCRIBE_LANGUAGE": ("de-DE", "calls.transcribe_language", "de-DE"),
    "OMNI_TRANSCRIBE_ROLE": ("arn:r", "calls.transcribe_role", "arn:r"),
    "OMNI_TRANSCRIBE_USD_PER_MINUTE": ("0.024", "calls.transcribe_usd_per_minute", Decimal("0.024")),
    "OMNI_REDACTOR": ("patterns", "calls.redactor", "patterns"),
    "OMNI_REPORT_ZONE": ("Europe/Berlin", "warehouse.report_zone", "Europe/Berlin"),
    "OMNI_WAREHOUSE_PATH": ("/w", "warehouse.path", Path("/w")),
    "OMNI_WAREHOUSE_MEMORY_MB": ("300", "warehouse.memory_mb", 300),
    "OMNI_WAREHOUSE_THREADS": ("1", "warehouse.threads", 1),
    "OMNI_WAREHOUSE_WAIT_S": ("0.1", "warehouse.wait_s", 0.1),
    "OMNI_WAREHOUSE_REDACTOR": ("patterns", "warehouse.redactor", "patterns"),
    "OMNI_REDSHIFT_WORKGROUP": ("g", "redshift.workgroup", "g"),
    "OMNI_REDSHIFT_CLUSTER": ("c", "redshift.cluster", "c"),
    "OMNI_REDSHIFT_DATABASE": ("d", "redshift.database", "d"),
    "OMNI_REDSHIFT_SECRET_ARN": ("arn:s", "redshift.secret_arn", "arn:s"),
    "OMNI_REDSHIFT_COPY_ROLE": ("arn:c", "redshift.copy_role", "arn:c"),
    "OMNI_REDSHIFT_STAGING_PREFIX": ("p/", "redshift.staging_prefix", "p/"),
    "OMNI_REDSHIFT_TIMEOUT_S": ("9", "redshift.timeout_s", 9.0),
    "OMNI_PUBLIC_DATA_DIR": ("/d", "public_data_dir", Path("/d")),
    "OMNI_ACCESS_DIR": ("/a", "access.dir", Path("/a")),
    "OMNI_ACCESS_KMS_KEY": ("alias/a", "access.kms_key", "alias/a"),
    "OMNI_ACCESS_ISSUER": ("us", "access.issuer", "us"),
    "OMNI_ACCESS_AUDIENCE": ("you", "access.audience", "you"),
    "OMNI_MAX_BODY_BYTES": ("1024", "serving.max_body_bytes", 1024),
    "OMNI_MAX_HEADER_BYTES": ("4096", "serving.max_header_bytes", 4096),
    "OMNI_MAX_HEADERS": ("20", "serving.max_headers", 20),
    "OMNI_HEADER_TIMEOUT_S": ("1", "serving.header_timeout_s", 1.0),
    "OMNI_WRITE_TIMEOUT_S": ("1", "serving.write_timeout_s", 1.0),
    "OMNI_MAX_CONNECTIONS": ("16", "serving.max_connections", 16),
    "OMNI_MAX_CONNECTIONS_PER_PEER": ("1", "serving.max_connections_per_peer", 1),
    "OMNI_LOG_KEY": ("k" * 32, "telemetry.log_key", "k" * 32),
    "OMNI_HOST": ("0.0.0.0", "serving.host", "0.0.0.0"),
    "OMNI_PORT": ("0", "serving.port", 0),
    "OMNI_REQUIRED_TASKS": ('["scorecard"]', "serving.required_tasks", ("scorecard",)),
    "OMNI_SIMULATED": ("1", "simulated", True),
    "OMNI_CLOCK_FILE": ("/c", "clock_file", Path("/c")),
    "OMNI_LOG_LEVEL": ("DEBUG", "telemetry.log_level", "DEBUG"),
    "OMNI_OTLP_ENDPOINT": ("http://o", "telemetry.otlp_endpoint", "http://o"),
    "OMNI_OTLP_HEADERS": ("a=b", "telemetry.otlp_headers", "a=b"),
    "OMNI_TRACE_SHARE": ("1", "telemetry.trace_share", 1.0),
    "OMNI_EMF": ("true", "telemetry.emf", True),
    "OMNI_TOOLS_SERVERS": ('{"demo": "http://t/mcp"}', "tools.servers", {"demo": "http://t/mcp"}),
    "OMNI_KNOWLEDGE_INDEX": ("a.sqlite, b.sqlite", "tools.documents", "a.sqlite, b.sqlite"),
    "OMNI_KNOWLEDGE_NAME": ("pages", "tools.documents_name", "pages"),
    "OMNI_TOOLS_TOKENS": ('{"demo": "secret"}', "tools.tokens", {"demo": SecretStr("secret")}),
    "OMNI_LOCAL_AWS_PORT": ("1", "local.aws_port", 1),
    "OMNI_LOCAL_BEDROCK_PORT": ("2", "local.bedrock_port", 2),
}  # fmt: skip


@pytest.fixture(autouse=True)
def _empty_environment(monkeypatch):
    for name in list(os.environ):
        if name.lower().startswith("omni_"):
            monkeypatch.delenv(name)


def _all(settings: Settings) -> dict[str, object]:
    found = {}
    for group, field, _ in setting_places().values():
        value = getattr(settings if group is None else getattr(settings, group), field)
        value = value.get_secret_value() if hasattr(value, "get_secret_value") else value
        found[field if group is None else f"{group}.{field}"] = value
    return found


def test_all_variables_are_listed_here():
    assert {f"OMNI_{name.upper()}" for name in setting_places()} == set(VARIABLES)


@pytest.mark.parametrize("variable", VARIABLES)
def test_each_variable_sets_its_own_field_and_no_other(variable, monkeypatch):
    text, place, value = VARIABLES[variable]
    before = _all(Settings())
    monkeypatch.setenv(variable, text)
    assert _all(Settings()) == before | {place: value}
    assert before[place] != value
    monkeypatch.delenv(variable)
    monkeypatch.setenv(variable.lower(), text)  # pydantic-settings knows no case
    assert _all(Settings()) == before | {place: value}


@pytest.mark.parametrize("variable", VARIABLES)
def test_a_keyword_is_the_variable_without_its_prefix_and_wins(variable, monkeypatch):
    text, place, value = VARIABLES[variable]
    name = variable.removeprefix("OMNI_").lower()
    wrong = {"required_tasks": '["wrong"]', "model_endpoints": '{"wrong": "http://w"}'}
    wrong |= {"embed_origins": '["https://w.example"]'}
    wrong |= {"tools_servers": '{"wrong": "http://w"}', "tools_tokens": '{"wrong": "w"}'}
    given = value if name in wrong else text
    monkeypatch.setenv(variable, wrong.get(name, "-1"))
    assert _all(Settings(**{name: given}))[place] == value


def test_a_group_has_no_variable_and_an_unknown_variable_is_ignored(monkeypatch):
    monkeypatch.setenv("OMNI_WAREHOUSE", '{"threads": 7}')
    monkeypatch.setenv("OMNI_SMOKE_URL", "http://127.0.0.1")
    assert Settings() == Settings(warehouse_threads=2)


@pytest.mark.parametrize(
    ("variable", "meant"),
    [
        ("OMNI_RELEASE_STAGE", "OMNI_STAGE"),
        ("OMNI_STAGEE", "OMNI_STAGE"),
        ("OMNI_ENVIROMENT", "OMNI_ENVIRONMENT"),
        ("OMNI_WAREHOUSE_THREAD", "OMNI_WAREHOUSE_THREADS"),
    ],
)
def test_a_mistyped_variable_is_refused_by_name(variable, meant, monkeypatch, capsys):
    monkeypatch.setenv(variable, "prod")
    assert main(["status"]) == 2
    assert f"error: settings: {variable} is no setting; {meant} is" in capsys.readouterr().err


def test_an_unknown_keyword_is_an_error():
    with pytest.raises(ValidationError, match="warehouse_thread\n"):
        Settings(warehouse_thread=1)


@pytest.mark.parametrize(
    ("variable", "text", "says"),
    [
        ("OMNI_WAREHOUSE_THREADS", "0", "OMNI_WAREHOUSE_THREADS: Input should be greater than or equal to 1"),
        ("OMNI_STORE_TIMEOUT_S", "soon", "OMNI_STORE_TIMEOUT_S: Input should be a valid number"),
        ("OMNI_LOG_LEVEL", "LOUD", "OMNI_LOG_LEVEL: Input should be 'DEBUG', 'INFO', 'WARNING' or 'ERROR'"),
        ("OMNI_ENVIRONMENT", "gcp", "OMNI_ENVIRONMENT: Input should be 'local' or 'aws'"),
        ("OMNI_REQUIRED_TASKS", "[1]", "OMNI_REQUIRED_TASKS_0: Input should be a valid string"),
    ],
)
def test_a_wrong_value_is_reported_by_its_variable(variable, text, says, monkeypatch, capsys):
    monkeypatch.setenv(variable, text)
    assert main(["status"]) == 2
    assert f"error: settings: {says}" in capsys.readouterr().err


def test_all_wrong_values_are_reported_at_once(monkeypatch):
    monkeypatch.setenv("OMNI_PORT", "-1")
    monkeypatch.setenv("OMNI_CALLS_BUCKET", "fine")
    with pytest.raises(ValidationError) as caught:
        Settings(redshift_timeout_s=0, unknown=1)
    told = wrong_settings(caught.value)
    assert [part.split(":")[0] for part in told.split("; ")] == ["OMNI_REDSHIFT_TIMEOUT_S", "OMNI_PORT", "OMNI_UNKNOWN"]


def test_a_list_that_is_not_json_is_reported_by_its_variable(monkeypatch):
    monkeypatch.setenv("OMNI_REQUIRED_TASKS", "summarize")
    with pytest.raises(SettingsError, match="OMNI_REQUIRED_TASKS"):
        Settings()


def test_a_copy_changes_settings_by_their_flat_names(tmp_path):
    settings = Settings(warehouse_wait_s=1)
    copy = settings.model_copy(update={"warehouse_threads": 1, "state_dir": tmp_path, "aws_endpoint": "http://a"})
    changed = {"warehouse.threads": 1, "state_dir": tmp_path, "aws.endpoint": "http://a"}
    assert _all(copy) == _all(settings) | changed
    assert _all(settings) == _all(Settings(warehouse_wait_s=1))
    with pytest.raises(KeyError, match="threads"):
        settings.model_copy(update={"threads": 1})


def test_settings_are_read_only():
    with pytest.raises(ValidationError, match="frozen"):
        Settings().warehouse.threads = 3


def test_flat_settings_make_the_same_settings_without_secrets(tmp_path):
    settings = Settings(state_dir=tmp_path, warehouse_threads=1, log_key="k" * 32, required_tasks=("scorecard",))
    assert settings.flat(defaults=False) == {
        "state_dir": str(tmp_path),
        "warehouse_threads": 1,
        "required_tasks": ["scorecard"],
    }
    assert Settings(**settings.flat()) == Settings(
        state_dir=tmp_path, warehouse_threads=1, required_tasks=("scorecard",)
    )
    secrets = {
        name for name, (_, _, field) in setting_places().items() if "SecretStr" in str(get_args(field.annotation))
    }
    assert secrets == {"signing_key", "log_key", "otlp_headers", "tools_tokens"}
    assert not secrets & settings.flat().keys()


@pytest.mark.parametrize("name", ["aws_endpoint", "bedrock_endpoint", "otlp_endpoint"])
@pytest.mark.parametrize(
    "address", ["file:///etc/passwd", "gopher://a", "//a", "a:80", "http://", "http://me:pw@a", "http://a?x"]
)
def test_an_endpoint_is_the_address_of_a_web_service(name, address):
    with pytest.raises(ValidationError, match=f"OMNI_{name.upper()} is not the address"):
        Settings(**{name: address})


@pytest.mark.parametrize("name", ["aws_endpoint", "bedrock_endpoint"])
def test_in_aws_customers_data_travels_over_https_only(name):
    with pytest.raises(ValidationError, match="over https only"):
        Settings(environment="aws", **{name: "http://10.0.0.1"})
    assert Settings(environment="aws", **{name: "https://vpce-1.example"})
    assert Settings(**{name: "http://127.0.0.1:4567"})


@pytest.mark.parametrize(
    "address", ["file:///etc/passwd", "http://user:secret@host", "ftp://host", "host:80", "http://h?to=x"]
)
def test_a_model_s_endpoint_is_the_address_of_a_web_service(address):
    with pytest.raises(ValidationError, match="OMNI_MODEL_ENDPOINTS, ollama/l is not the address"):
        Settings(model_endpoints={"ollama/l": address})


@pytest.mark.parametrize("address", ["file:///etc/passwd", "http://user:secret@host", "host:80"])
def test_a_tools_server_is_the_address_of_a_web_service(address):
    with pytest.raises(ValidationError, match="OMNI_TOOLS_SERVERS, demo is not the address"):
        Settings(tools_servers={"demo": address})


def test_in_aws_tools_are_called_over_https_only():
    with pytest.raises(ValidationError, match=r"OMNI_TOOLS_SERVERS, demo: .* over https only"):
        Settings(environment="aws", tools_servers={"demo": "http://10.0.0.1/mcp"})


def test_tokens_that_are_no_json_are_not_shown(monkeypatch):
    monkeypatch.setenv("OMNI_TOOLS_TOKENS", "hunter2")
    with pytest.raises(SettingsError, match=r"OMNI_TOOLS_TOKENS is not JSON$"):
        Settings()


def test_a_wrong_endpoint_is_one_plain_sentence():
    with pytest.raises(ValidationError) as caught:
        Settings(aws_endpoint="file:///etc/passwd")
    expected = "OMNI_AWS_ENDPOINT is not the address of a web service, as in https://host:port"
    assert wrong_settings(caught.value) == expected
