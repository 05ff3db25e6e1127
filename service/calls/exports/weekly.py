"""A tenant's weekly export: which criteria failed how often, every verdict, and every call with its score and sentiment.

As CSV and Parquet. It holds no words of a call.
"""

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from service.calls.keys import export_key, is_tenant
from service.calls.store.objects import TenantResults, WallBreached
from service.kit.frame.errors import ConfigurationError
from service.warehouse.port import Warehouse

if TYPE_CHECKING:
    import pyarrow as pa

_RANGE = """call_date >= CAST(:from_day || ' 00:00:00+00' AS timestamptz)
  AND call_date < DATEADD(day, 1, CAST(:to_day || ' 00:00:00+00' AS timestamptz))"""
# By table: the columns with their kinds, in the order of the file, and the query.
_COLUMNS: Mapping[str, Mapping[str, str]] = {
    "failures": {
        "form_id": "text", "criterion_id": "text", "question": "text", "agent_group": "text", "calls": "count",
        "failures": "count", "fail_rate": "share", "not_applicable": "count",
    },
    "verdicts": {
        "call_id": "text", "call_date": "moment", "agent": "text", "agent_group": "text", "form_id": "text",
        "form_version": "count", "criterion_id": "text", "question": "text", "weight": "share", "required": "flag",
        "model_verdict": "text",
        "human_verdict": "text", "standing_verdict": "text", "evidence": "text",
    },
    "calls": {
        "call_id": "text", "call_date": "moment", "agent": "text", "agent_group": "text", "form_id": "text",
        "form_version": "count", "passed": "flag", "percentage": "share", "insights_by": "text", "insights_sentiment": "text",
        "insights_balance": "share", "insights_failure": "text",
    },
}  # fmt: skip
_QUERIES: Mapping[str, str] = {
    "failures": f"""
SELECT form_id, criterion_id, MAX(question) AS question, COALESCE(queue, 'no group') AS agent_group,
  SUM(CASE WHEN standing_verdict IN ('yes', 'no') THEN 1 ELSE 0 END) AS calls,
  SUM(CASE WHEN standing_verdict = 'no' THEN 1 ELSE 0 END) AS failures,
  SUM(CASE WHEN standing_verdict = 'no' THEN 1 ELSE 0 END)::DOUBLE PRECISION
    / NULLIF(SUM(CASE WHEN standing_verdict IN ('yes', 'no') THEN 1 ELSE 0 END), 0) AS fail_rate,
  SUM(CASE WHEN standing_verdict = 'na' THEN 1 ELSE 0 END) AS not_applicable
FROM v_criteria WHERE tenant_id = :tenant AND {_RANGE}
GROUP BY form_id, criterion_id, agent_group
ORDER BY COALESCE(fail_rate, -1) DESC, calls DESC, form_id, criterion_id, agent_group""",  # noqa: S608 - the range is a constant of this module
    "verdicts": f"""
SELECT call_id, call_date, COALESCE(agent_id, 'no agent') AS agent, COALESCE(queue, 'no group') AS agent_group, form_id,
  form_version, criterion_id, question, weight::DOUBLE PRECISION AS weight, required, verdict AS model_verdict,
  human_verdict, standing_verdict, evidence
FROM v_criteria WHERE tenant_id = :tenant AND {_RANGE}
ORDER BY call_date, call_id, criterion_id""",  # noqa: S608
    "calls": f"""
SELECT call_id, call_date, COALESCE(agent_id, 'no agent') AS agent, COALESCE(queue, 'no group') AS agent_group, form_id,
  form_version, passed, percentage::DOUBLE PRECISION AS percentage, insights_by, insights_sentiment, insights_balance,
  insights_failure
FROM omni_calls WHERE tenant_id = :tenant AND {_RANGE}
ORDER BY call_date, call_id""",  # noqa: S608
}
# A spreadsheet takes a cell that begins so for a formula; names of agents and questions come from elsewhere.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportWeek:
    """An ISO week, Monday to Sunday in UTC."""

    year: int
    number: int

    @classmethod
    def parse(cls, text: str) -> "ExportWeek":
        """Return the week that ``text`` names, as in 2026-W47."""
        year, _, number = text.partition("-W")
        try:
            found = cls(year=int(year), number=int(number))
            found.monday()
        except ValueError:
            raise ConfigurationError(f"{text[:20]!r} is no week: write it as 2026-W47") from None
        return found

    @classmethod
    def before(cls, day: date) -> "ExportWeek":
        """Return the last whole week before ``day``."""
        calendar = (day - timedelta(days=7)).isocalendar()
        return cls(year=calendar.year, number=calendar.week)

    def monday(self) -> date:
        """Return the week's first day."""
        return date.fromisocalendar(self.year, self.number, 1)

    def __str__(self) -> str:
        return f"{self.year}-W{self.number:02d}"


