"""The weekly report's SELECTs in Redshift's dialect; the warehouse counts, and except for feedback texts returns only counts."""

from reports.read.approvals import APPROVED, JUDGED
from reports.read.weeks import DAY_S, WEEK_S, Week

HISTORY_WEEKS = 12  # weeks before the report's for trends and change points
BASELINE_WEEKS = 4  # weeks before the report's for anomalies and for the answers of the release before
LATENCY_STEP_MS = 10  # bin width of the slices' histograms; the histograms of whole pairs are exact
LATENCY_STEPS = 20  # bins of the daily histograms in each power of e, so that one is 5% wide
DIMENSIONS = {
    "channel": "COALESCE(s.last_channel, 'none')",
    "intent": "s.ivr_intent",
    "history": (
        "CASE WHEN s.interactions_considered <= 1 THEN '0-1' WHEN s.interactions_considered <= 3 THEN '2-3' "
        "WHEN s.interactions_considered <= 10 THEN '4-10' WHEN s.interactions_considered <= 50 THEN '11-50' ELSE '>50' END"
    ),
    "client": "s.client",
}
# The value of a dimension in the rows of a task that does not have it.
ABSENT = {"channel": "none", "intent": ""}
HISTORY_ORDER = ("0-1", "2-3", "4-10", "11-50", ">50")
NUMBERS = {"interactions_considered": "interactions read", "history_days": "days of history", "summary_words": "words"}
_TIME = "s.generation_timestamp"
# A written answer was made for this request (by a model or the digest); a modelled answer was made for it by a model.
_WRITTEN = "NOT s.cache_hit AND s.arm <> 'none'"
_MODELLED = "NOT s.cache_hit AND s.arm IN ('primary', 'backup')"
# As at the gate: the primary model's answers without and with tokens read from the prompt cache.
_COLD = "NOT s.cache_hit AND s.arm = 'primary' AND s.prompt_cache_read_tokens = 0"
_WARM = "NOT s.cache_hit AND s.arm = 'primary' AND s.prompt_cache_read_tokens > 0"
_GROUP = "COALESCE(NULLIF(c.queue, ''), 'no group')"
# An answer of a conversation has the conversation as its first contact and itself as its contact: that is no transfer.
_TRANSFER = "s.contact_id <> s.initial_contact_id AND s.contact_id <> s.request_id"
_COUNTS = {
    "answers": "1",
    "rated": "CASE WHEN s.helpful_feedback IS NOT NULL THEN 1 ELSE 0 END",
    "helpful": "CASE WHEN s.helpful_feedback = 'helpful' THEN 1 ELSE 0 END",
    "degraded": "CASE WHEN s.degraded THEN 1 ELSE 0 END",
    "asked": f"CASE WHEN {_WRITTEN} THEN 1 ELSE 0 END",
    "failover": "CASE WHEN NOT s.cache_hit AND s.arm = 'backup' THEN 1 ELSE 0 END",
    "reused": "CASE WHEN s.cache_hit THEN 1 ELSE 0 END",
    "transfers": f"CASE WHEN {_TRANSFER} THEN 1 ELSE 0 END",
    "transfers_reused": f"CASE WHEN s.cache_hit AND {_TRANSFER} THEN 1 ELSE 0 END",
    "modelled": f"CASE WHEN {_MODELLED} THEN 1 ELSE 0 END",
    "primary_answers": "CASE WHEN NOT s.cache_hit AND s.arm = 'primary' THEN 1 ELSE 0 END",
    "prompt_hits": f"CASE WHEN {_MODELLED} AND s.prompt_cache_read_tokens > 0 THEN 1 ELSE 0 END",
    "flagged": f"CASE WHEN {_MODELLED} AND s.guard_findings > 0 THEN 1 ELSE 0 END",
    "findings": f"CASE WHEN {_MODELLED} THEN s.guard_findings ELSE 0 END",
    "priced_written": f"CASE WHEN {_WRITTEN} AND s.cost_usd IS NOT NULL THEN 1 ELSE 0 END",
    "priced": "CASE WHEN s.cost_usd IS NOT NULL THEN 1 ELSE 0 END",
    "written": f"CASE WHEN {_WRITTEN} THEN 1 ELSE 0 END",
    "judged": JUDGED,
    "approved": APPROVED,
    "priced_cold": f"CASE WHEN {_COLD} AND s.cost_usd IS NOT NULL THEN 1 ELSE 0 END",
    "priced_warm": f"CASE WHEN {_WARM} AND s.cost_usd IS NOT NULL THEN 1 ELSE 0 END",
}
_SUMS = {
    "cost": "CAST(s.cost_usd AS DOUBLE PRECISION)",
    "cost_written": f"CASE WHEN {_WRITTEN} THEN CAST(s.cost_usd AS DOUBLE PRECISION) END",
    "cost_cold": f"CASE WHEN {_COLD} THEN CAST(s.cost_usd AS DOUBLE PRECISION) END",
    "cost_warm": f"CASE WHEN {_WARM} THEN CAST(s.cost_usd AS DOUBLE PRECISION) END",
    "words": f"CASE WHEN {_WRITTEN} THEN CAST(s.summary_words AS DOUBLE PRECISION) END",
}
COUNT_COLUMNS = (*_COUNTS, "edited")
SUM_COLUMNS = tuple(column for name in _SUMS for column in (name, f"{name}_squares"))
_WINDOW = "s.task = :task AND s.generation_timestamp >= :since AND s.generation_timestamp < :until"


