"""Records an evaluated pair in MLflow, and decides whether the recorded evidence allows a promotion."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eval.release.reference import ATTESTATION_FILE, BUNDLE_FILE, NO_BASELINE, Bundle
from eval.release.signing import sign_statement
from eval.spine.cases import Dataset, stratified
from eval.spine.results import CaseResult, Evaluation, PairResult, Verdict, behaviour_verdict
from eval.spine.suite import Suite
from eval.tracking import store
from eval.verdict.attest import attest, finite, write_statement_files
from figures.command_line import omni
from service.core.release.attestation import GateAttestation, read_attestation
from service.core.release.release import DIGEST_TAG, ENVIRONMENT_TAG, NAME_TAG
from service.core.release.statements import TrustedKeys, shown
from service.core.release.verification import CLOCK_SKEW
from service.core.release.worth import worth_problem
from service.kit.frame.errors import RegistryError
from service.kit.settings import Stage

if TYPE_CHECKING:
    from securesystemslib.signer import Signer

# The browser holds the tables of all compared runs: ten runs of this size are some 30 MB.
MOST_ROWS, LONGEST_TEXT = 1_000, 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class PairEvidence:
    """An evaluated pair's verified attestation from its MLflow run; None if it does not verify, ``problem`` then says why."""

    mlflow_run_id: str
    envelope: str
    attestation: GateAttestation | None
    problem: str = ""


def run_log(evaluation: Evaluation, pair: PairResult, dataset: Dataset, report: Path) -> store.RunLog:
    """Return the MLflow record of one pair: tags hold its digests, metrics hold value, low, high and n."""
    compared = compared_table(pair, dataset)
    return store.RunLog(
        run_name=f"{pair.pair_name} {evaluation.run_id}",
        tags={
            store.TAG_TASK: evaluation.task,
            store.TAG_EVALUATION: evaluation.run_id,
            store.TAG_VERDICT: pair.gate.verdict.value,
            store.TAG_DATASET: pair.gate.dataset_digest,
            store.TAG_DATASET_NAME: evaluation.dataset_name,
            store.TAG_SUITE: pair.gate.suite_digest,
            store.TAG_BASELINE: pair.gate.baseline_digest or NO_BASELINE,
            store.TAG_BEHAVIOUR: behaviour_verdict(pair.gate.checks),
            "omni.headline": pair.gate.headline,
            "omni.unseen": ", ".join(pair.gate.unseen) or "none",
            DIGEST_TAG: pair.pair_digest,
            NAME_TAG: pair.pair_name,
            ENVIRONMENT_TAG: evaluation.environment,
            "omni.answered_by": ", ".join(pair.answered_by) or "none",
            "omni.origins": ", ".join(pair.origins) or "none",
            "omni.code_version": evaluation.code_version,
        },
        params={
            "pair": pair.pair_name,
            "pair_version": pair.pair_version,
            "model": pair.model,
            "backup": pair.backup or "",
            **{f"part.{name}": models for name, models in pair.parts.items()},
            **{f"documents.{name}": digest for name, digest in pair.documents.items()},
            "dataset": f"{evaluation.dataset_name} ({evaluation.case_count})",
        },
        metrics=store.logged_metrics({"": pair.metrics, "backup/": pair.backup_metrics, "delta/": pair.deltas}),
        table=_rows(pair),
        files=[str(report), str(report.with_suffix(".json"))],
        dataset={"name": evaluation.dataset_name, "digest": evaluation.dataset_digest, "source": dataset.source},
        texts={} if compared is None else {store.COMPARED_FILE: compared},
    )


def _rows(pair: PairResult) -> list[dict[str, Any]]:
    scores = sorted({name for item in pair.cases for name in item.scores})
    return [
        {
            "case_id": item.case_id,
            "arm": item.arm,
            "repeat": item.repeat,
            "output": item.result.output or "",
            "failure": item.result.failure.value if item.result.failure else "",
            "failure_message": item.result.failure_message,
            "raw_text": item.result.raw_text,
            "answered_by": item.result.answered_by,
            "origin": " + ".join(item.result.origins),
            "live": item.live,
            **_model_figures(item),
            **_scores(item, scores),
            "findings": _findings(item),
        }
        for item in pair.cases
    ]


