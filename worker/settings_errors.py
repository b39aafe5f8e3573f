"""What is wrong with a setting, in one line: the variable, what is wrong with its value, and the remedy.

The settings themselves, and how they have to fit each other, are in worker/settings.py.
"""

import os
import re
from enum import Enum
from typing import Any, Final

from annotated_types import Ge, Le
from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings

from commands.rollout import UPDATE_NAMES, UpdateOrigin

_PROVISIONED: Final = "`routing-sync provision --env` prints it"
_CREDENTIALS: Final = re.compile(r"://\S*@")
"""Those of a connection string, in whichever variable it stands by mistake."""
_SHOWN_MAX: Final = 60
"""So many characters of a rejected value are shown."""


class MismatchedSetting(ValueError):
    """A value that does not fit another setting's. `remedy`: what to set; the bounds do not say it."""

    def __init__(self, wrong: str, remedy: str) -> None:
        super().__init__(wrong)
        self.remedy = remedy


def setting_error_line(kind: type[BaseSettings], fault: dict[str, Any]) -> str:
    """One of pydantic's errors as a line: the variable, what is wrong, the remedy. No secret is repeated."""
    name = str(fault["loc"][0]) if fault["loc"] else ""
    field = kind.model_fields.get(name)
    if field is None:
        return str(fault["msg"])
    error = fault.get("ctx", {}).get("error")
    remedy = error.remedy if isinstance(error, MismatchedSetting) else _remedy(name, field)
    wrong = re.sub(r"^it (?!is not set)", lambda _: f"{_given(name, field)} ", _wrong(fault))
    return f"{name.upper()}: {_CREDENTIALS.sub('://***@', wrong)}: {remedy}"


def _given(name: str, field: FieldInfo) -> str:
    """The rejected value, for people: as it was set, cut off; a secret is "it"."""
    if field.annotation is SecretStr:
        return "it"
    # The fault's own input may be what a validator has made of it, or all variables together.
    value = next((value for variable, value in os.environ.items() if variable.lower() == name), None)
    if value is None:
        return f"{field.default} (the default)"
    told = repr(_CREDENTIALS.sub("://***@", value))
    return told if len(told) <= _SHOWN_MAX else f"{told[: _SHOWN_MAX - 1]}…"


def _wrong(fault: dict[str, Any]) -> str:
    match fault["type"]:
        case "missing":
            return "it is not set"
        case "value_error":
            return str(fault["ctx"]["error"])
        case "literal_error" | "enum":
            return "it is none of the choices"
        case "string_pattern_mismatch":
            return "it does not look like one"
        case _:
            return re.sub(r"^(Input|String) ", "it ", str(fault["msg"]).partition(",")[0])


def _remedy(name: str, field: FieldInfo) -> str:
    if name in {"sqs_queue_url", "sns_conversation_topic_arn", "sns_work_item_topic_arn"}:
        return f"set it to the {field.description}; {_PROVISIONED}"
    if name == "mongodb_uri":
        return "set it to mongodb://HOST:PORT/?replicaSet=NAME or mongodb+srv://HOST"
    if name.startswith("aws_endpoint_url"):
        return "set it to http://HOST:PORT, or unset it"
    if name == "composed_updates":
        return f"list any of {', '.join(UPDATE_NAMES)}"
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
    """What it may be, as it is written in the environment; empty where that cannot be listed."""
    kind: Any = field.annotation
    if kind is bool:
        return ["true", "false"]
    if isinstance(kind, type) and issubclass(kind, Enum):
        return [str(member.value) for member in kind]
    return [str(choice) for choice in getattr(kind, "__args__", ()) if isinstance(choice, str)]


def bounds_of(field: FieldInfo) -> str:
    """ "from … to …", or nothing where it has no bounds."""
    low = next((bound.ge for bound in field.metadata if isinstance(bound, Ge)), None)
    high = next((bound.le for bound in field.metadata if isinstance(bound, Le)), None)
    return f"from {low} to {high}" if low is not None and high is not None else ""
