"""Exports the dashboards to QuickSight, as requests for CreateDataSet, CreateAnalysis and CreateDashboard.

Each visual's SQL becomes a data set with direct queries and its parameters. Controls on the sheet set them for all data sets. The
SQL aggregates, so figures, intervals and limits are the same as on the service's page.

Data sets of tenants' calls have row-level security: QuickSight shows a reader the rows of the reader's tenants, and nothing to
whoever is no reader. A parameter would be no wall, since every reader can set it.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from service.dashboards.definitions import (
    ALL_PAIRS,
    DEFAULT_TASK,
    EVERY,
    TENANT_COLUMN,
    Dashboard,
    Measure,
    MeasureUnit,
    Visual,
)
from service.dashboards.readers import CallReader

QuickSightShape = dict[str, Any]

# Name in the SQL, name in QuickSight (letters and digits only), the control's title, default.
_PARAMETERS = (
    ("task", "Task", "Task", DEFAULT_TASK),
    ("from_day", "FromDay", "From (UTC, YYYY-MM-DD)", "2026-01-01"),
    ("to_day", "ToDay", "To (UTC, YYYY-MM-DD)", "2099-12-31"),
    ("pair", "Pair", f"Pair ({ALL_PAIRS} is all)", ALL_PAIRS),
    ("form", "Form", f"Form ({EVERY} is all)", EVERY),
    ("agent_group", "AgentGroup", f"Agent group ({EVERY} is all)", EVERY),
)
_READERS = "omni-call-readers"
_DAYS = ("day", "week")
_COLUMNS, _VISUAL_ROWS = 36, 10  # the grid of a QuickSight sheet; rows per visual are our choice


def export(
    dashboards: Sequence[Dashboard],
    *,
    account: str,
    region: str,
    data_source_arn: str,
    readers: Sequence[CallReader] = (),
) -> QuickSightShape:
    """Return the requests by operation: ``CreateDataSet``, ``CreateAnalysis`` and ``CreateDashboard``, each a list.

    Send them in this order. ``data_source_arn`` is a QuickSight data source over the Redshift database. Dashboards of tenants
    are left out without ``readers``.
    """
    dashboards = [board for board in dashboards if readers or not any(visual.of_tenants for visual in board.visuals)]
    definitions = [
        {"AwsAccountId": account, "Name": board.title, "Definition": _definition(board, account, region)}
        for board in dashboards
    ]
    names = [f"omni-{board.name}" for board in dashboards]
    published = {"DashboardPublishOptions": {"AdHocFilteringOption": {"AvailabilityStatus": "DISABLED"}}}
    return {
        "CreateDataSet": [
            *([_readers(readers, account, data_source_arn)] if readers else []),
            *(
                _data_set(board, visual, account, region, data_source_arn)
                for board in dashboards
                for visual in board.visuals
            ),
        ],
        "CreateAnalysis": [{"AnalysisId": name} | one for name, one in zip(names, definitions, strict=True)],
        "CreateDashboard": [
            {"DashboardId": name} | one | published for name, one in zip(names, definitions, strict=True)
        ],
    }


def _identifier(board: Dashboard, visual: Visual) -> str:
    return f"omni-{board.name}-{visual.name}".replace("_", "-")


def _readers(readers: Sequence[CallReader], account: str, data_source_arn: str) -> QuickSightShape:
    """Return the data set of the rules: who may see whose rows. CallReader and tenant are checked, and hold no quote."""
    rows = " UNION ALL ".join(
        f"SELECT '{reader.user}' AS \"UserName\", '{reader.tenant}' AS {TENANT_COLUMN}" for reader in readers
    )
    columns = [{"Name": "UserName", "Type": "STRING"}, {"Name": TENANT_COLUMN, "Type": "STRING"}]
    table = {"DataSourceArn": data_source_arn, "Name": "readers", "SqlQuery": rows, "Columns": columns}
    return {
        "AwsAccountId": account,
        "DataSetId": _READERS,
        "Name": "Who may see whose calls",
        "ImportMode": "DIRECT_QUERY",
        "PhysicalTableMap": {"rows": {"CustomSql": table}},
        "UseAs": "RLS_RULES",
    }


def _wall(visual: Visual, account: str, region: str) -> QuickSightShape:
    if not visual.of_tenants:
        return {}
    rules = {
        "Arn": f"arn:aws:quicksight:{region}:{account}:dataset/{_READERS}",
        "PermissionPolicy": "GRANT_ACCESS",
        "FormatVersion": "VERSION_1",  # a reader of several tenants has several rows
        "Status": "ENABLED",
    }
    return {"RowLevelPermissionDataSet": rules}


def _data_set(board: Dashboard, visual: Visual, account: str, region: str, data_source_arn: str) -> QuickSightShape:
    sql = visual.sql
    for name, parameter, _, _ in _PARAMETERS:
        sql = re.sub(rf":{name}\b", f"<<${parameter}>>", sql)
    table = {
        "DataSourceArn": data_source_arn,
        "Name": visual.name,
        "SqlQuery": sql,
        "Columns": [{"Name": name, "Type": _type(name, visual)} for name in visual.columns],
    }
    return {
        "AwsAccountId": account,
        "DataSetId": _identifier(board, visual),
        "Name": f"{board.title}: {visual.title}",
        "ImportMode": "DIRECT_QUERY",  # the only mode that passes parameters to the SQL
        "PhysicalTableMap": {"rows": {"CustomSql": table}},
        "DatasetParameters": [
            {
                "StringDatasetParameter": {
                    "Id": parameter,
                    "Name": parameter,
                    "ValueType": "SINGLE_VALUED",
                    "DefaultValues": {"StaticValues": [default]},
                }
            }
            for name, parameter, _, default in _PARAMETERS
            if name in visual.parameters
        ],
        **_wall(visual, account, region),
    }


def _type(column: str, visual: Visual) -> str:
    if column in (visual.by, visual.across_by, TENANT_COLUMN):
        return "DATETIME" if column in _DAYS else "STRING"
    counts = {name for measure in visual.measures for name in (*(measure.of or ()), measure.n)}
    counts |= {measure.column for measure in visual.measures if measure.unit == "count"}
    return "INTEGER" if column in counts else "DECIMAL"


def _definition(board: Dashboard, account: str, region: str) -> QuickSightShape:
    identifiers = [_identifier(board, visual) for visual in board.visuals]
    used = {name for visual in board.visuals for name in visual.parameters}
    parameters = [parameter for parameter in _PARAMETERS if parameter[0] in used]
    controls = [f"control-{parameter}" for _, parameter, _, _ in parameters]
    parts = [part for visual in board.visuals for part in _parts(visual)]
    return {
        "DataSetIdentifierDeclarations": [
            {"Identifier": name, "DataSetArn": f"arn:aws:quicksight:{region}:{account}:dataset/{name}"}
            for name in identifiers
        ],
        "ParameterDeclarations": [
            _declared(
                parameter,
                default,
                [_identifier(board, visual) for visual in board.visuals if name in visual.parameters],
            )
            for name, parameter, _, default in parameters
        ],
        "CalculatedFields": [
            {"DataSetIdentifier": _identifier(board, visual), "Name": measure.name, "Expression": expression}
            for visual in board.visuals
            for measure in visual.measures
            if (expression := _expression(measure)) is not None
        ],
        "Sheets": [
            {
                "SheetId": f"sheet-{board.name}",
                "Name": board.title,
                "Description": board.question,
                "ContentType": "INTERACTIVE",
                "ParameterControls": [
                    {"TextField": {"ParameterControlId": control, "Title": title, "SourceParameterName": parameter}}
                    for control, (_, parameter, title, _) in zip(controls, parameters, strict=True)
                ],
                "Visuals": [_visual(board, visual, measures, name) for visual, measures, name in parts],
                "Layouts": [{"Configuration": {"GridLayout": {"Elements": _grid(controls, parts)}}}],
            }
        ],
    }


def _declared(parameter: str, default: str, identifiers: Sequence[str]) -> QuickSightShape:
    return {
        "StringParameterDeclaration": {
            "ParameterValueType": "SINGLE_VALUED",
            "Name": parameter,
            "DefaultValues": {"StaticValues": [default]},
            "MappedDataSetParameters": [
                {"DataSetIdentifier": name, "DataSetParameterName": parameter} for name in identifiers
            ],
        }
    }


def _expression(measure: Measure) -> str | None:
    if measure.of is None:
        return None
    part, whole = measure.of
    return f"ifelse(sum({{{whole}}}) = 0, NULL, sum({{{part}}}) / sum({{{whole}}}))"


def _parts(visual: Visual) -> list[tuple[Visual, Sequence[Measure], str]]:
    """Return QuickSight's visuals for one of ours: a KPI for each number, otherwise one chart."""
    name = visual.name.replace("_", "-")
    if visual.kind == "numbers":
        return [(visual, (m,), f"{name}-{m.name.replace('_', '-')}") for m in visual.measures]
    return [(visual, visual.measures, name)]


