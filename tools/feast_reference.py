"""Compares features that ``omni bench features --keep FOLDER`` wrote with Feast's point-in-time join of the same histories.

Runs in an environment of its own, see ``tools/test_feast.sh``. Exit code 1: a value differs.
"""

import sys
import tempfile
from datetime import timedelta
from pathlib import Path

import pandas as pd
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig, ValueType
from feast.types import Bool, Float64, Int64, String

TYPES = {"int64": Int64, "Int64": Int64, "float64": Float64, "boolean": Bool, "bool": Bool}
KEYS = ("tenant", "customer", "moment", "who")


def main(folder: Path) -> int:
    """Print the comparison; return 1 if a value differs, else 0."""
    cases = pd.read_parquet(folder / "cases.parquet")
    known = pd.read_parquet(folder / "known.parquet")
    # Feast joins on one text per customer.
    entity = Entity(name="customer", join_keys=["who"], value_type=ValueType.STRING)
    with tempfile.TemporaryDirectory() as work:
        store = _store(work)
        files = [path for path in sorted(folder.glob("*.parquet")) if path.stem not in ("cases", "known")]
        views = [_view(path, Path(work), entity) for path in files]
        store.apply([entity, *views])
        differ = sum(_differing(store, view, cases, known) for view in views)
    print(f"{len(cases)} cases, {differ} values differ from Feast's")
    return 1 if differ else 0


def _store(work: str) -> FeatureStore:
    return FeatureStore(
        config=RepoConfig(
            project="reference",
            registry=f"{work}/registry.db",
            provider="local",
            offline_store={"type": "dask"},
            online_store={"type": "sqlite", "path": f"{work}/online.db"},
            entity_key_serialization_version=3,
        )
    )


def _view(path: Path, work: Path, entity: Entity) -> FeatureView:
    rows = pd.read_parquet(path)
    rows["who"] = rows["tenant"] + "/" + rows["customer"]
    names = [name for name in rows.columns if name not in KEYS]
    rows[["who", "moment", *names]].to_parquet(work / path.name)
    fields = [Field(name=name, dtype=TYPES.get(str(rows[name].dtype), String)) for name in names]
    source = FileSource(path=str(work / path.name), timestamp_field="moment")
    return FeatureView(name=path.stem, entities=[entity], ttl=timedelta(0), schema=fields, source=source)


def _differing(store: FeatureStore, view: FeatureView, cases: pd.DataFrame, known: pd.DataFrame) -> int:
    """Return how many values of a view differ.

    Feast's file store leaves out cases of customers of whom nothing was known by then; nothing of ours may be there either.
    """
    asked = pd.DataFrame({"who": cases["tenant"] + "/" + cases["customer"], "event_timestamp": cases["as_of"]})
    asked["number"] = range(len(asked))
    names = [field.name for field in view.features]
    found = store.get_historical_features(entity_df=asked, features=[f"{view.name}:{name}" for name in names]).to_df()
    if not found["number"].is_unique:
        raise SystemExit(f"{view.name}: Feast returned a case twice")
    theirs = found.set_index("number").reindex(range(len(cases)))
    total = 0
    for name in names:
        pairs = zip(known[name].astype(object), theirs[name].astype(object), strict=True)
        wrong = sum(not ((pd.isna(ours) and pd.isna(other)) or ours == other) for ours, other in pairs)
        print(f"{view.name}: {name} is known in {known[name].notna().sum()} cases; {wrong} differ from Feast")
        total += wrong
    return total


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
