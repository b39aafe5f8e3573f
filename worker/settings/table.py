"""The settings as a table, which docs/settings.md shows."""

from collections.abc import Sequence
from enum import Enum

from msgspec import Struct
from pydantic import SecretStr
from pydantic.fields import FieldInfo

from worker.settings.datadog import DatadogSettings
from worker.settings.errors import bounds_of, choices_of
from worker.settings.serve import ServeSettings
from worker.settings.settings import Settings


class SettingRow(Struct, frozen=True, kw_only=True):
    """One variable as the docs' table shows it."""

    name: str
    default: str
    meaning: str


def setting_rows() -> list[SettingRow]:
    """All variables of `routing-sync run`, in the order of the files, Datadog's last."""
    datadog = DatadogSettings.model_fields
    fields = sorted(Settings.model_fields.items(), key=lambda named: named[0] in datadog)
    return [SettingRow(name=name.upper(), default=_default(field), meaning=_meaning(field)) for name, field in fields]


def serve_setting_rows() -> list[SettingRow]:
    """The variables that `routing-sync serve` has beside those of the worker."""
    fields = ServeSettings.model_fields.items()
    return [
        SettingRow(name=name.upper(), default=_default(field), meaning=_meaning(field))
        for name, field in fields
        if name not in Settings.model_fields
    ]


def settings_table(setting_rows: Sequence[SettingRow]) -> str:
    """The rows as a table in Markdown, as the docs show it; a test compares the two."""
    rows = [f"| `{row.name}` | {row.default} | {row.meaning} |" for row in setting_rows]
    return "\n".join(["| variable | default | meaning |", "|---|---|---|", *rows]) + "\n"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    if field.default_factory is not None:
        return "as AWS's library finds it"
    if field.default is None:
        return "not set"
    if field.default in ("", SecretStr("")):
        return "none"
    default = field.default.value if isinstance(field.default, Enum) else field.default
    if isinstance(default, float):
        default = f"{default:g}"
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"


def _meaning(field: FieldInfo) -> str:
    choices = [] if field.annotation is bool else choices_of(field)
    kinds = f" ({', '.join(choices)})" if choices else ""
    bounds = bounds_of(field)
    return f"{field.description}{kinds}{f' ({bounds})' if bounds else ''}"