def cube(week: Week) -> str:
    """Return counts and sums by week, day (as ``_own_day``), pair and values of all dimensions, which sum up to any slice."""
    slices = ", ".join(f"{sql} AS {name}" for name, sql in DIMENSIONS.items())
    return _counted(f"{_week(week)} AS period, {_own_day(week)} AS day, s.pair_digest, {slices}", by=7)


def slice_days(week: Week, dimension: str) -> str:
    """Return counts and sums by local day, pair and one dimension's values."""
    return _counted(f"{_day(week)} AS day, s.pair_digest, {DIMENSIONS[dimension]} AS slice", by=3)


def _counted(columns: str, *, by: int) -> str:
    """Return the SELECT of all counts and sums, edits included, by its first ``by`` columns."""
    return f"""
        WITH edits AS (
            SELECT DISTINCT request_id FROM omni_feedback
            WHERE edited_summary IS NOT NULL AND summary_timestamp >= :since
        )
        SELECT {columns},
            {_totals()},
            SUM(CASE WHEN e.request_id IS NOT NULL AND s.helpful_feedback IS NOT NULL THEN 1 ELSE 0 END) AS edited
        FROM omni_summaries s LEFT JOIN edits e ON e.request_id = s.request_id
        WHERE {_WINDOW}
        GROUP BY {", ".join(str(place + 1) for place in range(by))}"""  # noqa: S608 - constants of this module


def daily(week: Week) -> str:
    """Return counts and sums by local day and pair."""
    return f"""
        SELECT {_day(week)} AS day, s.pair_digest, {_totals()}
        FROM omni_summaries s WHERE {_WINDOW} GROUP BY 1, 2"""  # noqa: S608


def daily_latency(week: Week, *, by_pair: bool) -> str:
    """Return p50 and p95 by local day, by pair or of all pairs together."""
    pair = "s.pair_digest" if by_pair else "'all'"
    return f"""
        SELECT {_day(week)} AS day, {pair} AS pair_digest, COUNT(*) AS n,
            PERCENTILE_DISC(0.5) WITHIN GROUP (ORDER BY s.latency_ms) AS p50,
            PERCENTILE_DISC(0.95) WITHIN GROUP (ORDER BY s.latency_ms) AS p95
        FROM omni_summaries s WHERE {_WINDOW} AND s.latency_ms >= 0 GROUP BY 1, 2"""  # noqa: S608


