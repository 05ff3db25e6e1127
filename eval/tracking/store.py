"""The harness's MLflow store: its set-up, evaluation runs as evidence, prompt versions, the alias and its releases."""

import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from eval.tracking.lock import file_lock, name_lock
from figures.command_line import omni
from figures.metric import Lead, Metric
from service.core.release.registry_record import from_registry, to_registry
from service.core.release.registry_store import all_versions
from service.core.release.release import ALIAS, DIGEST_TAG, NAME_TAG, RELEASE_TAG_PREFIX, Release, read_release
from service.core.release.statements import TrustedKeys, load_trusted_keys
from service.core.release.verification import newest_sequence, verify_tags
from service.core.unit.pair import Pair
from service.kit.frame.canonical import canonical_json
from service.kit.frame.errors import ConfigurationError, RegistryError

# One run per evaluated pair; names are listed in mlflow/naming.md.
TAG_TASK, TAG_VERDICT, TAG_DATASET = "omni.task", "omni.verdict", "omni.dataset_digest"
TAG_SUITE, TAG_BASELINE, TAG_EVALUATION = "omni.suite_digest", "omni.baseline_digest", "omni.evaluation_id"
TAG_DATASET_NAME, TAG_ATTESTATION = "omni.dataset_name", "omni.attestation"
FIGURES_FILE = "figures.json"
CASES_FILE, COMPARED_FILE = "cases.json", "eval_results_table.json"
TAG_BEHAVIOUR = "omni.behaviour"  # verdict of the behaviour checks in this gate, or "not measured"


@dataclass(frozen=True, slots=True, kw_only=True)
class Production:
    """The verified pair that the alias points at, its registry version and its release.

    ``leads`` are those of the best releases of the last year over it, by metric, where somebody asked for them.
    """

    pair: Pair
    release: Release
    leads: Mapping[str, Lead] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedRun:
    """One finished evaluation of a pair as stored in MLflow; only what ``attestation`` covers is verified."""

    mlflow_run_id: str
    evaluation_id: str
    verdict: str
    attestation: str | None
    at: str
    pair_digest: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunLog:
    """The contents of one MLflow run: ``table`` has one row per case, ``files`` and ``texts`` (by name) are artifacts."""

    run_name: str
    tags: dict[str, str]
    params: dict[str, str]
    metrics: dict[str, float]
    table: list[dict[str, Any]]
    files: list[str]
    dataset: dict[str, str]
    texts: dict[str, str] = field(default_factory=dict)


def table_text(table: list[dict[str, Any]]) -> str:
    """Return the per-case table in the form that MLflow's pages show, as canonical JSON.

    Not ``mlflow.log_table``: it goes through pandas, which rounds to 10 digits, and the attestation fixes every byte.
    """
    return canonical_json({"columns": list(table[0]), "data": [list(row.values()) for row in table]})


def logged_metrics(groups: Mapping[str, Mapping[str, Metric]]) -> dict[str, float]:
    """Return the figures that have an interval as MLflow's metrics; ``groups`` by the prefix of their names."""
    found: dict[str, float] = {}
    for prefix, group in groups.items():
        for name, metric in group.items():
            if metric.value is not None and metric.low is not None and metric.high is not None:
                values = {"": metric.value, "_low": metric.low, "_high": metric.high, "_n": float(metric.n)}
                found |= {f"{prefix}{name}{suffix}": value for suffix, value in values.items()}
    return found