def _model_figures(item: CaseResult) -> dict[str, Any]:
    cost = item.result.cost
    return {"model_ms": round(item.result.model_ms, 3), "cost_usd": str(cost.metered_usd) if cost else ""}


def _scores(item: CaseResult, names: list[str]) -> dict[str, float | None]:
    return {name: finite(item.scores[name].value) if name in item.scores else None for name in names}


def _findings(item: CaseResult) -> str:
    return "; ".join(finding for score in item.scores.values() for finding in score.findings)


def compared_table(pair: PairResult, dataset: Dataset) -> str | None:
    """Return the table as MLflow's pages read it; None if the pair answered none of the dataset's cases.

    It has the primary model's first answer to each case, since the compare view shows one value per case and run, with the
    case's slices, scores, cost and findings. Of more than ``MOST_ROWS`` cases it has a stratified sample, the same one in every
    run; texts are cut at ``LONGEST_TEXT`` characters. It holds no inputs, and no texts beyond those of ``cases.json``.
    """
    shown = stratified(dataset, MOST_ROWS).cases
    first = {item.case_id: item for item in pair.cases if (item.arm, item.repeat) == ("primary", 0)}
    slices = sorted({name for case in shown for name in case.slices})
    scores = sorted({name for item in pair.cases for name in item.scores})
    rows = [
        {
            "case_id": case.id,
            **{name: str(case.slices.get(name, "")) for name in slices},  # the view's filter takes texts only
            **_answer(first[case.id], scores),
        }
        for case in shown
        if case.id in first
    ]
    return store.table_text(rows) if rows else None


def _answer(item: CaseResult, scores: list[str]) -> dict[str, Any]:
    result = item.result
    return {
        "output": _cut(result.output or ""),
        "failure": result.failure.value if result.failure else "",
        **_scores(item, scores),
        "findings": _cut(_findings(item)),
        "answered_by": result.answered_by,
        **_model_figures(item),
    }


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_TEXT else f"{text[: LONGEST_TEXT - 1]}…"


def attested_run_logs(
    evaluation: Evaluation,
    dataset: Dataset,
    suite: Suite,
    report: Path,
    signer: "Signer | None",
    *,
    now: datetime,
    days: int,
) -> Iterator[store.RunLog]:
    """Yield the MLflow record of each pair with its figures and, when there is a ``signer``, its signed attestation.

    Both are also written beside ``report``, as ``<pair>.figures.json`` and ``<pair>.attestation.json``, and together with the
    cases as ``<pair>.evidence.json``, for another stage. The attestation expires after ``days``.
    """
    for pair in evaluation.pairs:
        log = run_log(evaluation, pair, dataset, report)
        cases = store.table_text(log.table)
        attested = attest(
            evaluation,
            pair,
            gate_dataset=suite.gate_dataset,
            cases=cases,
            now=now,
            days=days,
            counterpart="" if suite.episode is None else suite.episode.digest,
            performance=suite.performance,
        )
        texts = {store.FIGURES_FILE: attested.figures}
        if signer is not None:
            texts[ATTESTATION_FILE] = sign_statement(signer, attested.attestation.statement())
            log = replace(log, tags=log.tags | {store.TAG_ATTESTATION: texts[ATTESTATION_FILE]})
        files = dict(texts)
        if ATTESTATION_FILE in texts:
            bundle = Bundle(attestation=texts[ATTESTATION_FILE], figures=attested.figures, cases=cases)
            files[BUNDLE_FILE] = bundle.text
        write_statement_files(report.parent, statement_stem(evaluation, pair), files)
        yield replace(log, texts=log.texts | texts)


def statement_stem(evaluation: Evaluation, pair: PairResult) -> str:
    """Return what the names of a pair's statement files begin with; production's say so beside a candidate of the same name."""
    namesakes = sum(other.pair_name == pair.pair_name for other in evaluation.pairs)
    return f"{pair.pair_name}.production" if pair.is_production and namesakes > 1 else pair.pair_name


def read_evidence(records: Sequence[store.LoggedRun], keys: TrustedKeys) -> list[PairEvidence]:
    """Return each record's verified attestation, or the problem with it."""
    return [_read(record, keys) for record in records]


