"""The columns of the frames: name, type, unit and meaning; docs/reference/frames.md lists them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import pandas as pd

ColumnType = Literal["text", "number", "integer", "boolean", "time"]
# What a missing value is: NaN in text and number, NA in integer and boolean, NaT in time.
_PANDAS: dict[ColumnType, str] = {
    "text": "str",
    "number": "float64",
    "integer": "Int64",
    "boolean": "boolean",
    "time": "datetime64[us, UTC]",
}


@dataclass(frozen=True, slots=True)
class FrameColumn:
    """One column of a frame. A name that ends in ``*`` stands for a family: one column for each name of a kind."""

    name: str
    type: ColumnType
    unit: str
    meaning: str

    def is_of(self, name: str) -> bool:
        """Return whether this describes the column ``name``."""
        return name.startswith(self.name[:-1]) if self.name.endswith("*") else name == self.name


_RUN = FrameColumn("run_id", "text", "", "id of the run; begins with its start in UTC")
_PAIR = (
    FrameColumn("pair_name", "text", "", "name of the pair"),
    FrameColumn("pair_digest", "text", "", "SHA-256 of the pair's content"),
    FrameColumn("is_production", "boolean", "", "the pair was in production during the run"),
)
_ANSWERED_BY = FrameColumn("answered_by", "text", "", "models that answered, in their own words; comma separated")
_ORIGINS = FrameColumn(
    "origins", "text", "", "where answers came from: provider, endpoint, stand-in or code; comma separated"
)

RUNS = (
    _RUN,
    FrameColumn("task", "text", "", "name of the task"),
    FrameColumn("started_at", "time", "UTC", "start of the run"),
    FrameColumn("environment", "text", "", "local or aws"),
    FrameColumn("dataset_name", "text", "", "name of the dataset; a sample's ends in its size, as in gate[20]"),
    FrameColumn("dataset_digest", "text", "", "SHA-256 of the cases"),
    FrameColumn("case_count", "integer", "cases", "cases in the dataset"),
    FrameColumn("suite_digest", "text", "", "SHA-256 of suite, scorers and all code that decides"),
    FrameColumn("code_version", "text", "", "git commit, with -dirty where files differed from it"),
    FrameColumn("production_name", "text", "", "pair that was in production; missing if there was none"),
    *_PAIR,
    FrameColumn("pair_version", "text", "", "version that the pair's file states"),
    FrameColumn("role", "text", "", "candidate, floor or demo"),
    FrameColumn("model", "text", "", "model id that was asked for"),
    FrameColumn("backup", "text", "", "model id of the backup; missing if the pair has none"),
    FrameColumn("parts", "text", "", "models of the pair's further prompts, by name; missing if it has none"),
    _ANSWERED_BY,
    _ORIGINS,
    FrameColumn("verdict", "text", "", "pass, fail or inconclusive"),
    FrameColumn("headline", "text", "", "the verdict with what nobody looked at"),
    FrameColumn("unseen", "text", "", "kinds of harm that nobody looked at; comma separated"),
    FrameColumn("pair_seconds", "number", "s", "time that the primary model's answers took"),
    FrameColumn("run_seconds", "number", "s", "time that the whole run took"),
    FrameColumn("calls_live", "integer", "calls", "answers of the whole run whose model calls were all made in it"),
    FrameColumn(
        "calls_cached", "integer", "calls", "answers of the whole run that came from the reply cache, at least in part"
    ),
)

CASES = (
    _RUN,
    *_PAIR,
    FrameColumn("case_id", "text", "", "id of the case in its dataset"),
    FrameColumn("arm", "text", "", "primary or backup: which of the pair's models was asked"),
    FrameColumn("repeat", "integer", "", "number of the answer to this case, from 0"),
    FrameColumn("live", "boolean", "", "all its model calls were made in this run, none came from the reply cache"),
    FrameColumn(
        "measured_in", "text", "", "the earlier run that made all its calls, for an answer from the reply cache"
    ),
    FrameColumn("answered_by", "text", "", "model that answered, in its own words; empty without an answer"),
    _ORIGINS,
    FrameColumn("failure", "text", "", "failure code; missing if there is an answer"),
    FrameColumn("latency_ms", "number", "ms", "time for the whole answer; compare latencies of live answers only"),
    FrameColumn("model_ms", "number", "ms", "part of it that was spent waiting for the model"),
    FrameColumn("attempts", "integer", "calls", "model calls for this answer, repairs included"),
    FrameColumn("input_tokens", "integer", "tokens", "tokens sent, without those of the provider's prompt cache"),
    FrameColumn("output_tokens", "integer", "tokens", "tokens generated"),
    FrameColumn("cache_read_tokens", "integer", "tokens", "tokens read from the provider's prompt cache"),
    FrameColumn("cache_write_tokens", "integer", "tokens", "tokens written to the provider's prompt cache"),
    FrameColumn("cost_usd", "number", "USD", "metered tokens at the model's prices; missing if the model has no price"),
    FrameColumn("cost_cold_usd", "number", "USD", "cost if the provider's prompt cache held nothing"),
    FrameColumn("cost_warm_usd", "number", "USD", "cost if the provider's prompt cache held the prompt's fixed part"),
    FrameColumn("finding_count", "integer", "findings", "faults that the scorers found in the answer"),
    FrameColumn("slice_*", "text", "", "one column per slice of the dataset, such as slice_intent_family"),
    FrameColumn("score_*", "number", "the score's own", "one column per score, such as score_grounded; NaN = unscored"),
    FrameColumn("unscored_*", "text", "", "why the score is missing; one column per score that some answer lacks"),
)

TEXTS = (
    FrameColumn("output", "text", "", "the answer; empty after a failure"),
    FrameColumn("raw_text", "text", "", "what the model wrote, where that was refused"),
    FrameColumn("failure_message", "text", "", "what was wrong with a refused answer"),
    FrameColumn("findings", "text", "", "the scorers' findings, which quote the answer"),
)

METRICS = (
    _RUN,
    *_PAIR,
    FrameColumn(
        "part",
        "text",
        "",
        "primary, backup, difference (from production, paired by case), like_for_like (cases with several references), "
        "reference (references against each other; no pair) or check (of the gate)",
    ),
    FrameColumn("metric", "text", "", "name of the metric"),
    FrameColumn("slice", "text", "", "slice that a check is about; missing for all cases"),
    FrameColumn(
        "unit",
        "text",
        "",
        "unit of value, low and high: score (0 to 100), rate or events (0 to 1), ms, usd, words, count, change",
    ),
    FrameColumn("higher_is_better", "boolean", "", "direction of the metric; missing for checks"),
    FrameColumn("value", "number", "see unit", "the figure; a positive difference is better than production"),
    FrameColumn("low", "number", "see unit", "lower end of the interval"),
    FrameColumn("high", "number", "see unit", "upper end of the interval"),
    FrameColumn("confidence", "number", "0 to 1", "confidence of the interval"),
    FrameColumn("n", "integer", "cases", "cases behind the figure; repeats of a case are one case"),
    FrameColumn("unscored", "integer", "cases", "cases that should have been scored and were not; missing for checks"),
    FrameColumn("method", "text", "", "how the interval was made"),
    FrameColumn("between_repeat_sd", "number", "see unit", "standard deviation from one repeat of the set to the next"),
    FrameColumn("p_value", "number", "0 to 1", "of the test of no difference"),
    FrameColumn("test", "text", "", "name of that test"),
    FrameColumn("mde", "number", "see unit", "smallest true drop that these cases show with 80% power"),
    FrameColumn("needed_n", "integer", "cases", "cases with which an equal pair clears the margin with 80% power"),
    FrameColumn("comparable", "boolean", "", "false where there can be no difference; note says why"),
    FrameColumn("note", "text", "", "what a reader must know about the figure"),
    FrameColumn(
        "check", "text", "", "kind of check: floor, no_worse, best_of_year, slice, requirement, behaviour, must_pass"
    ),
    FrameColumn("bound", "number", "see unit", "what the check demands"),
    FrameColumn("verdict", "text", "", "the check's verdict: pass, fail or inconclusive"),
    FrameColumn("reason", "text", "", "why the check has this bound"),
    FrameColumn("explanation", "text", "", "how the verdict follows from the figures"),
)

RELEASES = (
    FrameColumn("task", "text", "", "name of the task"),
    FrameColumn("sequence", "integer", "", "number of the release, from 1; rollbacks count too"),
    FrameColumn("kind", "text", "", "promote, rollback or restore"),
    FrameColumn("released_at", "time", "UTC", "time that the release states"),
    FrameColumn("pair_name", "text", "", "name of the pair"),
    FrameColumn("pair_digest", "text", "", "SHA-256 of the pair's content"),
    FrameColumn("from_digest", "text", "", "digest of the pair that was in production before; missing for the first"),
    FrameColumn("registry_version", "integer", "", "version of the task's prompt in MLflow"),
    FrameColumn("who", "text", "", "who released"),
    FrameColumn("approved_by", "text", "", "who approved; missing if nobody was named"),
    FrameColumn("pull_request", "text", "", "pull request of the change; missing if none was named"),
    FrameColumn("why", "text", "", "the releaser's reason"),
    FrameColumn("environment", "text", "", "local or aws"),
    FrameColumn("stage", "text", "", "local, dev, test or prod; missing in older releases"),
    FrameColumn(
        "without_judge", "text", "", "why it was released although nobody looked at some harms; missing: no exception"
    ),
    FrameColumn("without_judge_by", "text", "", "who allowed that exception; missing: none, or nobody was named"),
    FrameColumn("without_judge_until", "text", "", "last day (UTC) of that exception, as YYYY-MM-DD; missing: none"),
    FrameColumn("attestation", "text", "", "SHA-256 of the gate attestation that the release names"),
    FrameColumn("run_id", "text", "", "run of the evidence; missing if the attestation does not verify"),
    FrameColumn("verdict", "text", "", "the gate's verdict in that attestation"),
    FrameColumn("dataset_name", "text", "", "dataset of that attestation"),
    FrameColumn("case_count", "integer", "cases", "cases of that attestation"),
    FrameColumn("problem", "text", "", "what does not verify behind the release; missing if everything does"),
)


def frame_of(rows: Sequence[Mapping[str, Any]], columns: Sequence[FrameColumn]) -> "pd.DataFrame":
    """Return ``rows`` as a frame with ``columns``, in their order and with their types.

    A family gets the columns that any row has, sorted by name. A value that a row lacks is missing.
    """
    import pandas as pd

    present = sorted({name for row in rows for name in row})
    series: dict[str, pd.Series[Any]] = {}
    for column in columns:
        names = [name for name in present if column.is_of(name)] if column.name.endswith("*") else [column.name]
        for name in names:
            values = [_typed(row.get(name), column.type) for row in rows]
            series[name] = pd.Series(values, dtype=_PANDAS[column.type])
    return pd.DataFrame(series)


def _typed(value: Any, kind: ColumnType) -> Any:
    if value is None:
        return None
    if kind == "text":
        return str(value).encode("utf-8", "replace").decode("utf-8")  # an unpaired surrogate fits into no column
    if kind == "time":
        return datetime.fromisoformat(value)
    return float(value) if kind == "number" else value