def latencies(week: Week) -> str:
    """Return the count of each latency by week, day (``_own_day``) and pair; ``primary_n``: the primary model's new answers."""
    return f"""
        SELECT {_week(week)} AS period, {_own_day(week)} AS day, s.pair_digest, s.latency_ms AS value, COUNT(*) AS n,
            SUM(CASE WHEN NOT s.cache_hit AND s.arm = 'primary' THEN 1 ELSE 0 END) AS primary_n
        FROM omni_summaries s WHERE {_WINDOW} AND s.latency_ms >= 0 GROUP BY 1, 2, 3, 4"""  # noqa: S608


def slice_latencies(week: Week, dimension: str) -> str:
    """Return the count of each latency by week, day (as ``_own_day``), pair and one dimension's values, in steps of 10 ms."""
    return f"""
        SELECT {_week(week)} AS period, {_own_day(week)} AS day, s.pair_digest, {DIMENSIONS[dimension]} AS slice,
            FLOOR(s.latency_ms / {LATENCY_STEP_MS}::DOUBLE PRECISION) * {LATENCY_STEP_MS} AS value, COUNT(*) AS n
        FROM omni_summaries s WHERE {_WINDOW} AND s.latency_ms >= 0 GROUP BY 1, 2, 3, 4, 5"""  # noqa: S608


def latency_days(week: Week, dimension: str) -> str:
    """Return the number of answers by local day, pair, one dimension's values, and ``step``: ``LATENCY_STEPS`` times ln(ms)."""
    return f"""
        SELECT {_day(week)} AS day, s.pair_digest, {DIMENSIONS[dimension]} AS slice, COUNT(*) AS n,
            CAST(FLOOR({LATENCY_STEPS} * LN(GREATEST(s.latency_ms, 1))) AS INTEGER) AS step
        FROM omni_summaries s WHERE {_WINDOW} AND s.latency_ms >= 0 GROUP BY 1, 2, 3, 5"""  # noqa: S608


def numbers(week: Week, column: str) -> str:
    """Return the count of each value of a column of ``NUMBERS`` by week."""
    return f"""
        SELECT {_week(week)} AS period, s.{column} AS value, COUNT(*) AS n
        FROM omni_summaries s WHERE {_WINDOW} GROUP BY 1, 2"""  # noqa: S608


def kept_inputs(week: Week) -> str:
    """Return the kept inputs of answers that were written from features, by week."""
    return f"""
        SELECT {_week(week)} AS period, s.inputs AS inputs
        FROM omni_answer_details s WHERE {_WINDOW} AND s.inputs LIKE '%"features"%'"""  # noqa: S608


def hours(week: Week) -> str:
    """Return the number of answers by week and local hour."""
    seconds = week.local_seconds(_TIME, weeks=HISTORY_WEEKS)
    return f"""
        SELECT {_week(week)} AS period, COUNT(*) AS n,
            FLOOR(({seconds} - {DAY_S} * FLOOR({seconds} / {DAY_S}::DOUBLE PRECISION)) / 3600::DOUBLE PRECISION) AS value
        FROM omni_summaries s WHERE {_WINDOW} GROUP BY 1, 3"""  # noqa: S608


def words_of(week: Week) -> str:
    """Return the newest unhelpful or edited answers with comment and edit, at most ``:most``."""
    return f"""
        SELECT {_week(week)} AS period, f.feedback_id, f.request_id, f.comment, f.edited_summary, s.summary_text,
            s.helpful_feedback, s.pair_digest, {", ".join(f"{sql} AS {name}" for name, sql in DIMENSIONS.items())}
        FROM omni_feedback f JOIN omni_summaries s ON s.request_id = f.request_id
        WHERE {_WINDOW} AND (s.helpful_feedback = 'not_helpful' OR f.edited_summary IS NOT NULL)
            AND (f.comment IS NOT NULL OR f.edited_summary IS NOT NULL)
        ORDER BY f.feedback_timestamp DESC, f.feedback_id LIMIT :most"""  # noqa: S608


