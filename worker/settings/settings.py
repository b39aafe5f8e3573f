"""All settings of `routing-sync run`.

A variable has the field's name in capitals. An empty variable counts as not set. All errors are reported together. AWS
credentials are not among the settings: AWS's library finds them by its default chain.
"""

import re
from typing import Annotated, Any, Final, Literal

from pydantic import Field, SecretStr, ValidationInfo, field_validator

from commands.engines.rollout import FUNNEL_ROW_NAMES, Engine, EngineRollout, UpdateOrigin
from handlers.options import PolicyInUse
from worker.settings.errors import MismatchedSetting
from worker.settings.protection import Protection
from worker.settings.sections.aws import TopicSettings, refuse_no_queue
from worker.settings.sections.consumption import ConsumptionSettings
from worker.settings.sections.datadog import DatadogSettings
from worker.settings.sections.schedule import ScheduleSettings

Transport = Literal["http", "library"]
_TRANSPORT_ALIASES: Final = {"lean": "http"}
"""Former values that stay valid."""


def check_connection_string(value: SecretStr) -> SecretStr:
    """The value, a MongoDB connection string. Raises ValueError."""
    if not re.match(r"mongodb(\+srv)?://\S+$", value.get_secret_value()):
        raise ValueError("it is not a MongoDB connection string")
    # The driver would take what stands before the / or ? for the host, and look up a part of the password. In the
    # value of an option, an @ is none of a user.
    if re.match(r"[^:]+://[^@/?]*(/[^?]*@|/?\?[^=]*@)", value.get_secret_value()):
        raise MismatchedSetting(
            "it has an @ behind a / or ?", "write %2F for a / in the password, %3F for a ?, %40 for an @"
        )
    return value


