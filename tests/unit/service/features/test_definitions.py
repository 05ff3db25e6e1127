"""Definitions of features: read strictly, one version served, and refused if they look past the moment of their rows."""

import pytest

from service.features import leaks
from service.features.definitions import FOLDER, read_views
from service.features.history import known_until
from service.features.leaks import FeatureLeak, Probe, refuse_leaks
from service.kit.frame.errors import ConfigurationError
from service.warehouse.events import CustomerEvent

SERVICES = read_views().find("services")


def changed(old, new):
    assert old in SERVICES.sql
    return SERVICES.model_copy(update={"sql": SERVICES.sql.replace(old, new)})


def test_the_projects_own_definitions_look_at_nothing_later():
    refuse_leaks(read_views().views)


def test_the_six_features_of_the_requirement_are_served():
    served = {name for view in read_views().served() for name in view.columns}
    assert served == {
        *("satisfaction_trend", "services_last_year", "average_satisfaction", "total_services", "lifetime_value"),
        *("home_kind", "home_garden", "home_built"),
    }


@pytest.mark.parametrize(
    "leaking",
    [
        changed(" AND s.known_at <= m.moment", ""),
        changed("s.known_at <= m.moment", "s.known_at <= DATEADD(day, 30, m.moment)"),
        changed("s.known_at <= m.moment", "s.occurred_at <= m.moment"),
        changed("known_at AS moment FROM services", "occurred_at AS moment FROM services"),
        changed(
            "COUNT(*) AS total_services", "MAX(COUNT(*)) OVER (PARTITION BY m.tenant, m.customer) AS total_services"
        ),
    ],
    ids=[
        "all events",
        "thirty days ahead",
        "by the day of the service",
        "rows before they were known",
        "the last count",
    ],
)
def test_a_definition_that_looks_past_the_cases_time_is_refused(leaking):
    with pytest.raises(FeatureLeak, match=r"services@1 looks past the moment of its rows: what became known after"):
        refuse_leaks([leaking])


def test_a_probe_of_events_that_are_never_late_would_miss_a_leak(monkeypatch):
    monkeypatch.setattr(leaks, "_LATE_DAYS", (0,))
    refuse_leaks([changed("s.known_at <= m.moment", "s.occurred_at <= m.moment")])


def test_the_probe_fills_every_column_that_a_definition_may_read():
    rows = list(Probe().rows())
    filled = {name for row in rows for name, value in row.items() if value is not None}
    assert filled == set(CustomerEvent.model_fields)
    assert any(row["known_at"] > row["occurred_at"] for row in rows)


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (changed("COUNT(*) AS total_services", "COUNT(GETDATE()) AS total_services"), "depend on its moment"),
        (changed("COUNT(*) AS total_services", "COUNT(CURRENT_DATE) AS total_services"), "depend on its moment"),
        (changed("FROM omni_customer_events", "FROM omni_summaries"), "reads omni_summaries"),
        (changed("COUNT(*) AS total_services", "COUNT(*) AS services"), "total_services"),
        (changed("SUM(", "SUMM("), "SUMM"),
        (SERVICES.model_copy(update={"sql": "DELETE FROM omni_customer_events"}), "is no SELECT"),
    ],
)
def test_a_wrong_query_is_refused_by_name(wrong, why):
    with pytest.raises(ConfigurationError, match=f"services@1.*{why}"):
        refuse_leaks([wrong])


def test_a_query_sees_only_what_was_known():
    sql = known_until(SERVICES)
    assert (
        sql.count("FROM omni_customer_events") == sql.count("FROM omni_customer_events WHERE known_at <= :until") == 1
    )


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("view: services", "version: Field required"),
        (": [", "is no YAML"),
    ],
)
def test_a_wrong_file_is_named(tmp_path, text, why):
    (tmp_path / "services_v1.yaml").write_text(text)
    with pytest.raises(ConfigurationError, match=f"services_v1.yaml.*{why}"):
        read_views(tmp_path)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ([("version: 1", "version: 2")], "of services 2 versions say `serves: true`"),
        ([("serves: true", "serves: false")], "services@1 is defined twice"),
        ([("view: services", "view: other")], "total_services is a feature of other and of services"),
    ],
)
def test_versions_stand_beside_each_other_and_one_is_served(tmp_path, changes, why):
    own = (FOLDER / "services_v1.yaml").read_text()
    (tmp_path / "services_v1.yaml").write_text(own)
    for old, new in changes:
        assert old in own
        own = own.replace(old, new)
    (tmp_path / "a.yaml").write_text(own)
    with pytest.raises(ConfigurationError, match=why):
        read_views(tmp_path)


def test_a_view_is_found_by_its_name_or_its_version():
    assert read_views().find("services@1") is read_views().find("services")
    with pytest.raises(ConfigurationError, match=r"no features 'services@9'; there are home@1, services@1, value@1"):
        read_views().find("services@9")
