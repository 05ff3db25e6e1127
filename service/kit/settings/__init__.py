"""All settings of the service and the harness; ``Settings()`` reads them from ``OMNI_*`` environment variables.

Each setting is read through its group (``settings.warehouse.threads``) and set under one flat name, the same everywhere:
``OMNI_WAREHOUSE_THREADS`` in the environment, ``Settings(warehouse_threads=1)`` and ``model_copy(update=...)`` in code.
The variables' names are older than the groups, and pydantic-settings can only build nested names with one common delimiter;
the groups' fields therefore have the flat names as aliases.
"""

from collections.abc import Mapping
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    BeforeValidator,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from service.kit.settings.groups import (
    REPO_ROOT,
    AccessSettings,
    AwsSettings,
    BedrockSettings,
    CallSettings,
    LocalSettings,
    RedactorName,
    RedshiftSettings,
    RegistrySettings,
    ReleaseSettings,
    ServingSettings,
    SettingsGroup,
    Stage,
    StoreSettings,
    SummarySettings,
    TelemetrySettings,
    ToolSettings,
    WarehouseSettings,
)

__all__ = [
    "REPO_ROOT",
    "RedactorName",
    "RedshiftSettings",
    "ServingSettings",
    "Settings",
    "Stage",
    "StoreSettings",
    "SummarySettings",
    "setting_places",
]

# Of difflib's ratio: one wrong, missing or exchanged letter in a name of six; no variable of tools or tests is so near.
_NEAR = 0.86


class Settings(BaseSettings):
    """All settings, validated. Keywords are the flat names; an unknown one is an error."""

    model_config = SettingsConfigDict(env_prefix="OMNI_", extra="forbid", frozen=True)

    environment: Literal["local", "aws"] = "local"  # `local` or `aws`: stand-ins of this machine, or the real services
    root: Path = REPO_ROOT  # where `prompts/` and `datasets/` lie
    state_dir: Path = REPO_ROOT / ".omni"  # all local state
    public_data_dir: Path = REPO_ROOT.parent / "shared" / "data"  # public data sets that are used and not shipped
    # Everything here is of simulated weeks, and is shown so; `omni --traffic` sets it
    simulated: Annotated[bool, BeforeValidator(bool)] = False
    clock_file: Path | None = None  # in `local`: a file with the current time, for simulations

    aws: AwsSettings = AwsSettings()
    bedrock: BedrockSettings = BedrockSettings()
    registry: RegistrySettings = RegistrySettings()
    release: ReleaseSettings = ReleaseSettings()
    stores: StoreSettings = StoreSettings()
    summaries: SummarySettings = SummarySettings()
    calls: CallSettings = CallSettings()
    warehouse: WarehouseSettings = WarehouseSettings()
    redshift: RedshiftSettings = RedshiftSettings()
    access: AccessSettings = AccessSettings()
    serving: ServingSettings = ServingSettings()
    telemetry: TelemetrySettings = TelemetrySettings()
    tools: ToolSettings = ToolSettings()
    local: LocalSettings = LocalSettings()

    def __init__(self, **flat: Any) -> None:
        super().__init__(**flat)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Use keywords first, then environment variables; there are no settings files."""
        return init_settings, _Variables(settings_cls)

    @model_validator(mode="before")
    @classmethod
    def _into_groups(cls, flat: dict[str, Any]) -> dict[str, Any]:
        grouped: dict[str, Any] = {}
        for name, value in flat.items():
            group, _, _ = setting_places().get(name, (None, name, None))
            if group is None:
                grouped[name] = value
            else:
                grouped.setdefault(group, {})[name] = value
        return grouped

    @model_validator(mode="after")
    def _endpoints_are_web_addresses(self) -> Self:
        named = {"OMNI_AWS_ENDPOINT": self.aws.endpoint, "OMNI_BEDROCK_ENDPOINT": self.bedrock.endpoint}
        named |= {f"OMNI_MODEL_ENDPOINTS, {model}": url for model, url in self.bedrock.model_endpoints.items()}
        named |= {f"OMNI_TOOLS_SERVERS, {task}": url for task, url in self.tools.servers.items()}
        for name, address in (named | {"OMNI_OTLP_ENDPOINT": self.telemetry.otlp_endpoint}).items():
            if address is None:
                continue
            parts = urlsplit(address)
            if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.query:
                raise ValueError(f"{name} is not the address of a web service, as in https://host:port")
            with_data = name.startswith(("OMNI_AWS_ENDPOINT", "OMNI_BEDROCK_ENDPOINT", "OMNI_TOOLS_SERVERS"))
            if with_data and self.environment == "aws" and parts.scheme != "https":
                raise ValueError(f"{name}: in `aws` prompts and histories travel over https only")
        return self

    @field_validator("clock_file")
    @classmethod
    def _real_time_in_aws(cls, file: Path | None, others: ValidationInfo) -> Path | None:
        if file is not None and others.data.get("environment") != "local":
            raise ValueError("a simulated time is allowed in `local` only; unset it")
        return file

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Return a copy with ``update``, a mapping of flat names to values, which are not validated.

        Raises:
            KeyError: there is no such setting.
        """
        top: dict[str, Any] = {}
        groups: dict[str, dict[str, Any]] = {}
        for name, value in (update or {}).items():
            group, field, _ = setting_places()[name]
            if group is None:
                top[field] = value
            else:
                groups.setdefault(group, {})[field] = value
        changed = {group: getattr(self, group).model_copy(update=fields) for group, fields in groups.items()}
        return super().model_copy(update=top | changed, deep=deep)

    def flat(self, *, defaults: bool = True) -> dict[str, Any]:
        """Return the settings by flat name as JSON types, without secrets and None values.

        ``defaults`` False omits values equal to their defaults (which may be paths that differ on another machine).
        """
        given = self.model_dump(mode="json", by_alias=True, exclude_none=True, exclude_defaults=not defaults)
        found = {name: value for name, value in given.items() if name in setting_places()}
        for group in type(self).model_fields.keys() - setting_places().keys():
            found |= given.get(group, {})
        return {name: value for name, value in found.items() if not _is_secret(setting_places()[name][2])}

    @property
    def stage(self) -> Stage:
        """What the releases are for; unset, the strictest stage in ``aws`` and ``local`` on a person's own machine."""
        return self.release.stage or ("prod" if self.environment == "aws" else "local")

    @property
    def prompts_dir(self) -> Path:
        """Folder that holds ``models.yaml`` and one folder of pairs per task."""
        return self.root / "prompts"

    @property
    def datasets_dir(self) -> Path:
        """Folder that holds one folder of case files per task."""
        return self.root / "datasets"

    @property
    def keys_dir(self) -> Path:
        """Folder of the local signing key and its public key."""
        return self.state_dir / "keys"

    @property
    def spool_folder(self) -> Path:
        """Folder of the records that are not yet in their stores."""
        return self.summaries.spool_dir or self.state_dir / "spool"

    @property
    def warehouse_file(self) -> Path:
        """File of the embedded warehouse."""
        return self.warehouse.path or self.state_dir / "warehouse" / "omni.duckdb"

    @property
    def trusted_keys_file(self) -> Path:
        """File of the public keys whose signatures are trusted."""
        return self.release.trusted_keys or self.keys_dir / "trusted.pem"

    @property
    def access_folder(self) -> Path:
        """Folder of token keys and clients, where no table holds them or did not yet."""
        return self.access.dir or self.state_dir / "access"


