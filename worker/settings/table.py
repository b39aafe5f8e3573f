"""The settings as tables, which docs/settings.md shows."""

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Final

from msgspec import Struct
from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings

from worker.settings.errors import bounds_of, choices_of
from worker.settings.protection import Protection, protection_of
from worker.settings.sections.aws import AwsSettings, TopicSettings
from worker.settings.sections.consumption import ConsumptionSettings
from worker.settings.sections.datadog import DatadogSettings
from worker.settings.sections.schedule import ScheduleSettings
from worker.settings.settings import Settings
from worker.settings.verbs.explain import ExplainSettings
from worker.settings.verbs.letters import LetterSettings
from worker.settings.verbs.serve import ServeSettings

SETTINGS_BY_VERB: Final[Mapping[str, type[BaseSettings]]] = {
    "run": Settings,
    "serve": ServeSettings,
    "doctor": ServeSettings,
    "sweep": Settings,
    "provision": AwsSettings,
    "publish": TopicSettings,
    "dead-letters": LetterSettings,
    "redrive": LetterSettings,
    "explain": ExplainSettings,
}
"""The class of the settings that a verb reads, with the most that it may read. The other verbs read none."""

_ORDER: Final[Sequence[type[BaseSettings]]] = (
    AwsSettings,
    TopicSettings,
    Settings,
    ScheduleSettings,
    ConsumptionSettings,
    DatadogSettings,
)
"""The parts of the worker's settings as the docs show them."""


class SettingRow(Struct, frozen=True, kw_only=True):
    """One variable as the docs' table shows it."""

    name: str
    default: str
    meaning: str


class ProtectionRow(Struct, frozen=True, kw_only=True):
    """One variable of the docs' table of protections."""

    name: str
    default: str
    protection: Protection


def setting_rows() -> list[SettingRow]:
    """All variables of `routing-sync run`, those of AWS first, Datadog's last."""
    return _rows(_worker_fields())


def serve_setting_rows() -> list[SettingRow]:
    """The variables that `routing-sync serve` has beside those of the worker."""
    return _rows(_added_fields(ServeSettings))


def letter_setting_rows() -> list[SettingRow]:
    """The variables that `routing-sync dead-letters` and `redrive` have beside those of the worker."""
    return _rows(_added_fields(LetterSettings))


def protection_rows() -> list[ProtectionRow]:
    """Every variable that has a protection, in the order of the other tables."""
    fields = _worker_fields() | _added_fields(ServeSettings) | _added_fields(LetterSettings)
    return [
        ProtectionRow(name=name.upper(), default=_default(field), protection=protection)
        for name, field in fields.items()
        if (protection := protection_of(field)) is not None
    ]


def _worker_fields() -> dict[str, FieldInfo]:
    fields = Settings.model_fields
    return {name: fields[name] for part in _ORDER for name in part.__annotations__ if name in fields}


def _added_fields(kind: type[BaseSettings]) -> dict[str, FieldInfo]:
    return {name: field for name, field in kind.model_fields.items() if name not in Settings.model_fields}


def _rows(fields: Mapping[str, FieldInfo]) -> list[SettingRow]:
    return [
        SettingRow(name=name.upper(), default=_default(field), meaning=_meaning(field))
        for name, field in fields.items()
    ]


def settings_table(setting_rows: Sequence[SettingRow]) -> str:
    """The rows as a table in Markdown."""
    rows = [f"| `{row.name}` | {row.default} | {row.meaning} |" for row in setting_rows]
    return "\n".join(["| variable | default | meaning |", "|---|---|---|", *rows]) + "\n"


def protections_table() -> str:
    """What each number protects, as a table in Markdown."""
    cells = [
        (f"`{row.name}`", row.default, row.protection.what, row.protection.too_low, row.protection.too_high)
        for row in protection_rows()
    ]
    rows = [f"| {' | '.join(row)} |" for row in cells]
    return "\n".join(["| variable | default | protects | too low | too high |", "|---|---|---|---|---|", *rows])


def verbs_table(verbs: Sequence[str]) -> str:
    """Which of the variables each verb reads, as a table in Markdown."""
    return "\n".join(["| verb | variables |", "|---|---|", *(f"| `{verb}` | {_read_by(verb)} |" for verb in verbs)])


def _read_by(verb: str) -> str:
    kind = SETTINGS_BY_VERB.get(verb)
    if verb == "doctor":
        return "those of the process that is to start: of `run`, or with `--for serve` of `serve`"
    if kind is None:
        return "none"
    if kind is Settings:
        return "all [of the worker](#of-the-worker)"
    if kind is ServeSettings:
        return "those [of the worker](#of-the-worker), without the queue, and [of the API](#of-the-api)"
    own = [f"`{name.upper()}`" for name in kind.model_fields if name not in AwsSettings.model_fields]
    if not issubclass(kind, AwsSettings):
        return ", ".join(own)
    return ", ".join([f"the {len(AwsSettings.model_fields)} of AWS", *own])


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
