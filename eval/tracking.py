"""The other door to mlflow: the store's set-up, evaluation runs as evidence, prompt versions, the alias and its releases."""

import fcntl
import getpass
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote

from service.errors import RegistryError
from service.pair import Pair
from service.registry_record import from_registry, to_registry
from service.release import ALIAS, DIGEST_TAG, ENVIRONMENT_TAG, NAME_TAG, Release, newest_release

# One run per evaluated pair; names are listed in mlflow/naming.md.
TAG_TASK, TAG_VERDICT, TAG_DATASET = "omni.task", "omni.verdict", "omni.dataset_digest"
TAG_SUITE, TAG_BASELINE, TAG_EVALUATION = "omni.suite_digest", "omni.baseline_digest", "omni.evaluation_id"
TAG_DATASET_NAME = "omni.dataset_name"
TAG_BEHAVIOUR = "omni.behaviour"  # verdict of the behaviour checks in this gate, or "not measured"


@dataclass(frozen=True, slots=True, kw_only=True)
class Production:
    """What the alias points at: the verified pair, its version and the release that put it there."""

    pair: Pair
    release: Release


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """One evaluated pair as its MLflow run's tags tell it."""

    mlflow_run_id: str
    evaluation_id: str
    pair_name: str
    pair_digest: str
    dataset_name: str
    dataset_digest: str
    suite_digest: str
    baseline_digest: str
    verdict: str
    environment: str
    at: str
    behaviour: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunLog:
    """What one MLflow run records: ``table`` is one row per case, ``files`` are logged as artifacts."""

    run_name: str
    tags: dict[str, str]
    params: dict[str, str]
    metrics: dict[str, float]
    table: list[dict[str, Any]]
    files: list[str]
    dataset: dict[str, str]


