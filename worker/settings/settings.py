"""All settings of `routing-sync run`.

A variable has the field's name in capitals. An empty variable counts as not set. All errors are reported together. AWS
credentials are not among the settings: AWS's library finds them by its default chain.
"""

import re
from typing import Any, Final, Literal

from pydantic import Field, SecretStr, ValidationInfo, field_validator

from commands.rollout import FUNNEL_ROW_NAMES, Engine, EngineRollout, UpdateOrigin
from handlers.options import GAP_SECONDS, IVR_SECONDS, PolicyInUse
from worker.ports import SQS_ENTRIES_MAX
from worker.settings.aws import TopicSettings, refuse_no_queue
from worker.settings.datadog import DatadogSettings
from worker.settings.errors import MismatchedSetting

Transport = Literal["http", "library"]
_TRANSPORT_ALIASES: Final = {"lean": "http"}
"""Former values that stay valid."""


class Settings(TopicSettings, DatadogSettings):
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
    sync_gap_seconds: float = Field(
        GAP_SECONDS,
        ge=1,
        le=86_400,
        description="longest time from a write until its event is visible in the queue; above the visibility timeout",
    )
    heartbeat_seconds: float = Field(
        20,
        ge=0,
        le=30,
        description="interval of the heartbeats that tell a quiet system from SNS being silent; 0: no heartbeats, and "
        "quiet times close no gaps",
    )
    state_days: int = Field(30, ge=1, le=3_650, description="days for which the sync state of a completed pair is kept")
    revision_days: int = Field(
        400,
        ge=0,
        le=3_650,
        description="days for which the timings of a work-item's revisions are kept; 0 keeps them for ever",
    )
    waiting_times: bool = Field(
        False, description="record how long work-items wait in their queues; the records are kept for 90 days"
    )
    queue_metrics_max: int = Field(
        100,
        ge=0,
        le=10_000,
        description="most queues of which metrics are sent, with WAITING_TIMES; each is a tag value; 0: none",
    )
    sweep_interval_seconds: float = Field(
        300, ge=0, le=86_400, description="interval of the sweep for pairs that drifted apart; 0: no sweep"
    )
    sweep_full_seconds: float = Field(
        86_400,
        ge=0,
        le=31_536_000,
        description="time between two sweeps of everything that is stored; 0: none but by the verb `sweep --all`",
    )
    ivr_seconds: float = Field(
        IVR_SECONDS, ge=1, le=86_400, description="time after which a work-item in ivr that was never queued is told"
    )
    composed_updates: str = Field(
        "", description=f"updates that the composed engine takes from the legacy engine: {', '.join(FUNNEL_ROW_NAMES)}"
    )
    max_fields: str = Field("", description="most fields an update may have, by origin, for example api=2,router=3")
    state_from_events: bool = Field(True, description="write an event's snapshot to the store if the snapshot is newer")
    create_work_items: bool = Field(
        False, description="create the work-item of an open, not ended conversation that has no active one"
    )
    unassign_on_unavailable: bool = Field(
        False,
        description="un-assign a re-opened conversation whose users have no active session; needs CREATE_WORK_ITEMS",
    )
    queue_rules: bool = Field(False, description="queue ivr work-items by the queue rules of their org")
    rules_seconds: float = Field(
        30, ge=0, le=3_600, description="time for which the queue rules of an org are kept in memory"
    )
    receivers: int = Field(4, ge=1, le=64, description="parallel receivers, ten messages per call")
    lanes: int = Field(2, ge=1, le=256, description="parallel lanes; a conversation always goes to the same lane")
    batch_max: int = Field(200, ge=1, le=500, description="largest number of messages in a batch")
    in_hand_max: int = Field(
        800, ge=10, le=100_000, description="limit of messages in flight; at the limit, receiving waits"
    )
    in_hand_bytes_max: int = Field(
        33_554_432,
        ge=1_048_576,
        le=1_073_741_824,
        description="limit of the bytes of the bodies in flight; at the limit, receiving waits; the calls under way "
        "bring up to ten messages each",
    )
    shutdown_seconds: float = Field(
        20,
        ge=1,
        le=600,
        description="after a stop signal, time to finish the messages in flight, return the others to the queue and "
        "publish; ending the receive calls takes up to 1 s more",
    )
    store_deadline_seconds: float = Field(10, ge=1, le=300, description="deadline of one attempt on the store")
    store_retry_first_seconds: float = Field(
        0.5, ge=0.05, le=60, description="first retry delay while the store is away"
    )
    store_retry_max_seconds: float = Field(
        15, ge=0.1, le=300, description="longest retry delay while the store is away"
    )
    retry_first_seconds: float = Field(2, ge=0, le=900, description="delay of a message's first redelivery")
    retry_max_seconds: float = Field(900, ge=1, le=43_200, description="longest delay of a redelivery")
    call_retry_first_seconds: float = Field(0.2, ge=0.01, le=60, description="first delay after a failed AWS call")
    call_retry_max_seconds: float = Field(15, ge=0.1, le=300, description="longest delay after failed AWS calls")
    event_bytes_max: int = Field(
        1_048_576, ge=1_024, le=1_048_576, description="size of the largest message body that is read, bytes"
    )
    # MongoDB stores at most 100 levels, and an event is stored some levels down in a document.
    event_depth_max: int = Field(64, ge=8, le=90, description="deepest nesting of a message body that is read, levels")
    relay_age_seconds: float = Field(30, ge=0, le=86_400, description="age from which the relay takes an outbox entry")
    relay_interval_seconds: float = Field(5, ge=0.05, le=3_600, description="interval between two rounds of the relay")
    publish_waiting_max: int = Field(
        2_000, ge=1, le=100_000, description="limit of events that wait in memory to be published"
    )
    status_seconds: float = Field(
        0,
        ge=0,
        le=3_600,
        description="interval at which the worker leaves its health and last decisions in the store, for the status "
        "page; 0: it leaves none",
    )
    silence_seconds: float = Field(
        90, ge=30, le=3_600, description="time without progress after which the worker is not ready"
    )
    http_host: str = Field(
        "127.0.0.1", description="address on which /healthz and /readyz are served; :: takes IPv4 too", min_length=1
    )
    http_port: int = Field(8080, ge=0, le=65_535, description="port of HTTP_HOST; 0 takes a free one and logs it")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="lowest level that is logged")
    log_buffer_bytes: int = Field(
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

    @field_validator("heartbeat_seconds")
    @classmethod
    def _check_heartbeat_interval(cls, value: float) -> float:
        if 0 < value < 1:
            raise MismatchedSetting("it is less than 1 s", "set it to a number from 1 to 30, or to 0 for no heartbeats")
        return value

    @field_validator("sweep_interval_seconds")
    @classmethod
    def _check_sweep_interval(cls, value: float) -> float:
        if 0 < value < 10:
            raise MismatchedSetting("it is less than 10 s", "set it to at least 10, or to 0 for no sweep")
        return value

    @field_validator("mongodb_uri")
    @classmethod
    def _check_connection_string(cls, value: SecretStr) -> SecretStr:
        if not re.match(r"mongodb(\+srv)?://\S+$", value.get_secret_value()):
            raise ValueError("it is not a MongoDB connection string")
        # The driver would take what stands before the / or ? for the host, and look up a part of the password. In the
        # value of an option, an @ is none of a user.
        if re.match(r"[^:]+://[^@/?]*(/[^?]*@|/?\?[^=]*@)", value.get_secret_value()):
            raise MismatchedSetting(
                "it has an @ behind a / or ?", "write %2F for a / in the password, %3F for a ?, %40 for an @"
            )
        return value

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

    @field_validator("in_hand_max")
    @classmethod
    def _check_room_for_receivers(cls, value: int, info: ValidationInfo) -> int:
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
    def _check_longest_delay(cls, value: float, info: ValidationInfo) -> float:
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