def agreement(week: Week) -> str:
    """Return counts of people's verdicts on criteria with the model's, by the week in which people gave them.

    Of several verdicts on one criterion of a call, the one in force at ``:until`` counts.
    """
    return f"""
        SELECT {_week(week, "w.overridden_at")} AS period, w.tenant_id, w.form_id, w.form_version, w.criterion_id, w.pair_digest,
            w.model_verdict, w.human_verdict, MAX(w.question) AS question, COUNT(*) AS n
        FROM v_criterion_words w
        WHERE w.overridden_at >= :since AND w.overridden_at < :until AND (w.replaced_at IS NULL OR w.replaced_at >= :until)
        GROUP BY 1, 2, 3, 4, 5, 6, 7, 8"""  # noqa: S608


def calls(week: Week) -> str:
    """Return the number of scored calls by week of the call, and how many criteria the model answered in them."""
    return f"""
        SELECT {_week(week, "k.call_date")} AS period, k.tenant_id, k.form_id, COUNT(DISTINCT k.call_id) AS calls,
            SUM(CASE WHEN k.verdict IS NOT NULL THEN 1 ELSE 0 END) AS n
        FROM v_criteria k WHERE k.call_date >= :since AND k.call_date < :until GROUP BY 1, 2, 3"""  # noqa: S608


def call_scores(week: Week) -> str:
    """Return counts and sums of scored calls by week of the call, tenant, form and agent group (the queue)."""
    points = "CAST(c.percentage AS DOUBLE PRECISION)"
    return f"""
        SELECT {_week(week, "c.call_date")} AS period, c.tenant_id, c.form_id, {_GROUP} AS agent_group, COUNT(*) AS calls,
            SUM(CASE WHEN c.passed IS NOT NULL THEN 1 ELSE 0 END) AS decided, SUM(CASE WHEN c.passed THEN 1 ELSE 0 END) AS passed,
            SUM(CASE WHEN c.percentage IS NOT NULL THEN 1 ELSE 0 END) AS scored,
            SUM({points}) AS points, SUM({points} * {points}) AS points_squares
        FROM omni_calls c WHERE c.form_id IS NOT NULL AND c.call_date >= :since AND c.call_date < :until
        GROUP BY 1, 2, 3, 4"""  # noqa: S608


def call_sentiments(week: Week) -> str:
    """Return the number of scored calls by week, tenant, form, agent group, reader of the sentiment, sentiment and failure."""
    return f"""
        SELECT {_week(week, "c.call_date")} AS period, c.tenant_id, c.form_id, {_GROUP} AS agent_group,
            COALESCE(c.insights_by, '') AS reader, COALESCE(c.insights_sentiment, '') AS sentiment,
            COALESCE(c.insights_failure, '') AS failure, COUNT(*) AS calls
        FROM omni_calls c WHERE c.form_id IS NOT NULL AND c.call_date >= :since AND c.call_date < :until
        GROUP BY 1, 2, 3, 4, 5, 6, 7"""  # noqa: S608


def criterion_scores(week: Week) -> str:
    """Return how many calls met a criterion, by week of the call, tenant, form, version, agent group and pair.

    The verdicts are the model's: people choose what they review, so theirs would make a week of more reviews look worse.
    """
    return f"""
        SELECT {_week(week, "k.call_date")} AS period, k.tenant_id, k.form_id, k.form_version, k.criterion_id,
            {_GROUP} AS agent_group, k.pair_digest, MAX(k.question) AS question,
            SUM(CASE WHEN k.verdict = 'yes' THEN 1 ELSE 0 END) AS met,
            SUM(CASE WHEN k.verdict IN ('yes', 'no') THEN 1 ELSE 0 END) AS applied
        FROM omni_call_criteria k
        JOIN omni_calls c ON c.tenant_id = k.tenant_id AND c.call_id = k.call_id
        WHERE k.call_date >= :since AND k.call_date < :until
        GROUP BY 1, 2, 3, 4, 5, 6, 7"""  # noqa: S608