class Tracking:
    """An open MLflow store; every method translates mlflow's errors into ``RegistryError``."""

    def __init__(self, uri: str, *, artifacts: Path | None = None) -> None:
        """Import mlflow (1 to 3 s), and create the store under a lock when it does not exist yet.

        Args:
            uri: sqlite or http(s) address of the store.
            artifacts: folder for run artifacts of a sqlite store; beside the database by default.

        Raises:
            RegistryError: the store cannot be opened; the message says why and what to do.
        """
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
        import mlflow

        if not hasattr(mlflow, "__version__"):  # a namespace package: our folder mlflow/ was found, not the library
            raise RegistryError(
                "the library mlflow is not installed (only the folder mlflow/ was found): run `make setup`"
            )
        self._mlflow: Any = mlflow
        self._uri = uri
        self._path = Path(unquote(uri.removeprefix("sqlite:///"))) if uri.startswith("sqlite:///") else None
        self._artifacts = artifacts or (self._path.parent / "artifacts" if self._path else None)
        with self._translated(f"open the MLflow store {uri}"):
            if self._path is not None:
                self._path.parent.mkdir(parents=True, exist_ok=True)
            # A fresh sqlite file is migrated on first use; two processes doing that at once break each other.
            with self._lock("init"):
                mlflow.set_tracking_uri(uri)
                mlflow.set_registry_uri(uri)
                self._client: Any = mlflow.MlflowClient()
                self._client.search_experiments(max_results=1)

    @contextmanager
    def _lock(self, name: str) -> Iterator[None]:
        if self._path is None:
            yield
            return
        with (self._path.parent / f".{name}.lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    @contextmanager
    def _translated(self, doing: str) -> Iterator[None]:
        try:
            yield
        except RegistryError:
            raise
        except Exception as err:  # mlflow lets sqlalchemy's, alembic's and requests' errors through unwrapped
            text = str(err)
            if "locked" in text:
                hint = "another process holds it; close that (see `make ui`) and run again"
            elif "not a database" in text or "malformed" in text:
                hint = "the file is damaged: move it away, then run `make eval` to start a new store"
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
        """Record one evaluated pair and return its MLflow run id; a run that cannot be finished is marked FAILED.

        Raises:
            RegistryError: the store did not take it; there is then no evidence and no promotion.
        """
        from mlflow.entities import Dataset, DatasetInput

        mlflow = self._mlflow
        with self._translated("record the evaluation in MLflow"):
            with mlflow.start_run(
                experiment_id=self._experiment(task),
                run_name=log.run_name,
                tags={k: v for k, v in log.tags.items() if k != TAG_VERDICT},
            ) as run:
                mlflow.log_params(log.params)
                mlflow.log_metrics(log.metrics)
                mlflow.log_table({name: [row[name] for row in log.table] for name in log.table[0]}, "cases.json")
                for path in log.files:
                    mlflow.log_artifact(path)
                dataset = Dataset(
                    name=log.dataset["name"],
                    digest=log.dataset["digest"][:36],  # MLflow's column holds no more; the whole digest is a tag
                    source_type="local",
                    source=log.dataset["source"],
                )
                self._client.log_inputs(run.info.run_id, datasets=[DatasetInput(dataset)])
                # Last, so that a run that broke off half-way can never be read as evidence.
                mlflow.set_tag(TAG_VERDICT, log.tags[TAG_VERDICT])
            return str(run.info.run_id)

    def production(self, task: str) -> Production | None:
        """Return the verified production pair, or None when the alias is not set.

        Raises:
            RegistryError: the alias points at something that does not verify.
        """
        version = self._alias_version(task)
        if version is None:
            return None
        tags = dict(version.tags)
        where = f"version {version.version} of prompt {task!r}"
        pair = from_registry(version.template, version.model_config, tags, where)
        release = newest_release(tags)
        if release is None:
            raise RegistryError(
                f"{where} is in production without a release: the alias was moved by hand; use `make rollback`"
            )
        return Production(pair=pair, release=release)

    def _alias_version(self, task: str) -> Any | None:
        from mlflow.exceptions import MlflowException

        with self._translated("read the alias"):
            try:
                return self._client.get_prompt_version_by_alias(task, ALIAS)
            except MlflowException as err:
                if err.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                    return None
                raise

    def evidence(self, task: str, *, pair_name: str | None = None, pair_digest: str | None = None) -> list[Evidence]:
        """Return finished evaluations of ``task``, newest first."""
        with self._translated("search the evaluations"):
            experiment = self._client.get_experiment_by_name(f"omni/{task}")
            if experiment is None:
                return []
            clauses = ["attributes.status = 'FINISHED'"]
            if pair_name is not None:
                clauses.append(f"tags.`{NAME_TAG}` = '{pair_name}'")
            if pair_digest is not None:
                clauses.append(f"tags.`{DIGEST_TAG}` = '{pair_digest}'")
            runs = self._client.search_runs(
                [experiment.experiment_id], " and ".join(clauses), order_by=["attributes.start_time DESC"]
            )
        return [_evidence(run) for run in runs if TAG_VERDICT in run.data.tags]

    def register(self, pair: Pair) -> int:
        """Write ``pair`` as one prompt version, read it back, compare the digest, and return the version number.

        A version with this digest that is there already, and still verifies, is returned instead of a second one.

        Raises:
            RegistryError: the store did not take it, or gave back something else.
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
        try:
            from_registry(
                version.template, version.model_config, dict(version.tags), f"version {version.version} of {task}"
            )
        except RegistryError:
            return False
        return True

    def _versions(self, task: str) -> list[Any]:
        from mlflow.exceptions import MlflowException

        with self._translated("list the versions"):
            try:
                found = list(self._client.search_prompt_versions(task))
            except MlflowException as err:
                if err.error_code == "RESOURCE_DOES_NOT_EXIST":
                    return []
                raise
            return [self._client.get_prompt_version(task, version.version) for version in found]

    def releases(self, task: str) -> list[Release]:
        """Return every release of ``task``, newest first."""
        tags = [value for version in self._versions(task) for value in _release_tags(version.tags)]
        return sorted((Release.from_json(text) for text in tags), key=lambda release: -release.sequence)

    def release(
        self,
        pair: Pair,
        version: int,
        *,
        kind: Literal["promote", "rollback", "restore"],
        gate_run_id: str,
        why: str,
        environment: Literal["local", "aws"],
        expected_from: str | None,
    ) -> Release:
        """Move the alias to ``version`` under a lock and return the release.

        Args:
            pair: content of the version, verified by the caller.
            version: registry version to point at.
            kind: promote, rollback, or restore (the same pair again, after its version was changed in the registry).
            gate_run_id: MLflow run that holds the evidence.
            why: the releaser's reason.
            environment: where the evidence was made.
            expected_from: digest in production when the caller decided; None for nothing.

        Raises:
            RegistryError: somebody else moved the alias in between, or the store failed.
        """
        with self._lock("release"):
            current = self._alias_version(pair.task)
            current_digest = dict(current.tags).get(DIGEST_TAG) if current is not None else None
            if kind == "promote" and current_digest != expected_from:
                raise RegistryError("production moved while this promotion was being decided; run `make eval` again")
            history = self.releases(pair.task)
            release = Release(
                task=pair.task,
                sequence=history[0].sequence + 1 if history else 1,
                kind=kind,
                registry_version=version,
                pair_name=pair.name,
                pair_digest=pair.digest,
                from_digest=current_digest,
                gate_run_id=gate_run_id,
                who=getpass.getuser(),
                why=why,
                at=datetime.now(UTC).isoformat(timespec="seconds"),
                environment=environment,
            )
            with self._translated("move the alias"):
                self._client.set_prompt_version_tag(pair.task, version, release.tag, release.to_json())
                self._mlflow.genai.set_prompt_alias(pair.task, alias=ALIAS, version=version)
            return release

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


def _release_tags(tags: Mapping[str, str]) -> list[str]:
    from service.release import RELEASE_TAG_PREFIX

    return [value for name, value in tags.items() if name.startswith(RELEASE_TAG_PREFIX)]


def _evidence(run: Any) -> Evidence:
    tags = run.data.tags
    return Evidence(
        mlflow_run_id=run.info.run_id,
        evaluation_id=tags.get(TAG_EVALUATION, ""),
        pair_name=tags.get(NAME_TAG, ""),
        pair_digest=tags.get(DIGEST_TAG, ""),
        dataset_name=tags.get(TAG_DATASET_NAME, ""),
        dataset_digest=tags.get(TAG_DATASET, ""),
        suite_digest=tags.get(TAG_SUITE, ""),
        baseline_digest=tags.get(TAG_BASELINE, ""),
        verdict=tags.get(TAG_VERDICT, ""),
        environment=tags.get(ENVIRONMENT_TAG, ""),
        at=datetime.fromtimestamp(run.info.start_time / 1000, UTC).isoformat(timespec="seconds"),
        behaviour=tags.get(TAG_BEHAVIOUR, ""),
    )


def production_to_json(production: Production | None) -> dict[str, Any] | None:
    """Return ``production`` as plain JSON types, for the tracking worker's pipe."""
    return None if production is None else {"pair": production.pair.content(), "release": asdict(production.release)}
