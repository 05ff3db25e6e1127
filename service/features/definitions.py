"""Reads the definitions of features: a YAML file for each version of a view, with its SQL over the warehouse."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from service.kit.frame.errors import ConfigurationError

FOLDER = Path(__file__).parent / "views"
KEYS = ("tenant", "customer", "moment")
FeatureName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
FeatureKind = Literal["whole", "decimal", "text", "flag"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class FeatureColumn(_Strict):
    """One feature. ``least`` and ``most`` bound its values; ``window_days`` is how far back it looks, None: to the beginning.

    A ``decimal`` is rounded to ``places``, so that engines which add in another order give the same value.
    """

    kind: FeatureKind
    about: str = Field(min_length=1)
    window_days: int | None = Field(default=None, ge=1)
    least: float | None = None
    most: float | None = None
    places: int = Field(default=6, ge=0, le=9)


class FeatureView(_Strict):
    """Features that one query makes.

    ``sql`` is one SELECT in Redshift's dialect over ``omni_customer_events``. It returns ``tenant``, ``customer``, ``moment`` and
    the columns: a row for each moment at which one of them changes, with their values from that moment on. Nothing that became
    known after a row's moment may change the row; ``service.features.leaks`` holds every definition to it.

    ``serves``: this version is the one that is served; of each view one does. A value that was computed more than
    ``fresh_hours`` ago is stale.
    """

    view: FeatureName
    version: int = Field(ge=1)
    serves: bool = False
    entity: Literal["customer"]
    owner: str = Field(min_length=1)
    fresh_hours: float = Field(gt=0)
    columns: Mapping[FeatureName, FeatureColumn] = Field(min_length=1)
    sql: str = Field(min_length=1)

    @model_validator(mode="after")
    def _own_names(self) -> Self:
        taken = sorted(set(self.columns) & set(KEYS))
        if taken:
            raise ValueError(f"a feature cannot be called {', '.join(taken)}: rows are found by these columns")
        return self

    @property
    def id(self) -> str:
        """View and version: ``services@1``."""
        return f"{self.view}@{self.version}"


@dataclass(frozen=True, slots=True)
class FeatureViews:
    """All versions of all views, in the order of their files."""

    views: tuple[FeatureView, ...]

    def served(self) -> tuple[FeatureView, ...]:
        """Return the version of each view that is served."""
        return tuple(view for view in self.views if view.serves)

    def find(self, name: str) -> FeatureView:
        """Return ``services@2``, or for ``services`` the version that is served.

        Raises:
            ConfigurationError: there is none.
        """
        for view in self.views:
            if view.id == name or (view.serves and view.view == name):
                return view
        raise ConfigurationError(f"no features {name!r}; there are {', '.join(view.id for view in self.views)}")


@lru_cache(maxsize=8)
def read_views(folder: Path = FOLDER) -> FeatureViews:
    """Return the definitions in ``folder``.

    Raises:
        ConfigurationError: a file is wrong, a version occurs twice, or not exactly one version of a view is served.
    """
    found = [_view(path) for path in sorted(folder.glob("*.yaml"))]
    if not found:
        raise ConfigurationError(f"{folder} holds no definition of features (*.yaml)")
    _check_versions(found)
    return FeatureViews(tuple(found))


def _view(path: Path) -> FeatureView:
    try:
        return FeatureView.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except yaml.YAMLError as err:
        raise ConfigurationError(f"{path.name} is no YAML: {' '.join(str(err).split())}") from err
    except ValidationError as err:
        wrong = "; ".join(
            f"{'.'.join(map(str, one['loc']))}: {one['msg']}"
            for one in err.errors(include_url=False, include_input=False)
        )
        raise ConfigurationError(f"{path.name}: {wrong}") from None


def _check_versions(views: Sequence[FeatureView]) -> None:
    ids = [view.id for view in views]
    twice = sorted({one for one in ids if ids.count(one) > 1})
    if twice:
        raise ConfigurationError(f"{', '.join(twice)} is defined twice: give the newer file the next version")
    columns: dict[str, str] = {}
    for view in views:
        versions = [one.id for one in views if one.view == view.view and one.serves]
        if len(versions) != 1:
            raise ConfigurationError(
                f"of {view.view} {len(versions)} versions say `serves: true`: exactly one is served at a time"
            )
        for name in view.columns:
            if columns.setdefault(name, view.view) != view.view:
                raise ConfigurationError(f"{name} is a feature of {columns[name]} and of {view.view}: rename one")
