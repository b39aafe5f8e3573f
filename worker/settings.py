"""The worker's settings: environment variables, all faults reported together, and the table that the docs show.

Each variable's name is the field's, in capitals. An empty variable counts as not set. Leaves out AWS credentials,
which the AWS library finds by itself.
"""

import re
from enum import Enum
from typing import Any, Literal, TypeVar

from msgspec import Struct
from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, SettingsConfigDict

from commands.rollout import UPDATE_NAMES, Engine, EngineRollout, UpdateOrigin
from handlers.options import GAP_SECONDS, PolicyInUse
from worker.ports import SQS_ENTRIES_MAX, AwsEndpoint
from worker.settings_errors import MismatchedSetting, bounds_of, choices_of, setting_error_line


class AwsSettings(BaseSettings):
    """Where AWS is."""

    model_config = SettingsConfigDict(env_ignore_empty=True, extra="ignore", frozen=True)

    aws_region: str = Field(description="AWS region of queue and topics", min_length=1)
    aws_endpoint_url: str | None = Field(
        None, description="address of LocalStack or moto; not set: AWS itself", pattern=r"^https?://[^/\s]+"
    )

    aws_endpoint_url_sqs: str | None = Field(
        None, description="the same for SQS alone; not set: AWS_ENDPOINT_URL", pattern=r"^https?://[^/\s]+"
    )
    aws_endpoint_url_sns: str | None = Field(
        None, description="the same for SNS alone; not set: AWS_ENDPOINT_URL", pattern=r"^https?://[^/\s]+"
    )

    @property
    def sqs_endpoint(self) -> AwsEndpoint:
        """Where SQS is."""
        return AwsEndpoint(region=self.aws_region, url=self.aws_endpoint_url_sqs or self.aws_endpoint_url)

    @property
    def sns_endpoint(self) -> AwsEndpoint:
        """Where SNS is."""
        return AwsEndpoint(region=self.aws_region, url=self.aws_endpoint_url_sns or self.aws_endpoint_url)


class TopicSettings(AwsSettings):
    """Where events are published."""

    sns_conversation_topic_arn: str = Field(
        description="topic of conversation events", pattern=r"^arn:[\w-]+:sns:[\w-]*:\d*:[\w.-]+$"
    )
    sns_work_item_topic_arn: str = Field(
        description="topic of work-item events", pattern=r"^arn:[\w-]+:sns:[\w-]*:\d*:[\w.-]+$"
    )


