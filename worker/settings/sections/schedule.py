"""The settings of what the worker does by time: gap, heartbeats, sweep, and how long records are kept."""

from typing import Annotated

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from handlers.options import GAP_SECONDS, IVR_SECONDS
from worker.settings.errors import MismatchedSetting
from worker.settings.protection import Protection


class ScheduleSettings(BaseSettings):
    """When a missing event counts as lost, how often the sweep runs, and how long records are kept."""

    model_config = SettingsConfigDict(env_ignore_empty=True, extra="ignore", frozen=True)

    sync_gap_seconds: Annotated[
        float,
        Protection(
            "a pair from a decision without an event that is still on its way",
            "an event that is only late counts as lost: the older value may win; not above the queue's visibility "
            "timeout, the worker does not start",
            "always safe: a pair whose event was lost is out of step for so long",
        ),
    ] = Field(
        GAP_SECONDS,
        ge=1,
        le=86_400,
        description="longest time from a write until its event is visible in the queue; above the visibility timeout",
    )
    heartbeat_seconds: Annotated[
        float,
        Protection(
            "a quiet system from being taken for a silent SNS; each heartbeat reaches one worker",
            "some more calls to SNS and SQS",
            "above 60 s divided by the number of workers, a quiet worker has no watermark: its pairs wait",
        ),
    ] = Field(
        20,
        ge=0,
        le=30,
        description="interval of the heartbeats that tell a quiet system from SNS being silent; 0: no heartbeats, and "
        "quiet times close no gaps",
    )
    state_days: Annotated[
        int,
        Protection(
            "MongoDB's disk; keep it above the retention of the queue and of the dead-letter queue together",
            "a late or redriven event of a finished pair is taken for news",
            "one document a finished pair is kept for so long",
        ),
    ] = Field(30, ge=1, le=3_650, description="days for which the sync state of a completed pair is kept")
    revision_days: Annotated[
        int,
        Protection(
            "MongoDB's disk",
            "timings are gone before reports have read them",
            "one record is kept for each revision that the worker wrote",
        ),
    ] = Field(
        400,
        ge=0,
        le=3_650,
        description="days for which the timings of a work-item's revisions are kept; 0 keeps them for ever",
    )
    audit_days: Annotated[
        int,
        Protection(
            "MongoDB's disk and its writes",
            "who changed an older conversation, and why, stands in the log alone",
            "one record of about a kilobyte is kept for each decision",
        ),
    ] = Field(
        30,
        ge=0,
        le=3_650,
        description="days for which the audit records of decisions are kept in the store; 0: none are",
    )
    queue_metrics_max: Annotated[
        int,
        Protection(
            "Datadog's bill: each queue is two time series",
            "the queues with the highest ids have no metrics, and the log says so",
            "custom metrics cost money by their number",
        ),
    ] = Field(
        100,
        ge=0,
        le=10_000,
        description="most queues of which metrics are sent, with WAITING_TIMES; each is a tag value; 0: none",
    )
    sweep_interval_seconds: Annotated[
        float,
        Protection(
            "MongoDB from the sweep's reads",
            "rounds that find nothing, each with its queries",
            "a pair that drifted apart, and that no event brings back, stays so for so long",
        ),
    ] = Field(300, ge=0, le=86_400, description="interval of the sweep for pairs that drifted apart; 0: no sweep")
    sweep_full_seconds: Annotated[
        float,
        Protection(
            "MongoDB from reading everything: some ten minutes for a million documents",
            "all documents are read again and again, and leave MongoDB's cache to nothing else",
            "a write in a shell, or a restored document, is found so late",
        ),
    ] = Field(
        86_400,
        ge=0,
        le=31_536_000,
        description="time between two sweeps of everything that is stored; 0: none but by the verb `sweep --all`",
    )
    ivr_seconds: Annotated[
        float,
        Protection(
            "customers whom no queue ever got",
            "work-items whose ivr is still under way are told, and with QUEUE_RULES queued",
            "a forgotten customer waits for so long before anything says so",
        ),
    ] = Field(
        IVR_SECONDS, ge=1, le=86_400, description="time after which a work-item in ivr that was never queued is told"
    )
    rules_seconds: Annotated[
        float,
        Protection(
            "MongoDB from one read of the queue rules for each work-item",
            "more reads; with 0 they are read each time",
            "a changed rule is applied so late",
        ),
    ] = Field(30, ge=0, le=3_600, description="time for which the queue rules of an org are kept in memory")
    status_seconds: Annotated[
        float,
        Protection(
            "MongoDB from a write of each worker at each interval",
            "writes that nobody looks at",
            "the status page shows health and decisions so late",
        ),
    ] = Field(
        0,
        ge=0,
        le=3_600,
        description="interval at which the worker leaves its health and last decisions in the store, for the status "
        "page; 0: it leaves none",
    )
    silence_seconds: Annotated[
        float,
        Protection(
            "the queue from a worker that hangs: it is not ready, and alerts",
            "a slow store makes the worker not ready",
            "a worker that hangs is noticed so late",
        ),
    ] = Field(90, ge=30, le=3_600, description="time without progress after which the worker is not ready")

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
