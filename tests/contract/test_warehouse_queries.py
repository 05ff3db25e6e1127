"""Queries in Redshift's dialect with hand-worked results, run by the embedded warehouse, and queries that it must refuse.

Every function of ``service.warehouse.functions`` and every view stands here.
"""

import datetime as dt
import json
import math
from decimal import Decimal

import duckdb
import numpy as np
import pandas as pd
import pytest

from service.kit.frame.errors import QueryRefused
from service.warehouse import functions, schema
from service.warehouse.duck import DuckWarehouse
from service.warehouse.events import (
    CallCriterionEvent,
    CallEvent,
    CallOverrideEvent,
    FeedbackEvent,
    InteractionEvent,
    SummaryEvent,
)
from service.warehouse.rows import to_table

BASKETS = """
CREATE TABLE baskets (
    id      INTEGER NOT NULL ENCODE AZ64 SORTKEY,
    payload SUPER,
    note    VARCHAR(200) ENCODE ZSTD DISTKEY
) BACKUP NO DISTSTYLE KEY;
"""
PAYLOADS = [
    {"items": [{"sku": "x0", "qty": 2}, {"sku": "x1", "qty": 10}], "owner": {"name": "Ann"}, "total": 9},
    {"items": [], "owner": {"name": "Bob"}, "total": 10},
    {"total": None},
]
NOTES = ['{"a": {"b": "deep"}, "list": ["p", "q"]}', "not json", "[1,2,3]"]


def at(text):
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


def summary(number, contact, initial, account, when, **changes):
    return {
        "contact_id": contact,
        "account_number": account,
        "summary_text": f"Summary {number}.",
        "model_used": "nova-lite",
        "generation_timestamp": at(when),
        "latency_ms": 1000,
        "cache_hit": False,
        "helpful_feedback": None,
        "feedback_timestamp": None,
        "request_id": f"r{number}",
        "unique_process_id": f"u{number}",
        "initial_contact_id": initial,
        "summary_id": f"r{number}",
        "task": "summarize",
        "client": "widget",
        "ivr_intent": "billing",
        "answered_by": "nova-lite",
        "arm": "primary",
        "degraded": False,
        "prompt_version": "v1",
        "pair": "p1",
        "pair_digest": "d1",
        "registry_version": 1,
        "rollout_arm": "production",
        "environment": "local",
        "date_range": None,
        "interactions_considered": 1,
        "history_days": 0,
        "channels": "ivr",
        "last_channel": "ivr",
        "max_history_days": 90,
        "max_interactions": 10,
        "channel_filter": None,
        "input_tokens": 3000,
        "output_tokens": 200,
        "prompt_cache_read_tokens": 0,
        "prompt_cache_write_tokens": 0,
        "cost_usd": Decimal("0.0002"),
        "guard_findings": 0,
        "guard_kinds": "",
        "repaired": False,
        "summary_words": 2,
        "schema_version": 1,
        "source_key": f"k{number}",
        **changes,
    }


HELPFUL, NOT = "helpful", "not_helpful"
# One journey of account a over three contacts, a later one, and account b's; days 16, 17 and 22 November 2026 and New Year.
SUMMARIES = [
    summary(1, "c1", "c1", "a", "2026-11-16T10:00:00", helpful_feedback=HELPFUL, feedback_timestamp=at("2026-11-16T10:05")),
    summary(2, "c2", "c1", "a", "2026-11-16T10:04:00", latency_ms=50, cache_hit=True, cost_usd=Decimal(0), input_tokens=0),
    summary(
        3, "c3", "c1", "a", "2026-11-16T10:30:00", latency_ms=3000, arm="backup", model_used="claude-3-5-haiku",
        helpful_feedback=NOT, feedback_timestamp=at("2026-11-16T10:40"), cost_usd=Decimal("0.004"), ivr_intent="outage",
        last_channel="agent",
    ),
    summary(
        4, "c4", "c4", "a", "2026-11-17T09:00:00", latency_ms=2000, ivr_intent="refund", cost_usd=Decimal("0.0003"),
        prompt_cache_read_tokens=1500,
    ),
    summary(
        5, "c5", "c5", "b", "2026-11-17T23:30:00", latency_ms=400, arm="fallback", degraded=True, cost_usd=Decimal(0),
        model_used="extractive-digest", helpful_feedback=NOT, feedback_timestamp=at("2026-11-17T23:50"), last_channel="email",
        channel_filter="email+ivr",
    ),
    summary(
        6, "c6", "c6", "b", "2026-11-22T12:00:00", latency_ms=1500, pair="p2", pair_digest="d2", cost_usd=None,
        ivr_intent="misc", helpful_feedback=HELPFUL, feedback_timestamp=at("2026-11-22T12:01"),
    ),
    summary(
        7, "c7", "c7", "b", "2027-01-01T00:30:00", latency_ms=2500, pair="p2", pair_digest="d2", arm="none", ivr_intent="misc",
        model_used="none", cost_usd=Decimal(0), last_channel=None, interactions_considered=0, channels="",
    ),
]  # fmt: skip
SEEN = {
    1: [("chat", "2026-11-14T08:00:00", "refund"), ("ivr", "2026-11-16T09:50:00", "billing")],
    3: [
        ("chat", "2026-11-14T08:00:00", "refund"),
        ("ivr", "2026-11-16T09:50:00", "billing"),
        ("agent", "2026-11-16T10:02:00", "billing"),
    ],
    4: [("ivr", "2026-11-17T08:58:30", "outage")],
    5: [("email", "2026-11-01T00:00:00", "billing")],
    6: [("ivr", "2026-11-20T12:00:00", "misc"), ("ivr", "2026-11-22T11:00:00", "misc")],
}
INTERACTIONS = [
    {
        "request_id": f"r{number}",
        "contact_id": f"c{number}",
        "account_number": "a" if number < 5 else "b",
        "generation_timestamp": SUMMARIES[number - 1]["generation_timestamp"],
        "position": position,
        "channel": channel,
        "interaction_timestamp": at(when),
        "intent": intent,
    }
    for number, seen in SEEN.items()
    for position, (channel, when, intent) in enumerate(seen)
]


def feedback(name, number, verdict, when, comment=None, edited=None):
    row = SUMMARIES[number - 1]
    copied = (
        "request_id",
        "contact_id",
        "initial_contact_id",
        "unique_process_id",
        "account_number",
        "pair",
        "pair_digest",
        "task",
    )
    return {
        **{column: row[column] for column in (*copied, "prompt_version", "model_used")},
        "feedback_id": name,
        "helpful_feedback": verdict,
        "feedback_timestamp": at(when),
        "comment": comment,
        "edited_summary": edited,
        "summary_timestamp": row["generation_timestamp"],
        "schema_version": 1,
        "source_key": name,
    }