PAIRS = f"""
    SELECT s.pair_digest, s.pair, s.prompt_version, s.rollout_arm, s.environment, s.arm, s.model_used, s.answered_by,
        COUNT(*) AS n, MIN(s.generation_timestamp) AS first_at, MAX(s.generation_timestamp) AS last_at
    FROM omni_summaries s WHERE {_WINDOW} GROUP BY 1, 2, 3, 4, 5, 6, 7, 8"""  # noqa: S608
RELEASES = """
    SELECT environment, sequence, kind, pair, pair_digest, prompt_version, released_at, why
    FROM omni_releases WHERE task = :task AND released_at < :until ORDER BY environment, sequence"""
PROMISES = """
    SELECT p.environment, p.sequence, p.pair_digest, p.metric, p.value, p.low, p.high, p.n, p.unit
    FROM omni_promises p WHERE p.task = :task ORDER BY p.environment, p.sequence, p.metric"""
ODDITIES = f"""
    SELECT SUM(CASE WHEN s.feedback_timestamp < s.generation_timestamp THEN 1 ELSE 0 END) AS feedback_before_answer,
        SUM(CASE WHEN s.latency_ms < 0 THEN 1 ELSE 0 END) AS negative_latency,
        SUM(CASE WHEN s.cost_usd IS NULL AND {_WRITTEN} THEN 1 ELSE 0 END) AS unpriced,
        COUNT(*) - COUNT(DISTINCT s.request_id) AS repeated_ids
    FROM omni_summaries s WHERE {_WINDOW}"""  # noqa: S608
TASKS = """
    SELECT s.task, COUNT(*) AS n FROM omni_summaries s
    WHERE s.generation_timestamp >= :since AND s.generation_timestamp < :until GROUP BY 1 ORDER BY n DESC, s.task"""
REASONS = f"""
    SELECT f.reason, COUNT(DISTINCT f.request_id) AS n
    FROM omni_feedback f JOIN omni_summaries s ON s.request_id = f.request_id
    WHERE {_WINDOW} AND f.reason IS NOT NULL GROUP BY 1 ORDER BY n DESC, f.reason"""  # noqa: S608
KNOWN_TASKS = "SELECT DISTINCT s.task FROM omni_summaries s ORDER BY s.task"
FUTURE = "SELECT COUNT(*) AS n FROM omni_summaries s WHERE s.task = :task AND s.generation_timestamp > :now"
ORPHANS = """
    SELECT COUNT(*) AS n FROM omni_feedback f LEFT JOIN omni_summaries s ON s.request_id = f.request_id
    WHERE s.request_id IS NULL AND f.task = :task AND f.feedback_timestamp >= :since AND f.feedback_timestamp < :until"""


def _totals() -> str:
    counts = [f"SUM({sql}) AS {name}" for name, sql in _COUNTS.items()]
    sums = [
        f"SUM({sql}) AS {name}, SUM(({sql}) * ({sql})) AS {name}_squares"  # a sum of nothing is NULL
        for name, sql in _SUMS.items()
    ]
    return ", ".join(counts + sums)


def _week(week: Week, column: str = _TIME) -> str:
    return f"CAST(FLOOR({week.local_seconds(column, weeks=HISTORY_WEEKS)} / {WEEK_S}::DOUBLE PRECISION) AS INTEGER)"


def _day(week: Week) -> str:
    return f"CAST(FLOOR({week.local_seconds(_TIME, weeks=HISTORY_WEEKS)} / {DAY_S}::DOUBLE PRECISION) AS INTEGER)"


def _own_day(week: Week) -> str:
    """Return SQL for the local day of an answer of the report's week, and -1 for older ones."""
    return f"CASE WHEN {_TIME} >= '{week.start:%Y-%m-%d %H:%M:%S}+00' THEN {_day(week)} ELSE -1 END"
