"""The error of a setting: the variable, what is wrong with its value, and the remedy.

The settings and the checks between them are in worker/settings/settings.py and its sections.
"""

import os
import re
from collections.abc import Mapping
from enum import Enum
from typing import Any, Final

from annotated_types import Ge, Le
from msgspec import Struct
from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings

from commands.engines.rollout import FUNNEL_ROW_NAMES, UpdateOrigin

_PROVISIONED: Final = "`routing-sync provision --env` prints it"
_CREDENTIALS: Final = re.compile(r"://\S*@")
"""The credentials of a connection string, which may stand in any variable by mistake."""
_NOT_SET: Final = "is not set"
_SHOWN_MAX: Final = 60
"""Characters of a rejected value that the line shows."""


class MismatchedSetting(ValueError):
    """A value that contradicts another setting. `remedy` says what to set instead, since the bounds do not."""

    def __init__(self, wrong: str, remedy: str) -> None:
        super().__init__(wrong)
        self.remedy = remedy


class SettingError(Struct, frozen=True, kw_only=True):
    """An error in the environment: the variable (empty: no single one), what is wrong with it, and the remedy."""

    variable: str
    wrong: str
    remedy: str

    @property
    def line(self) -> str:
        """The error as one line."""
        return ": ".join(filter(None, (self.variable, self.wrong, self.remedy)))


def setting_error(kind: type[BaseSettings], invalid: dict[str, Any], mistyped: Mapping[str, str]) -> SettingError:
    """One of pydantic's errors: the variable, what is wrong with it, the remedy. Secrets are left out.

    `mistyped`: by setting, the variable that was probably meant for it.
    """
    name = str(invalid["loc"][0]) if invalid["loc"] else ""
    field = kind.model_fields.get(name)
    if field is None:
        return SettingError(variable="", wrong=str(invalid["msg"]), remedy="")
    error = invalid.get("ctx", {}).get("error")
    remedy = error.remedy if isinstance(error, MismatchedSetting) else _remedy(name, field)
    wrong = re.sub(rf"^it (?!{_NOT_SET})", lambda _: f"{_rejected_value(name, field)} ", _wrong(invalid))
    if wrong == f"it {_NOT_SET}" and name.upper() in mistyped:
        wrong = f"{wrong}, {mistyped[name.upper()]} is (mistyped?)"
    return SettingError(variable=name.upper(), wrong=_CREDENTIALS.sub("://***@", wrong), remedy=remedy)


def _rejected_value(name: str, field: FieldInfo) -> str:
    """The rejected value as it was set, shortened; "it" for a secret."""
    if field.annotation is SecretStr:
        return "it"
    # Read again, for the error's input may be a validator's result or all variables together.
    value = next((value for variable, value in os.environ.items() if variable.lower() == name), None)
    if value is None:
        return f"{field.default} (the default)"
    return shown_value(value)


def shown_value(value: str) -> str:
    """The value as an error shows it: quoted, shortened, without the credentials of a connection string."""
    shown = repr(_CREDENTIALS.sub("://***@", value))
    return shown if len(shown) <= _SHOWN_MAX else f"{shown[: _SHOWN_MAX - 1]}…"


def _wrong(invalid: dict[str, Any]) -> str:
    match invalid["type"]:
        case "missing":
            return f"it {_NOT_SET}"
        case "value_error":
            return str(invalid["ctx"]["error"])
        case "literal_error" | "enum":
            return "it is not one of the allowed values"
        case "string_pattern_mismatch":
            return "it has the wrong format"
        case _:
            return re.sub(r"^(Input|String) ", "it ", str(invalid["msg"]).partition(",")[0])


def _remedy(name: str, field: FieldInfo) -> str:
    if name in {"sqs_queue_url", "sns_conversation_topic_arn", "sns_work_item_topic_arn"}:
        return f"set it to the {field.description}; {_PROVISIONED}"
    if name == "mongodb_uri":
        return "set it to mongodb://HOST:PORT/?replicaSet=NAME or mongodb+srv://HOST"
    if name.startswith("aws_endpoint_url"):
        return "set it to http://HOST:PORT, or unset it"
    if name == "composed_updates":
        return f"list any of {', '.join(FUNNEL_ROW_NAMES)}"
    if name == "max_fields":
        return f"list {', '.join(f'{origin.value}=NUMBER' for origin in UpdateOrigin)}, or some of them"
    choices = choices_of(field)
    if choices:
        return f"set it to {' or '.join(choices)}"
    bounds = bounds_of(field)
    if bounds:
        return f"set it to a {'whole ' if field.annotation is int else ''}number {bounds}"
    return f"set it ({field.description})"


def choices_of(field: FieldInfo) -> list[str]:
    """The values that the setting may have, as the environment spells them; empty if they cannot be listed."""
    annotation: Any = field.annotation
    if annotation is bool:
        return ["true", "false"]
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return [str(member.value) for member in annotation]
    return [str(choice) for choice in getattr(annotation, "__args__", ()) if isinstance(choice, str)]


def bounds_of(field: FieldInfo) -> str:
    """The bounds as "from … to …"; empty if the setting has none."""
    low = next((bound.ge for bound in field.metadata if isinstance(bound, Ge)), None)
    high = next((bound.le for bound in field.metadata if isinstance(bound, Le)), None)
    return f"from {low} to {high}" if low is not None and high is not None else ""