class Settings(TopicSettings):
    """All that `routing-sync run` reads."""

    sqs_queue_url: str = Field(description="queue to work on; it must have a redrive policy", pattern=r"^https?://\S+$")
    sqs_transport: Literal["lean", "library"] = Field(
        "lean", description="how messages are received and settled: by signed requests of our own, or by AWS's library"
    )
    sns_transport: Literal["lean", "library"] = Field(
        "lean", description="how events are published: by signed requests of our own, or by AWS's library"
    )
    mongodb_uri: SecretStr = Field(description="connection string of a replica set or a sharded cluster")
    mongodb_database: str = Field(
        "routing", description="database", min_length=1, max_length=63, pattern=r'^[^/\\. "$*<>:|?]+$'
    )
    command_engine: Engine = Field(Engine.COMPOSED, description="how an update is carried out")
    sync_policy: PolicyInUse = Field(
        PolicyInUse.CAUSAL, description="who decides which side is newer; causal and shadow need the composed engine"
    )
    sync_gap_seconds: float = Field(
        GAP_SECONDS,
        ge=1,
        le=86_400,
        description="a document not written for so many seconds has no event in flight; more than the queue's "
        "visibility timeout",
    )
    repair_foreign_syncs: bool = Field(
        False, description="a sync that is not ours asks the rules too: for a fleet with the predecessor in it"
    )
    state_days: int = Field(30, ge=1, le=3_650, description="days that the sync state of a completed pair is kept")
    composed_updates: str = Field(
        "", description=f"with the legacy engine: updates carried out the composed way, of {', '.join(UPDATE_NAMES)}"
    )
    max_fields: str = Field("", description="most fields an update may have, by origin: api=2,router=3")
    state_from_events: bool = Field(True, description="apply an event's snapshot to the store where it is newer")
    receivers: int = Field(4, ge=1, le=64, description="receivers side by side, ten messages a call")
    lanes: int = Field(2, ge=1, le=256, description="lanes side by side; a conversation always takes the same")
    batch_max: int = Field(200, ge=1, le=500, description="messages a lane takes as one batch at most")
    in_hand_max: int = Field(800, ge=10, le=100_000, description="messages in hand at most, then receiving waits")
    shutdown_seconds: float = Field(20, ge=1, le=600, description="seconds to finish what is in hand when stopped")
    store_deadline_seconds: float = Field(10, ge=1, le=300, description="seconds one attempt on the store may take")
    store_retry_first_seconds: float = Field(0.5, ge=0.05, le=60, description="first delay while the store is away")
    store_retry_max_seconds: float = Field(15, ge=0.1, le=300, description="longest delay while the store is away")
    retry_first_seconds: float = Field(2, ge=0, le=900, description="first delay of a message that comes back")
    retry_max_seconds: float = Field(900, ge=1, le=43_200, description="longest delay of a message that comes back")
    call_retry_first_seconds: float = Field(0.2, ge=0.01, le=60, description="first delay after an AWS call failed")
    call_retry_max_seconds: float = Field(15, ge=0.1, le=300, description="longest delay after AWS calls failed")
    event_bytes_max: int = Field(262_144, ge=1_024, le=1_048_576, description="largest message body read, bytes")
    # MongoDB keeps no more than 100 levels, and an event is stored some levels down.
    event_depth_max: int = Field(64, ge=8, le=90, description="deepest nesting read, levels")
    relay_age_seconds: float = Field(30, ge=0, le=86_400, description="age of outbox entries that the relay takes")
    relay_interval_seconds: float = Field(5, ge=0.05, le=3_600, description="seconds between two rounds of the relay")
    publish_waiting_max: int = Field(2_000, ge=1, le=100_000, description="events waiting to be announced in memory")
    silence_seconds: float = Field(90, ge=30, le=3_600, description="without progress for longer: not ready")
    http_host: str = Field("127.0.0.1", description="address that serves /healthz and /readyz", min_length=1)
    http_port: int = Field(8080, ge=0, le=65_535, description="its port; 0: a free one, told in the log")
    statsd_host: str | None = Field(None, description="host of the Datadog agent; not set: no metrics")
    statsd_port: int = Field(8125, ge=1, le=65_535, description="its UDP port")
    dd_service: str = Field("routing-worker", description="service named in logs and metrics", min_length=1)
    dd_version: str = Field("unknown", description="version named in logs and metrics", min_length=1)
    dd_env: str | None = Field(None, description="environment named in metrics")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="least level logged")

    @field_validator("log_level", "sync_policy", "command_engine", "sqs_transport", "sns_transport", mode="before")
    @classmethod
    def _in_lower_case(cls, value: Any) -> Any:
        return value.strip().lower() if isinstance(value, str) else value

    @field_validator("sync_policy")
    @classmethod
    def _has_its_engine(cls, value: PolicyInUse, info: ValidationInfo) -> PolicyInUse:
        engine = info.data.get("command_engine")
        if value is not PolicyInUse.LEGACY and engine is Engine.LEGACY:
            raise MismatchedSetting(
                f"{value.value} needs the composed engine", "set COMMAND_ENGINE to composed, or SYNC_POLICY to legacy"
            )
        return value

    @field_validator("mongodb_uri")
    @classmethod
    def _is_connection_string(cls, value: SecretStr) -> SecretStr:
        if not re.match(r"mongodb(\+srv)?://\S+$", value.get_secret_value()):
            raise ValueError("it is no MongoDB connection string")
        return value

    @field_validator("composed_updates")
    @classmethod
    def _are_updates(cls, value: str) -> str:
        unknown = sorted(set(_listed(value)) - set(UPDATE_NAMES))
        if unknown:
            raise ValueError(f"it names {', '.join(unknown)}, which are no updates")
        return value

    @field_validator("max_fields")
    @classmethod
    def _are_origins_with_numbers(cls, value: str) -> str:
        parts = [part.partition("=") for part in _listed(value)]
        bad = [
            "".join(part)
            for part in parts
            if part[0] not in set(UpdateOrigin) or not part[2].isdecimal() or int(part[2]) < 1
        ]
        origins = [origin for origin, _, _ in parts]
        twice = sorted({origin for origin in origins if origins.count(origin) > 1})
        if bad:
            raise ValueError(f"{', '.join(map(repr, bad))} is no origin with a number above 0")
        if twice:
            raise ValueError(f"it has more than one limit for {', '.join(twice)}")
        return value

    @property
    def rollout(self) -> EngineRollout:
        """How updates are carried out."""
        parts = (part.partition("=") for part in _listed(self.max_fields))
        return EngineRollout(
            engine=self.command_engine,
            composed_updates=frozenset(_listed(self.composed_updates)),
            fields_max={UpdateOrigin(origin): int(most) for origin, _, most in parts},
        )

    @field_validator("in_hand_max")
    @classmethod
    def _has_room_for_receivers(cls, value: int, info: ValidationInfo) -> int:
        receivers = info.data.get("receivers", 1)
        needed = SQS_ENTRIES_MAX * receivers
        if value < needed:
            raise MismatchedSetting(
                f"it is less than {needed}, {SQS_ENTRIES_MAX} for each of RECEIVERS {receivers}",
                f"set it to at least {needed}, or RECEIVERS to at most {value // SQS_ENTRIES_MAX}",
            )
        return value

    @field_validator("store_retry_max_seconds", "retry_max_seconds", "call_retry_max_seconds")
    @classmethod
    def _is_no_less_than_the_first(cls, value: float, info: ValidationInfo) -> float:
        first = str(info.field_name).replace("_max_", "_first_")
        least = info.data.get(first, 0)
        if value < least:
            raise MismatchedSetting(
                f"it is less than {first.upper()} {least:g}",
                f"set it to at least {least:g}, or {first.upper()} to at most {value:g}",
            )
        return value