FEEDBACK = [
    feedback("f1", 1, HELPFUL, "2026-11-16T10:05"),
    feedback("f2", 3, HELPFUL, "2026-11-16T10:35", edited="Better."),
    feedback("f3", 3, NOT, "2026-11-16T10:40", edited="Best."),
    feedback("f4", 5, NOT, "2026-11-17T23:50", comment="It says 100% nothing"),
    feedback("f5", 6, HELPFUL, "2026-11-22T12:01"),
]


def call(tenant, call_id, when, **changes):
    made = {name: "x" for name, field in CallEvent.model_fields.items() if field.annotation is str}
    made |= {name: 0 for name, field in CallEvent.model_fields.items() if field.annotation is int}
    made |= {"tenant_id": tenant, "call_id": call_id, "call_date": at(when), "scored_at": at(when), "duration_s": 60.0}
    return made | {"state": "done", "form_id": "support", "form_version": 1, "agent_id": "a1"} | changes


def criterion(tenant, call_id, name, verdict, evidence="none"):
    passed = None if verdict == "na" else verdict == "yes"
    return {
        "tenant_id": tenant, "call_id": call_id, "criterion_id": name, "call_date": at("2026-11-16T10:00"), "form_id": "support",
        "form_version": 1, "section": "s", "question": "Why?", "weight": Decimal(1), "required": False, "verdict": verdict,
        "passed": passed, "score": Decimal(verdict == "yes"), "evidence": evidence, "pair_digest": "d", "scored_at": at("2026-11-16T10:00"),
    }  # fmt: skip


def override(call_id, name, model, human, when):
    return {
        "tenant_id": "acme", "call_id": call_id, "criterion_id": name, "overridden_at": at(when), "form_id": "support",
        "form_version": 1, "model_verdict": model, "human_verdict": human, "overridden_by": "dana", "pair_digest": "d",
    }  # fmt: skip


def share(percent, passed):
    return {"percentage": Decimal(percent), "passed": passed}


CALLS = (
    (CallEvent, [
        call("acme", "c1", "2026-11-16T10:00", sentiment="NEUTRAL", tone_score=75, **share(100, True)),
        call("acme", "c2", "2026-11-16T23:59", sentiment="NEGATIVE", state="needs_review", **share(50, False)),
        call("acme", "c3", "2026-11-17T00:01", state="needs_review", form_id=None, form_version=None),
        call("brand", "c1", "2026-11-16T10:00", sentiment="POSITIVE", tone_score=40, **share(0, False)),
    ]),
    (CallCriterionEvent, [
        criterion("acme", "c1", "greet", "yes", "verified"), criterion("acme", "c1", "notice", "no", "missing"),
        criterion("acme", "c2", "greet", "no"), criterion("acme", "c2", "notice", "na"), criterion("brand", "c1", "greet", "no"),
    ]),
    (CallOverrideEvent, [
        override("c1", "greet", "yes", "no", "2026-11-17T08:00"), override("c1", "greet", "yes", "yes", "2026-11-17T09:00"),
        override("c2", "greet", "no", "yes", "2026-11-17T08:00"),
    ]),
)  # fmt: skip


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory):
    folder = tmp_path_factory.mktemp("warehouse")
    sql = folder / "sql"
    (sql / "migrations").mkdir(parents=True)
    (sql / "views").mkdir()
    for kind in ("migrations", "views"):
        for path in (schema.SQL_FOLDER / kind).glob("*.sql"):
            (sql / kind / path.name).write_text(path.read_text(encoding="utf-8"), encoding="utf-8")
    (sql / "migrations" / f"{len(schema.migrations()) + 1:04d}_baskets.sql").write_text(BASKETS, encoding="utf-8")
    path = folder / "omni.duckdb"
    writer = DuckWarehouse(path, sql_folder=sql)
    writer.migrate()
    for event, rows in ((SummaryEvent, SUMMARIES), (InteractionEvent, INTERACTIONS), (FeedbackEvent, FEEDBACK), *CALLS):
        writer.merge(event, to_table(event, rows))
    writer.close()
    with duckdb.connect(str(path)) as plain:
        for number, (payload, note) in enumerate(zip(PAYLOADS, NOTES, strict=True), 1):
            plain.execute("INSERT INTO baskets VALUES (?, ?, ?)", [number, json.dumps(payload), note])
    reader = DuckWarehouse(path, read_only=True, sql_folder=sql)
    yield reader
    reader.close()


def rows_of(frame):
    return [tuple(_plain(value) for value in row) for row in frame.itertuples(index=False)]


def _plain(value):
    if value is None or value is pd.NaT or value is pd.NA or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, pd.Timestamp):
        return value.isoformat()
    if isinstance(value, np.generic):
        value = value.item()
    return round(value, 9) if isinstance(value, float) else value