def _read(record: store.LoggedRun, keys: TrustedKeys) -> PairEvidence:
    attestation, problem, name = None, "", shown(record.evaluation_id, 40)
    if record.attestation is None:
        problem = f"evaluation {name} has no attestation, because no signing key was set"
    else:
        try:
            attestation, _ = read_attestation(record.attestation, keys, f"the attestation of evaluation {name}")
        except RegistryError as err:
            problem = str(err)
    return PairEvidence(
        mlflow_run_id=record.mlflow_run_id,
        envelope=record.attestation or "",
        attestation=attestation,
        problem=problem,
    )


def refusals(
    candidates: list[PairEvidence],
    *,
    task_name: str,
    pair_name: str,
    pair_digest: str,
    dataset_digest: str,
    dataset_name: str,
    suite_digest: str,
    production_digest: str | None,
    environment: str,
    stage: Stage,
    now: datetime,
    behaviour_required: bool = False,
) -> tuple[PairEvidence | None, list[str]]:
    """Find the evaluation that allows this promotion among ``candidates`` (of the pair's name, newest first).

    Among evaluations of exactly this pair, dataset, suite and production that count in ``stage`` the newest by its signed time
    decides, so a later verdict overrides an earlier pass.

    Returns:
        The evidence and no reasons, or None and the reasons, each saying which digest differs and what to do.
    """
    again = omni("eval", "--pairs", pair_name, task=task_name)
    if not candidates:
        return None, [f"pair {pair_name!r} was never evaluated: run `{again}`"]
    wanted = {
        "pair_digest": ("the pair's file", pair_digest),
        "dataset_digest": (f"dataset {dataset_name!r}", dataset_digest),
        "suite_digest": ("the suite", suite_digest),
        "baseline_digest": ("the production pair", production_digest or NO_BASELINE),
    }
    apart = [_differences(evidence, wanted, stage) for evidence in candidates]
    of_this = [
        (evidence.attestation, evidence)
        for evidence, reasons in zip(candidates, apart, strict=True)
        if evidence.attestation is not None and not reasons
    ]
    if of_this:
        # An attestation dated in the future (wrong clock) counts only if there is no other.
        past = [item for item in of_this if item[0].issued_at <= now + CLOCK_SKEW]
        attestation, evidence = max(past or of_this, key=lambda item: item[0].issued_at)
        best = _unfit(attestation, now)
        if not best and behaviour_required and attestation.behaviour != "pass":
            best = [
                f"the suite requires behaviour evidence in {environment!r}, but this evaluation's is {attestation.behaviour!r}: "
                f"run `{omni('gate', pair_name, task=task_name)}`"
            ]
        if not best:
            return evidence, []
    else:
        best = min(apart, key=len)
    return None, [*best, f"run `{again}` to evaluate its present state"]


def _differences(evidence: PairEvidence, wanted: Mapping[str, tuple[str, str]], stage: Stage) -> list[str]:
    """Return why ``evidence`` is not about what is ``wanted`` (by field: its name in words and its value) or counts not here."""
    attestation = evidence.attestation
    if attestation is None:
        return [evidence.problem]
    then = {field: getattr(attestation, field) or NO_BASELINE for field in wanted}
    worthless = worth_problem(attestation, stage)
    return [
        *([f"evaluation {attestation.evaluation_id} does not count here: {worthless}"] if worthless else []),
        *(
            f"{what} differs from the evaluated one (now {today[:12]}, evaluated {then[field][:12]})"
            for field, (what, today) in wanted.items()
            if then[field] != today
        ),
    ]


def _unfit(attestation: GateAttestation, now: datetime) -> list[str]:
    issued, expires = (at.isoformat(timespec="seconds") for at in (attestation.issued_at, attestation.expires_at))
    if attestation.verdict != Verdict.PASS.value:
        return [
            f"the gate's verdict of {issued} is {attestation.verdict!r}; only a pass may be promoted "
            f"(report of run {attestation.evaluation_id})"
        ]
    if attestation.scope != "gate":
        return [f"evaluation {attestation.evaluation_id} did not use the suite's whole gate set"]
    if attestation.issued_at > now + CLOCK_SKEW:
        return [
            f"the attestation of {issued} is dated in the future: this machine's clock ({now.isoformat(timespec='seconds')}) "
            "is behind, or the evaluating machine's was ahead; set the clock"
        ]
    if now > attestation.expires_at:
        return [f"the attestation of {issued} expired on {expires}"]
    return []