@cache
def setting_places() -> Mapping[str, tuple[str | None, str, FieldInfo]]:
    """Return each setting's group (None: no group), field name and field, by flat name."""
    places: dict[str, tuple[str | None, str, FieldInfo]] = {}
    for name, field in Settings.model_fields.items():
        if isinstance(field.default, SettingsGroup):
            for inner, setting in type(field.default).model_fields.items():
                places[setting.alias or inner] = (name, inner, setting)
        else:
            places[name] = (None, name, field)
    return places


class _Variables(EnvSettingsSource):
    """Reads one environment variable per setting; groups have none."""

    def __call__(self) -> dict[str, Any]:
        self._refuse_mistyped()
        found = {}
        for name, (_, _, field) in setting_places().items():
            # Where both are set the keyword wins; pydantic would join two mappings.
            text = None if name in self.current_state else self.env_vars.get(f"{self.env_prefix}{name}".lower())
            try:
                value = self.prepare_field_value(name, field, text, False)
            except ValueError:
                shown = "" if _is_secret(field) else f": {text!r}"
                raise SettingsError(f"{self.env_prefix}{name.upper()} is not JSON{shown}") from None
            if value is not None:
                found[name] = value
        return found

    def _refuse_mistyped(self) -> None:
        """Refuse a variable that almost names a setting: without it a mistyped stage would be the default, in silence."""
        places = setting_places()
        meant = {f"{group}_{field}": name for name, (group, field, _) in places.items() if group is not None}
        for variable in self.env_vars:
            name = variable.lower().removeprefix(self.env_prefix.lower())
            if name == variable.lower() or name in places:
                continue
            near = [meant[name]] if name in meant else get_close_matches(name, places, 1, _NEAR)
            if near:
                raise SettingsError(
                    f"{variable.upper()} is no setting; {self.env_prefix}{near[0].upper()} is: set that, or unset it"
                )


def _is_secret(field: FieldInfo) -> bool:
    return "SecretStr" in str(field.annotation)