T = "FROM omni_summaries"
DUAL = "FROM omni_summaries WHERE request_id = 'r1'"
QUERIES = {
    # Times
    "DATEADD keeps the zone": (f"SELECT DATEADD(day, -1, generation_timestamp) AS t {DUAL}", [("2026-11-15T10:00:00+00:00",)]),
    "DATEADD ends with the month": ("SELECT DATEADD(month, 1, '2026-01-31'::DATE) AS t", [("2026-02-28T00:00:00",)]),
    "DATEADD of a text": ("SELECT DATEADD('hour', 25, '2026-01-01') AS t", [("2026-01-02T01:00:00",)]),
    "DATEDIFF counts borders": (
        "SELECT DATEDIFF(day, '2026-01-01 23:59'::TIMESTAMP, '2026-01-02 00:01'::TIMESTAMP) AS d, "
        "DATEDIFF(hour, '2026-01-01 10:59'::TIMESTAMP, '2026-01-01 11:01'::TIMESTAMP) AS h, "
        "DATEDIFF(month, '2026-01-31'::DATE, '2026-02-01'::DATE) AS m, DATEDIFF(ms, '2026-01-01'::DATE, '2026-01-02'::DATE) AS s",
        [(1, 1, 1, 86_400_000)],
    ),
    "DATE_TRUNC week is Monday": (
        f"SELECT DATE_TRUNC('week', generation_timestamp) AS w, COUNT(*) AS n {T} GROUP BY 1 ORDER BY 1",
        [("2026-11-16T00:00:00+00:00", 6), ("2026-12-28T00:00:00+00:00", 1)],
    ),
    "DATE_PART and EXTRACT": (
        "SELECT DATE_PART(dow, '2026-11-22'::DATE) AS dow, EXTRACT(week FROM '2027-01-01'::DATE) AS week, "
        "DATE_PART('quarter', '2026-11-22'::DATE) AS q, EXTRACT(doy FROM '2026-02-01'::DATE) AS doy",
        [(0, 53, 4, 32)],
    ),
    "TO_CHAR of an ISO week": (
        f"SELECT TO_CHAR(generation_timestamp, 'IYYY-\"W\"IW') AS week, COUNT(*) AS n {T} GROUP BY 1 ORDER BY 1",
        [("2026-W47", 6), ("2026-W53", 1)],
    ),
    "TO_CHAR of a moment": (f"SELECT TO_CHAR(generation_timestamp, 'YYYY/MM/DD HH24:MI:SS') AS t {DUAL}", [("2026/11/16 10:00:00",)]),
    "TO_DATE": ("SELECT TO_DATE('16.11.2026', 'DD.MM.YYYY') AS d", [("2026-11-16T00:00:00",)]),
    "TO_TIMESTAMP": ("SELECT TO_TIMESTAMP('2026-11-16 10:00', 'YYYY-MM-DD HH24:MI') AS t", [("2026-11-16T10:00:00+00:00",)]),
    "LAST_DAY": ("SELECT LAST_DAY('2028-02-03'::DATE) AS d", [("2028-02-29T00:00:00",)]),
    "CONVERT_TIMEZONE in winter": (
        f"SELECT CONVERT_TIMEZONE('America/New_York', generation_timestamp) AS t {DUAL}",
        [("2026-11-16T05:00:00",)],
    ),
    "CONVERT_TIMEZONE on the day clocks change": (
        "SELECT CONVERT_TIMEZONE('UTC', 'America/New_York', '2026-03-08 06:59:00'::TIMESTAMP) AS before_, "
        "CONVERT_TIMEZONE('UTC', 'America/New_York', '2026-03-08 07:00:00'::TIMESTAMP) AS after_",
        [("2026-03-08T01:59:00", "2026-03-08T03:00:00")],
    ),
    "AT TIME ZONE": (
        f"SELECT (generation_timestamp AT TIME ZONE 'Europe/Berlin')::DATE AS day, COUNT(*) AS n {T} GROUP BY 1 ORDER BY 1",
        [("2026-11-16T00:00:00", 3), ("2026-11-17T00:00:00", 1), ("2026-11-18T00:00:00", 1), ("2026-11-22T00:00:00", 1), ("2027-01-01T00:00:00", 1)],
    ),
    "GETDATE has no zone and is now": ("SELECT DATEDIFF(day, GETDATE(), SYSDATE) AS d, GETDATE() > '2026-01-01'::TIMESTAMP AS late", [(0, True)]),
    "an interval": (f"SELECT COUNT(*) AS n {T} WHERE generation_timestamp < '2026-11-16'::TIMESTAMPTZ + INTERVAL '1 day'", [(3,)]),
    # Conditions and nothing
    "NVL, NVL2, COALESCE, NULLIF": (
        f"SELECT NVL(last_channel, '?') AS a, NVL2(channel_filter, 'yes', 'no') AS b, COALESCE(date_range, channel_filter) AS c, NULLIF(pair, 'p1') AS d {T} WHERE request_id IN ('r5', 'r7') ORDER BY request_id",
        [("email", "yes", "email+ivr", None), ("?", "no", None, "p2")],
    ),
    "DECODE takes NULL as a value": (
        f"SELECT DECODE(helpful_feedback, 'helpful', 1, NULL, 0, -1) AS d, COUNT(*) AS n {T} GROUP BY 1 ORDER BY 1",
        [(-1, 2), (0, 3), (1, 2)],
    ),
    "NULL comes last upwards and first downwards": (
        f"SELECT last_channel AS c {T} WHERE request_id > 'r4' ORDER BY c DESC",
        [(None,), ("ivr",), ("email",)],
    ),
    "GREATEST and LEAST pass over NULL": ("SELECT GREATEST(1, NULL, 3) AS g, LEAST(NULL, 2, 5) AS l", [(3, 2)]),
    # Numbers
    "integers divide to integers": ("SELECT 7 / 2 AS a, -7 / 2 AS b, 7 / 10.0 AS c, 7::DOUBLE PRECISION / 2 AS d, 7 / (2::FLOAT) AS e, (7::DECIMAL(4, 2)) / 2 AS f", [(3, -3, 0.7, 3.5, 3.5, 3.5)]),
    "an average of integers is cut off": (
        f"SELECT AVG(latency_ms) AS whole, AVG(latency_ms::DOUBLE PRECISION) AS exact, AVG(DISTINCT registry_version) AS one {T} WHERE request_id IN ('r1', 'r2', 'r5')",
        [(483.0, 483.333333333, 1.0)],
    ),
    "an average of integers over a window": (
        f"SELECT DISTINCT pair AS p, AVG(summary_words + registry_version * 1) OVER (PARTITION BY pair) AS a {T} ORDER BY 1",
        [("p1", 3.0), ("p2", 3.0)],
    ),
    "a quotient that is cut": (
        f"SELECT FLOOR(latency_ms / 400.0) * 400 AS a, CEIL(latency_ms / 400.0) AS b {T} WHERE request_id IN ('r2', 'r3', 'r5') ORDER BY request_id",
        [(0.0, 1.0), (2800.0, 8.0), (400.0, 1.0)],
    ),
    "rounding": (
        "SELECT ROUND(2.5) AS a, ROUND(-2.5) AS b, ROUND(1.245, 2) AS c, TRUNC(2.789, 2) AS d, CEIL(1.2) AS e, CEILING(-1.2) AS f, FLOOR(-1.2) AS g",
        [(3.0, -3.0, 1.25, 2.78, 2.0, -1.0, -2.0)],
    ),
    "arithmetic": (
        "SELECT MOD(-7, 3) AS a, -7 % 3 AS b, POWER(2, 10) AS c, 2 ^ 3 AS d, SQRT(16) AS e, LN(EXP(2)) AS f, LOG(1000) AS g, ABS(-2) AS h, SIGN(-3) AS i, CBRT(8) AS j",
        [(-1, -1, 1024.0, 8.0, 4.0, 2.0, 3.0, 2, -1, 2.0)],
    ),
    "casts": ("SELECT '12'::INT AS a, CAST(3.0 AS INTEGER) AS b, CONVERT(INTEGER, '4') AS c, 1::DECIMAL(10, 2) AS d, ROUND(2.7)::INT AS e", [(12, 3, 4, 1.0, 3)]),
    "casts to text and DECIMAL": (
        "SELECT 12::VARCHAR AS a, TRUE::VARCHAR AS b, 'abc'::VARCHAR(3) AS c, 2.6::DECIMAL AS d, 109.652::DECIMAL(4, 1) AS e, 0.1::REAL = 0.1::FLOAT AS f",
        [("12", "true", "abc", 3.0, 109.7, False)],
    ),
    "STRTOL": ("SELECT STRTOL('fF', 16) AS a, STRTOL('101', 2) AS b, STRTOL('-12', 10) AS c", [(255, 5, -12)]),
    # Text
    "positions": (
        "SELECT LEN('äbc') AS a, LENGTH('abc') AS b, CHAR_LENGTH('ab') AS f, CHARINDEX('c', 'abc') AS c, STRPOS('abc', 'z') AS d, POSITION('b' IN 'abc') AS e",
        [(3, 3, 2, 3, 0, 2)],
    ),
    "parts of a text": (
        "SELECT SUBSTRING('abcdef', 2, 3) AS a, SUBSTR('abcdef', 5) AS b, LEFT('abc', 2) AS c, RIGHT('abc', 2) AS d, SPLIT_PART('a+b+c', '+', 2) AS e, SPLIT_PART('a', '+', 2) AS f",
        [("bcd", "ef", "ab", "bc", "b", "")],
    ),
    "a start before the text counts its letters": ("SELECT SUBSTRING('abc', 0, 2) AS a, SUBSTRING('abc', -1, 3) AS b, SUBSTRING('abc', -5) AS c", [("a", "a", "abc")]),
    "letters": (
        "SELECT UPPER('ab') AS a, LOWER('AB') AS b, TRIM('  a ') AS c, BTRIM('xxaxx', 'x') AS d, LTRIM('xa', 'x') AS e, RTRIM('ax', 'x') AS f, TRIM(BOTH 'x' FROM 'xbx') AS g, "
        "LPAD('7', 3, '0') AS h, RPAD('7', 3, '.') AS i, REPLACE('aXb', 'X', '-') AS j, TRANSLATE('abc', 'ab', 'x') AS k, REVERSE('abc') AS l, REPEAT('ab', 2) AS m, ASCII('A') AS n, CHR(66) AS o",
        [("AB", "ab", "a", "a", "a", "a", "b", "007", "7..", "a-b", "xc", "cba", "abab", 65, "B")],
    ),
    "CONCAT with NULL is NULL": ("SELECT CONCAT('a', 'b') AS a, CONCAT('a', NULL) AS b, 'a' || NULL AS c, CONCAT('a', 1) AS d", [("ab", None, None, "a1")]),
    "regular expressions": (
        "SELECT REGEXP_SUBSTR('ab12', '[0-9]+') AS a, REGEXP_SUBSTR('ab', '[0-9]+') AS b, REGEXP_COUNT('x1x2', 'x') AS c, REGEXP_REPLACE('aXbX', 'X', '-') AS d, "
        "'abc' ~ '^a' AS e, 'abc' !~ 'b' AS f",
        [("12", "", 2, "a-b-", True, False)],
    ),
    "SIMILAR TO has SQL's wildcards": (
        "SELECT 'abc' SIMILAR TO '(a|x)%' AS a, 'abc' SIMILAR TO 'a_c' AS b, 'a.c' SIMILAR TO 'a.c' AS c, 'abc' SIMILAR TO 'a.c' AS d, 'xabc' NOT SIMILAR TO 'a%' AS e",
        [(True, True, True, False, True)],
    ),
    "LIKE": (
        "SELECT comment AS c FROM omni_feedback WHERE comment LIKE '%100^%%' ESCAPE '^' AND comment ILIKE 'IT SAYS%' AND comment NOT LIKE 'it%'",
        [("It says 100% nothing",)],
    ),
    "digests": (
        "SELECT MD5('a') AS a, SHA1('a') AS b, FUNC_SHA1('a') AS c, SHA2('a', 256) AS d",
        [("0cc175b9c0f1b6a831c399e269772661", "86f7e437faa5a7fce15d1ddcb9eaeaea377667b8", "86f7e437faa5a7fce15d1ddcb9eaeaea377667b8",
          "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb")],
    ),
    # Aggregates
    "counts and sums": (
        f"SELECT COUNT(*) AS a, COUNT(helpful_feedback) AS b, COUNT(DISTINCT account_number) AS c, SUM(latency_ms) AS d, MIN(latency_ms) AS e, MAX(latency_ms) AS f, SUM(cost_usd) AS g, APPROXIMATE COUNT(DISTINCT pair) AS h {T}",
        [(7, 4, 2, 10_450, 50, 3000, 0.0045, 2)],
    ),
    "percentiles": (
        f"SELECT PERCENTILE_CONT(0.5) WITHIN GROUP (ORDER BY latency_ms) AS a, PERCENTILE_DISC(0.25) WITHIN GROUP (ORDER BY latency_ms) AS b, MEDIAN(latency_ms) AS c {T} WHERE pair = 'p1'",
        # 50 400 1000 2000 3000
        [(1000.0, 400, 1000.0)],
    ),
    "percentiles from above": (
        f"SELECT PERCENTILE_CONT(0.9) WITHIN GROUP (ORDER BY latency_ms DESC) AS a, PERCENTILE_DISC(0.25) WITHIN GROUP (ORDER BY latency_ms DESC) AS b {T} WHERE pair = 'p1'",
        # 3000 2000 1000 400 50: 0.9 * 4 = 3.6 steps down: 400 - 0.6 * 350
        [(190.0, 2000)],
    ),
    "APPROXIMATE PERCENTILE_DISC": (f"SELECT APPROXIMATE PERCENTILE_DISC(0.5) WITHIN GROUP (ORDER BY latency_ms) AS a {T} WHERE pair = 'p1'", [(1000,)]),
    "spread": (
        f"SELECT STDDEV(latency_ms) AS a, STDDEV_SAMP(latency_ms) AS b, STDDEV_POP(latency_ms) AS c, VARIANCE(latency_ms) AS d, VAR_SAMP(latency_ms) AS e, VAR_POP(latency_ms) AS f {T} WHERE pair = 'p2'",
        # 1500 and 2500: deviations 500
        [(707.106781187, 707.106781187, 500.0, 500_000.0, 500_000.0, 250_000.0)],
    ),
    "booleans": (f"SELECT BOOL_OR(degraded) AS a, BOOL_AND(degraded) AS b, ANY_VALUE(task) AS c {T}", [(True, False, "summarize")]),
    "LISTAGG": (
        f"SELECT LISTAGG(contact_id, '>') WITHIN GROUP (ORDER BY generation_timestamp DESC) AS a, LISTAGG(last_channel) WITHIN GROUP (ORDER BY generation_timestamp DESC) AS b {T} WHERE account_number = 'b'",
        [("c7>c6>c5", "ivremail")],
    ),
    "LISTAGG DISTINCT": (f"SELECT LISTAGG(DISTINCT pair, '+') WITHIN GROUP (ORDER BY pair DESC) AS a {T}", [("p2+p1",)]),
    "GROUP BY ROLLUP": (
        f"SELECT pair AS p, COUNT(*) AS n, GROUPING(pair) AS g {T} GROUP BY ROLLUP(pair) ORDER BY g, p",
        [("p1", 5, 0), ("p2", 2, 0), (None, 7, 1)],
    ),
    "GROUP BY CUBE": (f"SELECT COUNT(*) AS n {T} GROUP BY CUBE(pair, account_number) HAVING COUNT(*) > 4 ORDER BY 1", [(5,), (7,)]),
    # Windows
    "ranks": (
        f"SELECT request_id AS r, ROW_NUMBER() OVER (ORDER BY latency_ms) AS a, RANK() OVER (ORDER BY pair) AS b, DENSE_RANK() OVER (ORDER BY pair) AS c, NTILE(2) OVER (ORDER BY latency_ms) AS d {T} WHERE request_id > 'r4' ORDER BY r",
        [("r5", 1, 1, 1, 1), ("r6", 2, 2, 2, 1), ("r7", 3, 2, 2, 2)],
    ),
    "neighbours": (
        f"SELECT request_id AS r, LAG(latency_ms) OVER (ORDER BY request_id) AS a, LEAD(latency_ms, 2) OVER (ORDER BY request_id) AS b, LAG(helpful_feedback) IGNORE NULLS OVER (ORDER BY request_id) AS c {T} WHERE request_id < 'r4' ORDER BY r",
        [("r1", None, 3000, None), ("r2", 1000, None, "helpful"), ("r3", 50, None, "helpful")],
    ),
    "first, last and nth": (
        f"SELECT request_id AS r, FIRST_VALUE(latency_ms) OVER (ORDER BY request_id ROWS UNBOUNDED PRECEDING) AS a, LAST_VALUE(latency_ms) OVER (ORDER BY request_id ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) AS b, NTH_VALUE(latency_ms, 2) OVER (ORDER BY request_id ROWS UNBOUNDED PRECEDING) AS c {T} WHERE request_id < 'r4' ORDER BY r",
        [("r1", 1000, 3000, None), ("r2", 1000, 3000, 50), ("r3", 1000, 3000, 50)],
    ),
    "a running sum": (
        f"SELECT request_id AS r, SUM(latency_ms) OVER (ORDER BY request_id ROWS UNBOUNDED PRECEDING) AS s {T} WHERE request_id < 'r4' ORDER BY r",
        [("r1", 1000), ("r2", 1050), ("r3", 4050)],
    ),
    "shares of a distribution": (
        f"SELECT latency_ms AS l, PERCENT_RANK() OVER (ORDER BY latency_ms) AS a, CUME_DIST() OVER (ORDER BY latency_ms) AS b, MEDIAN(latency_ms) OVER (PARTITION BY pair) AS c, PERCENTILE_CONT(0.5) WITHIN GROUP (ORDER BY latency_ms) OVER (PARTITION BY pair) AS d {T} WHERE pair = 'p2' ORDER BY l",
        [(1500, 0.0, 0.5, 2000.0, 2000.0), (2500, 1.0, 1.0, 2000.0, 2000.0)],
    ),
    "RATIO_TO_REPORT": (
        f"SELECT request_id AS r, RATIO_TO_REPORT(latency_ms) OVER (PARTITION BY pair) AS s {T} WHERE pair = 'p2' ORDER BY r",
        [("r6", 0.375), ("r7", 0.625)],
    ),
    "LISTAGG over a window": (
        f"SELECT DISTINCT account_number AS a, LISTAGG(contact_id, ',') WITHIN GROUP (ORDER BY generation_timestamp) OVER (PARTITION BY account_number) AS l {T} ORDER BY a",
        [("a", "c1,c2,c3,c4"), ("b", "c5,c6,c7")],
    ),
    "QUALIFY": (f"SELECT contact_id AS c {T} QUALIFY ROW_NUMBER() OVER (PARTITION BY account_number ORDER BY generation_timestamp DESC) = 1 ORDER BY c", [("c4",), ("c7",)]),
    # Shapes of a query
    "TOP": (f"SELECT TOP 2 contact_id AS c {T} ORDER BY c DESC", [("c7",), ("c6",)]),
    "LIMIT and OFFSET": (f"SELECT contact_id AS c {T} ORDER BY c LIMIT 2 OFFSET 1", [("c2",), ("c3",)]),
    "MINUS": ("SELECT request_id AS r FROM omni_summaries MINUS SELECT request_id FROM omni_feedback ORDER BY 1", [("r2",), ("r4",), ("r7",)]),
    "INTERSECT and UNION": (
        "(SELECT account_number AS a FROM omni_summaries INTERSECT SELECT account_number FROM omni_feedback) UNION ALL SELECT 'z' ORDER BY 1",
        [("a",), ("b",), ("z",)],
    ),
    "WITH RECURSIVE": ("WITH RECURSIVE steps(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM steps WHERE n < 4) SELECT SUM(n) AS s FROM steps", [(10,)]),
    "joins, EXISTS and subqueries": (
        "SELECT s.request_id AS r, f.n FROM public.omni_summaries AS s LEFT JOIN (SELECT request_id, COUNT(*) AS n FROM omni_feedback GROUP BY 1) AS f USING (request_id) "
        "WHERE EXISTS (SELECT 1 FROM omni_summary_interactions AS i WHERE i.request_id = s.request_id AND i.channel = 'chat') AND s.latency_ms > (SELECT MIN(latency_ms) FROM omni_summaries) ORDER BY 1",
        [("r1", 1), ("r3", 2)],
    ),
    "EXCLUDE, IN, BETWEEN and CASE": (
        "SELECT * EXCLUDE (comment, edited_summary, source_key, schema_version, prompt_version, pair_digest, pair, unique_process_id, initial_contact_id, summary_timestamp, feedback_timestamp, model_used, task, reason), "
        "CASE WHEN helpful_feedback = 'helpful' THEN 1 ELSE 0 END AS h FROM omni_feedback WHERE feedback_id IN ('f1', 'f3') AND feedback_timestamp BETWEEN '2026-11-16' AND '2026-11-17' ORDER BY 1",
        [("f1", "r1", "c1", "a", "helpful", 1), ("f3", "r3", "c3", "a", "not_helpful", 0)],
    ),
    # SUPER and JSON text
    "a SUPER path counts from 0": (
        "SELECT id AS i, payload.items[0].sku AS a, b.payload.items[1].sku::VARCHAR AS b, payload.items[1].qty::INT + 1 AS c FROM baskets AS b ORDER BY 1",
        [(1, "x0", "x1", 11), (2, None, None, None), (3, None, None, None)],
    ),
    "a SUPER path compared as text and as a number": (
        "SELECT id AS i FROM baskets WHERE payload.owner.name = 'Bob' OR payload.total::INT < 10 ORDER BY 1",
        [(1,), (2,)],
    ),
    "a SUPER path in a list and a group": (
        "SELECT payload.owner.name::VARCHAR AS n, COUNT(*) AS c FROM baskets WHERE payload.owner.name IN ('Ann', 'Bob') GROUP BY payload.owner.name ORDER BY 1",
        [("Ann", 1), ("Bob", 1)],
    ),
    "a SUPER array in FROM": ("SELECT b.id AS i, item.sku AS s FROM baskets AS b, b.payload.items AS item WHERE item.qty::INT > 1 ORDER BY s::VARCHAR DESC", [(1, "x1"), (1, "x0")]),
    "a SUPER array with positions": ("SELECT item.sku AS s, n FROM baskets AS b, b.payload.items AS item AT n ORDER BY n DESC", [("x1", 1), ("x0", 0)]),
    "SUPER functions": (
        "SELECT id AS i, GET_ARRAY_LENGTH(payload.items) AS n, IS_ARRAY(payload.items) AS a, JSON_SERIALIZE(payload.owner) AS s FROM baskets WHERE id < 3 ORDER BY 1",
        [(1, 2, True, '{"name":"Ann"}'), (2, 0, True, '{"name":"Bob"}')],
    ),
    "JSON_EXTRACT_PATH_TEXT": (
        "SELECT JSON_EXTRACT_PATH_TEXT(note, 'a', 'b') AS a, JSON_EXTRACT_PATH_TEXT(note, 'gone') AS b, JSON_EXTRACT_PATH_TEXT(note, 'a', 'b') = 'deep' AS c FROM baskets WHERE id = 1",
        [("deep", None, True)],
    ),
    "JSON text that is none": ("SELECT id AS i, JSON_EXTRACT_PATH_TEXT(note, 'a', 'b', TRUE) AS a FROM baskets ORDER BY 1", [(1, "deep"), (2, None), (3, None)]),
    "JSON_EXTRACT_ARRAY_ELEMENT_TEXT counts from 0": (
        "SELECT JSON_EXTRACT_ARRAY_ELEMENT_TEXT(note, 0) AS a, JSON_EXTRACT_ARRAY_ELEMENT_TEXT(note, -1) AS b, JSON_EXTRACT_ARRAY_ELEMENT_TEXT(note, 9) AS c, JSON_ARRAY_LENGTH(note) AS d FROM baskets WHERE id = 3",
        [("1", None, None, 3)],
    ),
    "is it JSON": (
        "SELECT id AS i, IS_VALID_JSON(note) AS a, CAN_JSON_PARSE(note) AS b, IS_VALID_JSON_ARRAY(note) AS c FROM baskets WHERE id < 3 ORDER BY 1",
        [(1, True, True, False), (2, False, False, False)],
    ),
    "JSON_PARSE": ("SELECT JSON_SERIALIZE(JSON_PARSE(note)) AS a FROM baskets WHERE id = 3", [("[1,2,3]",)]),
    # Views
    "v_summaries_interactions": (
        "SELECT request_id AS r, position AS p, channel AS c, minutes_before AS m FROM v_summaries_interactions WHERE request_id IN ('r1', 'r7') ORDER BY 1, 2",
        # 14 November 08:00 to 16 November 10:00 is 50 hours
        [("r1", 0, "chat", 3000), ("r1", 1, "ivr", 10), ("r7", None, None, None)],
    ),
    "v_journeys": (
        "SELECT account_number AS a, journey_number AS n, elapsed_s, minutes_since_previous AS since, contacts, transfers, summaries, reused, helpful, not_helpful, contact_path, channel_path, intent_path FROM v_journeys ORDER BY 1, 2",
        [
            ("a", 1, 1800, None, 3, 2, 3, 1, 1, 1, "c1>c2>c3", "ivr>ivr>agent", "billing>billing>outage"),
            # 16 November 10:30 to 17 November 09:00 is 22.5 hours
            ("a", 2, 0, 1350, 1, 0, 1, 0, 0, 0, "c4", "ivr", "refund"),
            ("b", 1, 0, None, 1, 0, 1, 0, 0, 1, "c5", "email", "billing"),
            # 17 November 23:30 to 22 November 12:00: 4 days, 12.5 hours
            ("b", 2, 0, 6510, 1, 0, 1, 0, 1, 0, "c6", "ivr", "misc"),
            # 22 November 12:00 to 1 January 00:30: 39 days, 12.5 hours
            ("b", 3, 0, 56_910, 1, 0, 1, 0, 0, 0, "c7", "none", "misc"),
        ],
    ),
    "v_touchpoints": (
        "SELECT request_id AS r, agent_intent, touch_intent, minutes_between AS m, same_intent AS s, helpful_feedback AS h FROM v_touchpoints ORDER BY 1",
        [
            ("r1", "billing", "billing", 10, True, HELPFUL),
            ("r2", "billing", None, None, None, None),
            ("r3", "outage", "billing", 40, False, NOT),
            ("r4", "refund", "outage", 2, False, None),
            ("r5", "billing", None, None, None, NOT),
            ("r6", "misc", "misc", 60, True, HELPFUL),
            ("r7", "misc", None, None, None, None),
        ],
    ),
    "v_effectiveness": (
        "SELECT day, pair, answered, rated, helpful, not_helpful, edited, helpful_rate, not_helpful_rate FROM v_effectiveness ORDER BY 1, 2",
        [
            ("2026-11-16T00:00:00", "p1", 3, 2, 1, 1, 1, 0.5, 0.5),
            ("2026-11-17T00:00:00", "p1", 2, 1, 0, 1, 0, 0.0, 1.0),
            ("2026-11-22T00:00:00", "p2", 1, 1, 1, 0, 0, 1.0, 0.0),
            ("2027-01-01T00:00:00", "p2", 1, 0, 0, 0, 0, None, None),
        ],
    ),
    "v_performance": (
        "SELECT day, answered, p50_ms, p95_ms, p99_ms, reuse_rate, prompt_cache_rate, degraded, degraded_rate, failed_over, failover_rate FROM v_performance ORDER BY 1",
        [
            # 50 1000 3000: 1000 + 0.9 * 2000; two of three called a model, one of them the backup
            ("2026-11-16T00:00:00", 3, 1000.0, 2800.0, 2960.0, 0.333333333, 0.0, 0, 0.0, 1, 0.5),
            # 400 and 2000
            ("2026-11-17T00:00:00", 2, 1200.0, 1920.0, 1984.0, 0.0, 1.0, 1, 0.5, 0, 0.0),
            ("2026-11-22T00:00:00", 1, 1500.0, 1500.0, 1500.0, 0.0, 0.0, 0, 0.0, 0, 0.0),
            ("2027-01-01T00:00:00", 1, 2500.0, 2500.0, 2500.0, 0.0, None, 0, 0.0, 0, None),
        ],
    ),
    "v_cost": (
        "SELECT day, answered, priced, cost_usd, cost_per_summary_usd, estimated, seed_low_usd, seed_high_usd, input_tokens, prompt_cache_read_tokens AS read FROM v_cost ORDER BY 1",
        [
            # 0.0002 + 0 + 0.004; nova-lite 0.008 to 0.012, the backup 0.025 to 0.035, the reused one nothing
            ("2026-11-16T00:00:00", 3, 3, 0.0042, 0.0014, 2, 0.033, 0.047, 6000, 0),
            ("2026-11-17T00:00:00", 2, 2, 0.0003, 0.00015, 1, 0.008, 0.012, 6000, 1500),
            ("2026-11-22T00:00:00", 1, 0, None, None, 1, 0.008, 0.012, 3000, 0),
            ("2027-01-01T00:00:00", 1, 1, 0.0, 0.0, 0, None, None, 3000, 0),
        ],
    ),
    "v_criteria": (
        "SELECT tenant_id, call_id, day, agent_id, criterion_id, verdict, human_verdict, standing_verdict FROM v_criteria ORDER BY 1, 2, 5",
        [
            # a person rated no and later yes: the newest counts; another tenant's call with the same id is not visible
            ("acme", "c1", "2026-11-16T00:00:00", "a1", "greet", "yes", "yes", "yes"),
            ("acme", "c1", "2026-11-16T00:00:00", "a1", "notice", "no", None, "no"),
            ("acme", "c2", "2026-11-16T00:00:00", "a1", "greet", "no", "yes", "yes"),
            ("acme", "c2", "2026-11-16T00:00:00", "a1", "notice", "na", None, "na"),
            ("brand", "c1", "2026-11-16T00:00:00", "a1", "greet", "no", None, "no"),
        ],
    ),
    "v_criterion_failures": (
        "SELECT tenant_id, place, criterion_id, calls, failures, fail_rate, not_applicable, without_evidence FROM v_criterion_failures ORDER BY 1, 2",
        [
            ("acme", 1, "notice", 1, 1, 1.0, 1, 1),  # one applied and failed
            ("acme", 2, "greet", 2, 0, 0.0, 0, 0),  # the model's no was overruled
            ("brand", 1, "greet", 1, 1, 1.0, 0, 0),
        ],
    ),
    "v_tone": (
        "SELECT tenant_id, day, calls, needs_review, toned, tone_score, positive, neutral, negative, scored, percentage, pass_rate FROM v_tone ORDER BY 1, 2",
        [
            ("acme", "2026-11-16T00:00:00", 2, 1, 1, 75.0, 0, 1, 1, 2, 75.0, 0.5),
            ("acme", "2026-11-17T00:00:00", 1, 1, 0, None, 0, 0, 0, 0, None, None),
            ("brand", "2026-11-16T00:00:00", 1, 0, 1, 40.0, 1, 0, 0, 1, 0.0, 0.0),
        ],
    ),
    "v_agreement": (
        "SELECT tenant_id, form_id, criterion_id, n, agreement, kappa FROM v_agreement ORDER BY 1, 3",
        # yes, no against yes, yes: by chance (1*2 + 1*0) / 4 = 0.5, as often as they agreed
        [("acme", "support", "greet", 2, 0.5, 0.0)],
    ),
    "v_criterion_words": (
        "SELECT call_id, overridden_at, replaced_at, form_version, question, model_verdict, human_verdict, confirms "
        "FROM v_criterion_words WHERE tenant_id = 'acme' ORDER BY 1, 2",
        [
            ("c1", "2026-11-17T08:00:00+00:00", "2026-11-17T09:00:00+00:00", 1, "Why?", "yes", "no", 0),
            ("c1", "2026-11-17T09:00:00+00:00", None, 1, "Why?", "yes", "yes", 1),
            ("c2", "2026-11-17T08:00:00+00:00", None, 1, "Why?", "no", "yes", 0),
        ],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", QUERIES)
def test_a_query_returns_its_expected_rows(warehouse, name):
    sql, answer = QUERIES[name]
    assert rows_of(warehouse.query(sql)) == answer


def test_every_allowed_function_has_a_query():
    text = " ".join(sql.upper() for sql, _ in QUERIES.values())
    known = functions.SAME | set(functions.REWRITTEN)
    assert {name for name in known if f"{name}(" not in text} == set()


@pytest.mark.acceptance("operation-27", "call-store-07", "qa-01")
def test_every_view_has_a_query():
    for name, _ in schema.views():
        assert name in QUERIES


def test_parameters_have_names_and_are_values(warehouse):
    sql = "SELECT request_id AS r FROM omni_summaries WHERE pair = :pair AND generation_timestamp >= :since AND latency_ms < :most::INT ORDER BY 1"
    given = {"pair": "p1", "since": at("2026-11-16T10:04:00"), "most": 2500}
    assert rows_of(warehouse.query(sql, given)) == [("r2",), ("r4",), ("r5",)]
    assert rows_of(warehouse.query(sql, {**given, "pair": "p1' OR '1' = '1"})) == []
    with pytest.raises(QueryRefused, match="most"):
        warehouse.query(sql, {"pair": "p1", "since": given["since"]})


def test_frames_have_lower_case_names_and_whole_numbers(warehouse):
    frame = warehouse.query(
        "SELECT COUNT(*) AS N, SUM(latency_ms) AS Total, MIN(generation_timestamp) AS First FROM omni_summaries"
    )
    assert list(frame.columns) == ["n", "total", "first"]
    assert (str(frame.dtypes["n"]), str(frame.dtypes["total"]), str(frame.dtypes["first"])) == (
        "int64",
        "int64",
        "datetime64[us, UTC]",
    )


REFUSED = {
    # DuckDB would return a different result without an error.
    "SELECT ADD_MONTHS(generation_timestamp, 1) FROM omni_summaries": r"ADD_MONTHS\(\)",
    "SELECT MONTHS_BETWEEN(generation_timestamp, feedback_timestamp) FROM omni_summaries": r"MONTHS_BETWEEN\(\)",
    "SELECT DATEDIFF(week, generation_timestamp, feedback_timestamp) FROM omni_summaries": "DATEDIFF.week",
    "SELECT EXTRACT(epoch FROM generation_timestamp) FROM omni_summaries": "EPOCH.*DATEDIFF",
    "SELECT TO_CHAR(latency_ms, '9999') FROM omni_summaries": "format '9999'",
    "SELECT TO_CHAR(generation_timestamp, 'Month') FROM omni_summaries": "'Month'",
    "SELECT TRUNC(latency_ms) FROM omni_summaries": "x::DATE",
    "SELECT AVG(latency_ms) / 2 FROM omni_summaries": "DOUBLE PRECISION",
    "SELECT REGEXP_REPLACE(pair, '(p)', '$1$1') FROM omni_summaries": "refers to groups",
    "SELECT pair FROM omni_summaries WHERE pair SIMILAR TO last_channel": "SIMILAR TO must be a string literal",
    r"SELECT pair FROM omni_summaries WHERE pair LIKE 'p\\_%'": "ESCAPE",
    "SELECT MAX(payload.total) FROM baskets": r"payload.total::DECIMAL",
    "SELECT id FROM baskets WHERE payload.total > 9": "cast a SUPER path",
    "SELECT id FROM baskets ORDER BY payload.total": "cast a SUPER path",
    "WITH b AS (SELECT payload FROM baskets) SELECT payload.items[0].sku FROM b": "nor with a SUPER column",
    "SELECT FNV_HASH(pair) FROM omni_summaries": r"FNV_HASH\(\)",
    "SELECT STRTOL('7', 8)": "bases 2, 10 and 16",
    "SELECT SHA2(pair, 512) FROM omni_summaries": "256",
    "SELECT latency_ms / 3.0 FROM omni_summaries": "DOUBLE PRECISION",
    "SELECT FLOOR(latency_ms / 0.3) FROM omni_summaries": "DOUBLE PRECISION",
    "SELECT EXTRACT(hour FROM generation_timestamp) / 5 FROM omni_summaries": "INTEGER",
    "SELECT EXTRACT(second FROM generation_timestamp) FROM omni_summaries": "SECOND",
    "SELECT pair::CHAR(3) FROM omni_summaries": "CHAR",
    "SELECT pair::VARCHAR(MAX) FROM omni_summaries": "65535",
    "SELECT pair FROM omni_summaries WHERE pair ILIKE 'Ä%'": "ASCII",
    # Redshift does not have this.
    "SELECT pair FROM omni_summaries WHERE pair ~* 'P'": "REGEXPILIKE",
    "SELECT COUNT(DISTINCT pair, task) FROM omni_summaries": "one column",
    "SELECT pair FROM omni_summaries EXCEPT ALL SELECT pair FROM omni_feedback": "EXCEPT ALL",
    "SELECT pair FROM omni_summaries SEMI JOIN omni_feedback USING (request_id)": "SEMI join",
    "SELECT * REPLACE (1 AS pair) FROM omni_summaries": "REPLACE",
    "SELECT * FROM (VALUES (1)) AS v(x)": "VALUES",
    "SELECT pair IS DISTINCT FROM task FROM omni_summaries": "NULLSAFE",
    "SELECT COUNT(*) FILTER (WHERE degraded) FROM omni_summaries": r"FILTER\(\)",
    "SELECT DISTINCT ON (pair) pair FROM omni_summaries": "QUALIFY",
    "SELECT SUM(latency_ms) OVER (ORDER BY request_id) FROM omni_summaries": "needs a frame",
    "SELECT SUM(latency_ms) OVER (ORDER BY latency_ms RANGE UNBOUNDED PRECEDING) FROM omni_summaries": "neither RANGE",
    "SELECT pair, COUNT(*) FROM omni_summaries GROUP BY ALL": "GROUP BY ALL",
    "SELECT LISTAGG(pair, ',') WITHIN GROUP (ORDER BY pair), LISTAGG(pair, ',') WITHIN GROUP (ORDER BY request_id) FROM omni_summaries": "same ORDER BY",
    "SELECT [1, 2]": "ARRAY",
    "SELECT LIST(pair) FROM omni_summaries": r"LIST\(\)",
    # Not a query.
    "DELETE FROM omni_summaries": "only SELECT.*DELETE",
    "DROP TABLE omni_summaries": "only SELECT.*DROP",
    "SELECT 1; SELECT 2": "2 statements",
    "": "0 statements",
    "SELECT pair INTO copies FROM omni_summaries": "SELECT INTO",
    "COPY omni_summaries FROM 's3://bucket/x' FORMAT AS PARQUET": "only SELECT.*COPY",
    "UNLOAD ('SELECT 1') TO 's3://bucket/x'": "only SELECT",
    "CREATE TABLE x AS SELECT 1": "only SELECT.*CREATE",
    "WITH x AS (DELETE FROM omni_summaries) SELECT * FROM x": "changes inside WITH",
    # Unknown tables, columns and functions.
    "SELECT * FROM omni_sumaries": "no table 'omni_sumaries'.*omni_summaries",
    "SELECT helpfull FROM omni_summaries": "helpfull",
    "SELECT s.pair FROM omni_summaries": r"s\.pair",
    "SELECT * FROM read_csv('/etc/passwd')": r"READ_CSV\(\)",
    "SELECT * FROM '/etc/passwd'": "no table",
    "SELECT * FROM information_schema.columns": "schema public",
    "SELECT current_setting('home_directory')": r"CURRENT_SETTING\(\)",
    "SELECT FROM WHERE": "WHERE",
}  # fmt: skip


@pytest.mark.parametrize("sql", REFUSED)
def test_a_query_without_a_certain_result_is_refused_in_one_line(warehouse, sql):
    with pytest.raises(QueryRefused, match=REFUSED[sql]) as refused:
        warehouse.query(sql)
    assert "\n" not in str(refused.value)
    assert "\x1b" not in str(refused.value)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1 / 0 AS x",
        "SELECT 2.5::INT AS x",
        "SELECT 'x'::INT AS x",
        "SELECT payload.items[0].qty::INT / 0 AS x FROM baskets",
        "SELECT 'abcd'::VARCHAR(3) AS x",
        "SELECT REPEAT('ab', 200)::VARCHAR AS x",
        "SELECT 'äb'::VARCHAR(2) AS x",
        "SELECT AVG(cost_usd) AS x FROM omni_summaries",
        "SELECT latency_ms / cost_usd AS x FROM omni_summaries WHERE cost_usd > 0",
    ],
)
def test_an_error_while_a_query_runs_is_a_refusal(warehouse, sql):
    with pytest.raises(QueryRefused, match=r"zero|fraction|convert|bytes|DOUBLE PRECISION"):
        warehouse.query(sql)