class Settings(TopicSettings, ScheduleSettings, ConsumptionSettings, DatadogSettings):
    """All settings of `routing-sync run`."""

    sqs_queue_url: str = Field(
        description="URL of the queue of events; the queue must have a redrive policy", pattern=r"^https?://\S+$"
    )
    sqs_transport: Transport = Field(
        "http", description="client that receives, deletes and hides messages: signed HTTP requests, or AWS's library"
    )
    sns_transport: Transport = Field(
        "http", description="client that publishes events: signed HTTP requests, or AWS's library"
    )
    mongodb_uri: SecretStr = Field(description="MongoDB connection string of a replica set or a sharded cluster")
    mongodb_database: str = Field(
        "routing", description="name of the database", min_length=1, max_length=63, pattern=r'^[^/\\.\s"$*<>:|?]+$'
    )
    command_engine: Engine = Field(Engine.COMPOSED, description="engine that executes the updates of a work-item")
    sync_policy: PolicyInUse = Field(
        PolicyInUse.CAUSAL,
        description="policy that decides which side is newer; causal and shadow need the composed engine",
    )
    waiting_times: bool = Field(
        False, description="record how long work-items wait in their queues; the records are kept for 90 days"
    )
    composed_updates: str = Field(
        "", description=f"updates that the composed engine takes from the legacy engine: {', '.join(FUNNEL_ROW_NAMES)}"
    )
    max_fields: Annotated[
        str,
        Protection(
            "work-items from updates of clients that send more fields than their part has",
            "updates that are meant are refused",
            "not set, an update may have any number of fields",
        ),
    ] = Field("", description="most fields an update may have, by origin, for example api=2,router=3")
    state_from_events: bool = Field(True, description="write an event's snapshot to the store if the snapshot is newer")
    create_work_items: bool = Field(
        False, description="create the work-item of an open, not ended conversation that has no active one"
    )
    unassign_on_unavailable: bool = Field(
        False,
        description="un-assign a re-opened conversation whose users have no active session; needs CREATE_WORK_ITEMS",
    )
    queue_rules: bool = Field(False, description="queue ivr work-items by the queue rules of their org")
    http_host: str = Field(
        "127.0.0.1", description="address on which /healthz and /readyz are served; :: takes IPv4 too", min_length=1
    )
    http_port: int = Field(8080, ge=0, le=65_535, description="port of HTTP_HOST; 0 takes a free one and logs it")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="lowest level that is logged")
    log_buffer_bytes: Annotated[
        int,
        Protection(
            "the worker from a reader of its log that stands still: the worker never waits for it",
            "a short stall of the reader loses lines",
            "memory, for as long as the reader stands still",
        ),
    ] = Field(
        8_388_608,
        ge=65_536,
        le=1_073_741_824,
        description="log lines that wait for standard output, bytes; lines beyond are dropped and counted",
    )

    @field_validator("sqs_queue_url", mode="before")
    @classmethod
    def _check_no_arn(cls, value: Any) -> Any:
        if isinstance(value, str) and value.startswith("arn:"):
            raise MismatchedSetting("it is an ARN", "set it to the queue's URL, https://HOST/ACCOUNT/NAME")
        return value

    @field_validator("sqs_queue_url")
    @classmethod
    def _check_queue(cls, value: str, info: ValidationInfo) -> str:
        refuse_no_queue(value, info)
        return value

    @field_validator("log_level", "sync_policy", "command_engine", mode="before")
    @classmethod
    def _to_lower_case(cls, value: Any) -> Any:
        return value.strip().lower() if isinstance(value, str) else value

    @field_validator("sqs_transport", "sns_transport", mode="before")
    @classmethod
    def _replace_transport_alias(cls, value: Any) -> Any:
        name = value.strip().lower() if isinstance(value, str) else value
        return _TRANSPORT_ALIASES.get(name, name)

    @field_validator("sync_policy")
    @classmethod
    def _check_policy_engine(cls, value: PolicyInUse, info: ValidationInfo) -> PolicyInUse:
        engine = info.data.get("command_engine")
        if value is not PolicyInUse.LEGACY and engine is Engine.LEGACY:
            raise MismatchedSetting(
                f"{value.value} needs the composed engine", "set COMMAND_ENGINE to composed, or SYNC_POLICY to legacy"
            )
        return value

    @field_validator("unassign_on_unavailable")
    @classmethod
    def _check_creation(cls, value: bool, info: ValidationInfo) -> bool:
        if value and info.data.get("create_work_items") is False:
            raise MismatchedSetting(
                "it un-assigns a conversation only where its work-item is created",
                "set CREATE_WORK_ITEMS to true, or UNASSIGN_ON_UNAVAILABLE to false",
            )
        return value

    @field_validator("mongodb_uri")
    @classmethod
    def _check_connection_string(cls, value: SecretStr) -> SecretStr:
        return check_connection_string(value)

    @field_validator("composed_updates")
    @classmethod
    def _check_composed_updates(cls, value: str) -> str:
        unknown = sorted(set(_listed(value)) - set(FUNNEL_ROW_NAMES))
        if unknown:
            raise ValueError(f"it contains unknown updates: {', '.join(unknown)}")
        return value

    @field_validator("max_fields")
    @classmethod
    def _check_max_fields(cls, value: str) -> str:
        limits = [part.partition("=") for part in _listed(value)]
        bad = [
            "".join(limit)
            for limit in limits
            if limit[0] not in set(UpdateOrigin) or not limit[2].isdecimal() or int(limit[2]) < 1
        ]
        origins = [origin for origin, _, _ in limits]
        repeated = sorted({origin for origin in origins if origins.count(origin) > 1})
        if bad:
            raise ValueError(f"{', '.join(map(repr, bad))} must have the form ORIGIN=NUMBER with a number of 1 or more")
        if repeated:
            raise ValueError(f"it has more than one limit for {', '.join(repeated)}")
        return value

    @property
    def rollout(self) -> EngineRollout:
        """The engine for each update, and the limits of fields."""
        limits = (part.partition("=") for part in _listed(self.max_fields))
        return EngineRollout(
            engine=self.command_engine,
            composed_updates=frozenset(_listed(self.composed_updates)),
            fields_max={UpdateOrigin(origin): int(count_max) for origin, _, count_max in limits},
        )


def _listed(value: str) -> list[str]:
    return [part.strip() for part in value.split(",") if part.strip()]