def _listed(value: str) -> list[str]:
    return [part.strip() for part in value.split(",") if part.strip()]


S = TypeVar("S", bound=BaseSettings)


class SettingErrors(Struct, frozen=True, kw_only=True):
    """All that is wrong with the environment: a line each, naming the variable, what is wrong, and the remedy."""

    lines: tuple[str, ...]


def read_settings(kind: type[S]) -> S | SettingErrors:
    """The settings of that kind from the environment, or every fault at once. No secret is repeated."""
    try:
        return kind()
    except ValidationError as faults:
        return SettingErrors(
            lines=tuple(setting_error_line(kind, dict(fault)) for fault in faults.errors(include_input=False))
        )


class SettingRow(Struct, frozen=True, kw_only=True):
    """One variable for the docs."""

    name: str
    default: str
    meaning: str


def setting_rows() -> list[SettingRow]:
    """Every variable that `routing-sync run` reads, in the order of this file."""
    return [
        SettingRow(name=name.upper(), default=_default(field), meaning=_meaning(field))
        for name, field in Settings.model_fields.items()
    ]


def settings_table() -> str:
    """The rows as a table in Markdown: what the README shows, checked by a test."""
    rows = [f"| `{row.name}` | {row.default} | {row.meaning} |" for row in setting_rows()]
    return "\n".join(["| variable | default | meaning |", "|---|---|---|", *rows]) + "\n"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    if field.default is None:
        return "not set"
    if field.default == "":
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