def _grid(controls: Sequence[str], parts: Sequence[tuple[Visual, Sequence[Measure], str]]) -> list[QuickSightShape]:
    # QuickSight places the controls above the sheet. A number takes a sixth of a row, a chart half.
    elements: list[QuickSightShape] = []
    column, row, height = 0, 0, 0
    for visual, _, name in parts:
        span, tall = (6, 5) if visual.kind == "numbers" else (_COLUMNS // 2, _VISUAL_ROWS)
        if column + span > _COLUMNS or (height and tall != height):
            column, row = 0, row + height
        elements.append(
            {
                "ElementId": name,
                "ElementType": "VISUAL",
                "ColumnIndex": column,
                "ColumnSpan": span,
                "RowIndex": row,
                "RowSpan": tall,
            }
        )
        column, height = column + span, tall
    return elements


def _visual(board: Dashboard, visual: Visual, measures: Sequence[Measure], name: str) -> QuickSightShape:
    identifier = _identifier(board, visual)
    values = [_value(identifier, measure, name) for measure in measures]
    told = visual.title if visual.kind != "numbers" else measures[0].label
    head = {
        "VisualId": name,
        "Title": {"Visibility": "VISIBLE", "FormatText": {"PlainText": told}},
        "Subtitle": {"Visibility": "VISIBLE", "FormatText": {"PlainText": _subtitle(visual, measures)}},
    }
    if visual.kind == "numbers":
        return {"KPIVisual": head | {"ChartConfiguration": {"FieldWells": {"Values": values}}}}
    category = _category(identifier, visual.by, name)
    if visual.kind == "heatmap":
        columns = _category(identifier, visual.across_by, name)
        heat = {"HeatMapAggregatedFieldWells": {"Rows": [category], "Columns": [columns], "Values": values}}
        return {"HeatMapVisual": head | {"ChartConfiguration": {"FieldWells": heat}}}
    wells = {"Category": [category], "Values": values}
    drawn: QuickSightShape = {"ReferenceLines": _reference_lines(measures)}
    if visual.kind == "line":
        drawn |= {"FieldWells": {"LineChartAggregatedFieldWells": wells}, "Type": "LINE"}
        return {"LineChartVisual": head | {"ChartConfiguration": drawn}}
    stacked = visual.kind == "columns"
    drawn |= {
        "FieldWells": {"BarChartAggregatedFieldWells": wells},
        "Orientation": "VERTICAL" if stacked else "HORIZONTAL",
        "BarsArrangement": "STACKED" if stacked else "CLUSTERED",
    }
    return {"BarChartVisual": head | {"ChartConfiguration": drawn}}


def _subtitle(visual: Visual, measures: Sequence[Measure]) -> str:
    promised = dict.fromkeys(m.target.label for m in measures if m.target is not None)
    return " ".join([visual.question, *(f"({label})" for label in promised)])


def _category(identifier: str, by: str | None, name: str) -> QuickSightShape:
    assert by is not None
    column = {"DataSetIdentifier": identifier, "ColumnName": by}
    if by in _DAYS:
        return {"DateDimensionField": {"FieldId": f"{name}.{by}", "Column": column, "DateGranularity": "DAY"}}
    return {"CategoricalDimensionField": {"FieldId": f"{name}.{by}", "Column": column}}


def _value(identifier: str, measure: Measure, name: str) -> QuickSightShape:
    field = {
        "FieldId": f"{name}.{measure.name}",
        "Column": {"DataSetIdentifier": identifier, "ColumnName": measure.column or measure.name},
        "FormatConfiguration": {"FormatConfiguration": _format(measure.unit)},
    }
    if measure.of is None:
        # There is one row per category, so any aggregation returns its figure. A share is a calculated field that aggregates.
        field["AggregationFunction"] = {"SimpleNumericalAggregation": "MAX"}
    return {"NumericalMeasureField": field}


def _format(unit: MeasureUnit) -> Mapping[str, Any]:
    if unit == "usd":
        return {
            "CurrencyDisplayFormatConfiguration": {"Symbol": "USD", "DecimalPlacesConfiguration": {"DecimalPlaces": 6}}
        }
    if unit == "rate":
        return {"PercentageDisplayFormatConfiguration": {"DecimalPlacesConfiguration": {"DecimalPlaces": 1}}}
    suffix = {"Suffix": " ms"} if unit == "ms" else {}
    places = {"DecimalPlaces": 1 if unit == "ratio" else 0}
    return {"NumberDisplayFormatConfiguration": {"DecimalPlacesConfiguration": places, **suffix}}


def _reference_lines(measures: Sequence[Measure]) -> list[QuickSightShape]:
    targets = {m.target.label: m.target for m in measures if m.target is not None}
    return [
        {
            "Status": "ENABLED",
            "DataConfiguration": {"StaticConfiguration": {"Value": target.at}, "AxisBinding": "PRIMARY_YAXIS"},
            "LabelConfiguration": {"CustomLabelConfiguration": {"CustomLabel": label}},
        }
        for label, target in targets.items()
    ]