def tenants_with_calls(warehouse: Warehouse) -> list[str]:
    """Return the tenants of the warehouse's calls."""
    found = warehouse.query("SELECT DISTINCT tenant_id FROM omni_calls ORDER BY tenant_id", {})
    return [str(name) for name in found["tenant_id"]]


def week_tables(warehouse: Warehouse, tenant: str, week: ExportWeek) -> dict[str, "pa.Table"]:
    """Return the tenant's tables of a week; each has their columns when nothing happened."""
    import pyarrow as pa

    if not is_tenant(tenant):
        raise WallBreached("an export needs a tenant")
    kinds = {
        "text": pa.string(), "count": pa.int64(), "share": pa.float64(), "flag": pa.bool_(),
        "moment": pa.timestamp("ms", tz="UTC"),
    }  # fmt: skip
    monday = week.monday()
    given = {
        "tenant": tenant,
        "from_day": monday.isoformat(),
        "to_day": (monday + timedelta(days=6)).isoformat(),
    }
    return {
        name: pa.Table.from_pylist(
            [
                {column: _plain(row[column], kind) for column, kind in _COLUMNS[name].items()}
                for row in warehouse.query(sql, given).to_dict("records")
            ],
            schema=pa.schema([(column, kinds[kind]) for column, kind in _COLUMNS[name].items()]),
        )
        for name, sql in _QUERIES.items()
    }


def files_of(tables: Mapping[str, "pa.Table"]) -> dict[str, bytes]:
    """Return each table as CSV and as Parquet, by file name."""
    files = {}
    for name, table in tables.items():
        files[f"{name}.csv"] = _csv(table)
        files[f"{name}.parquet"] = parquet_of(table)
    return files


def parquet_of(table: "pa.Table") -> bytes:
    """Return a table as one Parquet file."""
    import pyarrow.parquet as pq

    out = io.BytesIO()
    pq.write_table(table, out, compression="zstd")
    return out.getvalue()


def keep_export(results: TenantResults, week: ExportWeek, files: Mapping[str, bytes]) -> None:
    """Write the files under the tenant's own prefix, tag and key; a second run replaces them."""
    for name, body in files.items():
        kind = "text/csv; charset=utf-8" if name.endswith(".csv") else "application/vnd.apache.parquet"
        results.put_bytes(export_key(results.tenant, str(week), name), body, kind)


def _csv(table: "pa.Table") -> bytes:
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(table.column_names)
    writer.writerows([_cell(value) for value in row.values()] for row in table.to_pylist())
    return out.getvalue().encode()


def _plain(value: Any, kind: str) -> Any:
    if value is None or value != value:  # NaN and NaT are unequal to themselves
        return None
    return {"count": int, "share": float, "flag": bool, "text": str}.get(kind, lambda moment: moment.to_pydatetime())(
        value
    )


def _cell(value: Any) -> Any:
    if value is None:
        return ""
    if hasattr(value, "isoformat"):
        return value.isoformat()
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