class Tracking:
    """An open MLflow store; every method translates mlflow's errors into ``RegistryError``."""

    def __init__(self, uri: str, *, trusted_keys: Path | None = None, artifacts: Path | None = None) -> None:
        """Import mlflow (1 to 3 s), and create the store under a lock when it does not exist yet.

        ``trusted_keys`` is a file of public keys, needed as soon as something was released; ``artifacts`` a folder for run
        artifacts of a sqlite store, beside the database by default.
        """
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
        import mlflow

        if not hasattr(mlflow, "__version__"):  # a namespace package: our folder mlflow/ was found, not the library
            raise RegistryError(
                "the library mlflow is not installed (only the folder mlflow/ was found): run `make setup`"
            )
        self._mlflow: Any = mlflow
        self._trusted_keys = trusted_keys
        self._path = Path(unquote(uri.removeprefix("sqlite:///"))) if uri.startswith("sqlite:///") else None
        self._artifacts = artifacts or (self._path.parent / "artifacts" if self._path else None)
        with self._translated(f"open the MLflow store {uri}"):
            if self._path is not None:
                self._path.parent.mkdir(parents=True, exist_ok=True)
            # A fresh sqlite file is migrated on first use; two processes doing that at once break each other.
            with self._lock("init"):
                self._create_store()
                mlflow.set_tracking_uri(uri)
                mlflow.set_registry_uri(uri)
                self._client: Any = mlflow.MlflowClient()
                self._client.search_experiments(max_results=1)

    def _create_store(self) -> None:
        """Create a sqlite store atomically, because a store with an interrupted migration cannot be opened again."""
        if self._path is None or self._path.exists():
            return
        unfinished = self._path.with_name(f".{self._path.name}.new")
        unfinished.unlink(missing_ok=True)
        uri = f"sqlite:///{unfinished}"
        self._mlflow.MlflowClient(tracking_uri=uri, registry_uri=uri).search_experiments(max_results=1)
        unfinished.replace(self._path)

    @contextmanager
    def _lock(self, name: str) -> Iterator[None]:
        with nullcontext() if self._path is None else file_lock(self._path.parent / f".{name}.lock"):
            yield

    @contextmanager
    def release_lock(self, task: str) -> Iterator[None]:
        """Hold the right to release ``task`` alone; refused while somebody else holds a remote store's lock."""
        with self._lock("release") if self._path is not None else self._name_lock(f"omni-release-lock.{task}"):
            yield

    @contextmanager
    def _name_lock(self, name: str) -> Iterator[None]:
        with ExitStack() as stack:
            with self._translated("take the release lock"):
                stack.enter_context(name_lock(self._client, name))
            yield

    @property
    def keys(self) -> TrustedKeys:
        """The keys whose signatures are trusted; without any that can be read a RegistryError is raised."""
        if self._trusted_keys is None:
            raise RegistryError("no trusted keys were given: releases cannot be verified")
        try:
            return load_trusted_keys(self._trusted_keys)
        except ConfigurationError as err:
            raise RegistryError(str(err)) from err

    @contextmanager
    def _translated(self, doing: str) -> Iterator[None]:
        try:
            yield
        except RegistryError:
            raise
        except Exception as err:  # mlflow lets sqlalchemy's, alembic's and requests' errors through unwrapped
            text = str(err)
            if "locked" in text:
                hint = f"another process holds it; close that (see `{omni('ui')}`) and run again"
            elif "not a database" in text or "malformed" in text:
                hint = f"the file is damaged: move it away, then run `{omni('eval')}` to start a new store"
            else:
                first_line = text.splitlines()[0][:160] if text else ""
                hint = f"check the address and that the file can be written ({type(err).__name__}: {first_line})"
            raise RegistryError(f"could not {doing}: {hint}") from err

    def _experiment(self, task: str) -> str:
        name = f"omni/{task}"
        found = self._client.get_experiment_by_name(name)
        if found is not None:
            return str(found.experiment_id)
        location = f"{self._artifacts.as_uri()}/{task}" if self._artifacts is not None else None
        with self._lock("init"):
            found = self._client.get_experiment_by_name(name)
            return str(
                found.experiment_id if found else self._client.create_experiment(name, artifact_location=location)
            )

    def log_run(self, task: str, log: RunLog) -> str:
        """Record one evaluated pair and return its MLflow run id; a run that cannot be finished is marked FAILED."""
        from mlflow.entities import Dataset, DatasetInput, Metric, Param

        mlflow = self._mlflow
        # MLflow's compare view shows the first one at once.
        tables = [*({COMPARED_FILE} & log.texts.keys()), CASES_FILE]
        with self._translated("record the evaluation in MLflow"):
            with mlflow.start_run(
                experiment_id=self._experiment(task),
                run_name=log.run_name,
                tags={
                    **{name: value for name, value in log.tags.items() if name != TAG_VERDICT},
                    "mlflow.loggedArtifacts": json.dumps([{"path": name, "type": "table"} for name in tables]),
                },
            ) as run:
                at = int(time.time() * 1000)
                # In one transaction: each costs a sqlite file a wait for the disk.
                self._client.log_batch(
                    run.info.run_id,
                    params=[Param(name, value) for name, value in log.params.items()],
                    metrics=[Metric(name, value, at, 0) for name, value in log.metrics.items()],
                )
                for name, text in {CASES_FILE: table_text(log.table), **log.texts}.items():
                    mlflow.log_text(text, name)
                for path in log.files:
                    mlflow.log_artifact(path)
                dataset = Dataset(
                    name=log.dataset["name"],
                    digest=log.dataset["digest"][:36],  # MLflow's column holds no more; the whole digest is a tag
                    source_type="local",
                    source=log.dataset["source"],
                )
                self._client.log_inputs(run.info.run_id, datasets=[DatasetInput(dataset)])
                # Written last, so that an interrupted run can never count as evidence.
                mlflow.set_tag(TAG_VERDICT, log.tags[TAG_VERDICT])
            return str(run.info.run_id)

    def production(self, task: str) -> Production | None:
        """Return the verified production pair, or None if no release verifies.

        Raises:
            RegistryError: something was released, and the alias points at something that does not verify.
        """
        version = self._alias_version(task)
        if version is None:
            return None
        keys, tags = self.keys, dict(version.tags)
        try:
            pair = from_registry(
                version.template, version.model_config, tags, f"version {version.version} of prompt {task!r}"
            )
            number = int(version.version)
            released = verify_tags(
                tags, task=task, version=number, pair_digest=pair.digest, environment=None, keys=keys, policy=None
            )
        except RegistryError:
            # An alias set by hand, a store from before releases were signed, or a lost signing key: there is no verified
            # baseline, so the first signed release is made without one.
            if newest_sequence(task, [tags for _, tags in self.version_tags(task)], keys) == 0:
                return None
            raise
        return Production(pair=pair, release=released.release)

    def alias_target(self, task: str, alias: str = ALIAS) -> int | None:
        """Return the registry version that the alias points at, verified or not."""
        version = self._alias_version(task, alias)
        return None if version is None else int(version.version)

    def _alias_version(self, task: str, alias: str = ALIAS) -> Any | None:
        from mlflow.exceptions import MlflowException

        with self._translated("read the alias"):
            try:
                return self._client.get_prompt_version_by_alias(task, alias)
            except MlflowException as err:
                if err.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                    return None
                raise

    def records(self, task: str, pair_name: str) -> list[LoggedRun]:
        """Return the finished evaluations of a pair, newest first."""
        with self._translated("search the evaluations"):
            experiment = self._client.get_experiment_by_name(f"omni/{task}")
            if experiment is None:
                return []
            runs = self._client.search_runs(
                [experiment.experiment_id],
                f"attributes.status = 'FINISHED' and tags.`{NAME_TAG}` = '{pair_name}'",
                order_by=["attributes.start_time DESC"],
            )
        return [_record(run) for run in runs if TAG_VERDICT in run.data.tags]

    def run_attestation(self, run_id: str) -> str | None:
        """Return the attestation envelope of an MLflow run, or None when the run or its tag is gone."""
        from mlflow.exceptions import MlflowException

        with self._translated(f"read run {run_id}"):
            try:
                return dict(self._client.get_run(run_id).data.tags).get(TAG_ATTESTATION)
            except MlflowException as err:
                if err.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                    return None
                raise

    def artifact(self, run_id: str, name: str) -> str | None:
        """Return the text of a run's artifact, or None when it is gone."""
        try:
            return str(self._mlflow.artifacts.load_text(f"runs:/{run_id}/{name}"))
        except Exception:  # whatever the artifact store raises: the caller reports what is gone, and how to repair it
            return None

    def register(self, pair: Pair) -> int:
        """Write ``pair`` as one prompt version, read it back, compare the digest, and return the version number.

        A version with this digest that is there already, and still verifies with its releases, is returned instead of a second.
        """
        for version in self._versions(pair.task):
            if dict(version.tags).get(DIGEST_TAG) == pair.digest and self._verifies(pair.task, version):
                return int(version.version)
        template, config = to_registry(pair)
        with self._translated("register the pair"):
            written = self._mlflow.genai.register_prompt(
                name=pair.task,
                template=template,
                commit_message=f"{pair.name} {pair.version}: {pair.description}"[:500],
                model_config=config,
            )
            # Version tags one by one: register_prompt(tags=...) would overwrite tags of the whole prompt.
            for key, value in {DIGEST_TAG: pair.digest, NAME_TAG: pair.name}.items():
                self._client.set_prompt_version_tag(pair.task, written.version, key, value)
            read_back = self._client.get_prompt_version(pair.task, written.version)
        from_registry(
            read_back.template, read_back.model_config, dict(read_back.tags), f"version {written.version} just written"
        )
        return int(written.version)

    def _verifies(self, task: str, version: Any) -> bool:
        tags = dict(version.tags)
        releases = {name: text for name, text in tags.items() if name.startswith(RELEASE_TAG_PREFIX)}
        keys = (
            self.keys if releases else None
        )  # outside: keys that cannot be read are an error, no reason for a new version
        try:
            from_registry(version.template, version.model_config, tags, f"version {version.version} of {task}")
            if keys is not None and any(
                read_release(text, keys, name)[0].tag != name for name, text in releases.items()
            ):
                return False
        except RegistryError:
            return False
        return True

    def _versions(self, task: str) -> list[Any]:
        from mlflow.exceptions import MlflowException

        with self._translated("list the versions"):
            try:
                found = all_versions(self._client, task)
            except MlflowException as err:
                if err.error_code == "RESOURCE_DOES_NOT_EXIST":
                    return []
                raise
            return [self._client.get_prompt_version(task, version.version) for version in found]

    def version_tags(self, task: str) -> list[tuple[int, dict[str, str]]]:
        """Return the tags of every registry version of ``task``, by version number."""
        return [(int(version.version), dict(version.tags)) for version in self._versions(task)]

    def place(self, task: str, version: int, tags: Mapping[str, str], alias: str = ALIAS) -> None:
        """Write ``tags`` on a version in their order, then point ``alias`` at it.

        Raises:
            RegistryError: the store failed; what was written until then changes nothing that is served.
        """
        with self._translated("move the alias"):
            for name, value in tags.items():
                self._client.set_prompt_version_tag(task, version, name, value)
            self._mlflow.genai.set_prompt_alias(task, alias=alias, version=version)

    def pair_of(self, task: str, version: int) -> Pair:
        """Return the verified pair of a registry version.

        Raises:
            RegistryError: it does not exist or was changed.
        """
        with self._translated(f"read version {version}"):
            found = self._client.get_prompt_version(task, version)
        return from_registry(
            found.template, found.model_config, dict(found.tags), f"version {version} of prompt {task!r}"
        )


def _record(run: Any) -> LoggedRun:
    tags = run.data.tags
    return LoggedRun(
        mlflow_run_id=run.info.run_id,
        evaluation_id=tags.get(TAG_EVALUATION, ""),
        verdict=tags.get(TAG_VERDICT, ""),
        attestation=tags.get(TAG_ATTESTATION),
        at=datetime.fromtimestamp(run.info.start_time / 1000, UTC).isoformat(timespec="seconds"),
        pair_digest=tags.get(DIGEST_TAG, ""),
    )
