"""The settings of the way of a message: receiving, lanes, the store, redelivery, publishing."""

from typing import Annotated

from pydantic import Field, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from worker.ports.message_queue import SQS_ENTRIES_MAX
from worker.settings.errors import MismatchedSetting
from worker.settings.protection import Protection


class ConsumptionSettings(BaseSettings):
    """How much is received, handled and published at a time, and when a failed step is tried again."""

    model_config = SettingsConfigDict(env_ignore_empty=True, extra="ignore", frozen=True)

    receivers: Annotated[
        int,
        Protection(
            "the time that a call to SQS takes: while one waits, others bring messages",
            "the lanes have no messages while SQS answers slowly",
            "more empty calls, which cost money on a quiet queue, and more connections",
        ),
    ] = Field(4, ge=1, le=64, description="parallel receivers, ten messages per call")
    lanes: Annotated[
        int,
        Protection(
            "the time that MongoDB takes: while one batch waits for it, another is decided",
            "with 1 the core is idle while MongoDB answers",
            "smaller transactions, which make an event dearer for the worker and for MongoDB",
        ),
    ] = Field(2, ge=1, le=256, description="parallel lanes; a conversation always goes to the same lane")
    batch_max: Annotated[
        int,
        Protection(
            "the size of one transaction, with which its time and its write conflicts grow",
            "more transactions for the same events: more CPU in the worker and in MongoDB",
            "transactions reach STORE_DEADLINE_SECONDS on a slow MongoDB, which costs a deadline each time until "
            "the worker makes them smaller, and a conflict repeats more work",
        ),
    ] = Field(
        200,
        ge=1,
        le=500,
        description="largest number of messages in a batch; for a while after a commit without an answer in "
        "STORE_DEADLINE_SECONDS: half the number of conversations in that commit, and at least 10, or BATCH_MAX "
        "where that is less",
    )
    in_hand_max: Annotated[
        int,
        Protection(
            "the worker's memory, the share of the other workers, and SQS's 120,000 messages in flight of one queue",
            "receiving pauses while there is work; a worker that pauses for long has no watermark",
            "one worker holds what others could handle; after a kill so many messages wait for the visibility timeout",
        ),
    ] = Field(800, ge=10, le=100_000, description="limit of messages in flight; at the limit, receiving waits")
    in_hand_bytes_max: Annotated[
        int,
        Protection(
            "the worker's memory, where messages are large; a parsed body takes several times its bytes",
            "large messages are received a few at a time, and receiving pauses",
            "a run of large messages exceeds the container's memory, and the kernel kills the worker",
        ),
    ] = Field(
        33_554_432,
        ge=1_048_576,
        le=1_073_741_824,
        description="limit of the bytes of the bodies in flight; at the limit, receiving waits; the calls under way "
        "bring up to ten messages each",
    )
    shutdown_seconds: Annotated[
        float,
        Protection(
            "the work under way at a stop; keep the platform's grace period some seconds above it",
            "batches are abandoned and their messages handed back: another worker does the work again",
            "above the grace period SIGKILL ends the worker, and its messages wait for the visibility timeout",
        ),
    ] = Field(
        20,
        ge=1,
        le=600,
        description="after a stop signal, time to finish the messages in flight, return the others to the queue and "
        "publish; ending the receive calls takes up to 1 s more",
    )
    store_deadline_seconds: Annotated[
        float,
        Protection(
            "the lanes from a store that hangs; keep it at half the queue's visibility timeout or less",
            "a store that is only slow counts as away: its transactions are given up and done again",
            "messages become visible again while their batch is under way, and are handled twice",
        ),
    ] = Field(10, ge=1, le=300, description="deadline of one attempt on the store")
    store_retry_first_seconds: Annotated[
        float,
        Protection(
            "a store that has just failed, as during an election",
            "attempts in quick succession while no primary is there",
            "each short outage costs about so long",
        ),
    ] = Field(0.5, ge=0.05, le=60, description="first retry delay while the store is away")
    store_retry_max_seconds: Annotated[
        float,
        Protection(
            "a store that is away for long from the attempts of the whole fleet",
            "every worker tries so often, on a store that is coming up",
            "the worker stands still for so long after the store is back",
        ),
    ] = Field(15, ge=0.1, le=300, description="longest retry delay while the store is away")
    retry_first_seconds: Annotated[
        float,
        Protection(
            "the deliveries of a message (maxReceiveCount), of which each attempt uses one",
            "a fault that passes within seconds uses up several deliveries",
            "the pair is out of step for so long after a fault that was gone at once",
        ),
    ] = Field(2, ge=0, le=900, description="delay of a message's first redelivery")
    retry_max_seconds: Annotated[
        float,
        Protection(
            "the deliveries of a message while a fault lasts: the delays double up to this one",
            "SQS moves messages to the dead-letter queue before the fault is mended",
            "after the fault is mended, a message comes back so late",
        ),
    ] = Field(900, ge=1, le=43_200, description="longest delay of a redelivery")
    call_retry_first_seconds: Annotated[
        float,
        Protection(
            "AWS's rate limits after a refused call",
            "repeated calls keep the throttling alive",
            "each single failed call costs about so long",
        ),
    ] = Field(0.2, ge=0.01, le=60, description="first delay after a failed AWS call")
    call_retry_max_seconds: Annotated[
        float,
        Protection(
            "AWS's rate limits, and the log, while SQS or SNS is away",
            "the whole fleet calls so often",
            "the worker stands still for so long after SQS is back, and publishes so late after SNS is back",
        ),
    ] = Field(15, ge=0.1, le=300, description="longest delay after failed AWS calls")
    event_bytes_max: Annotated[
        int,
        Protection(
            "memory and CPU from a huge message; no message of SQS is larger than the default",
            "events that are only large are dead-lettered: TOO_LARGE",
            "none: the default is the largest value",
        ),
    ] = Field(1_048_576, ge=1_024, le=1_048_576, description="size of the largest message body that is read, bytes")
    # MongoDB stores at most 100 levels, and an event is stored some levels down in a document.
    event_depth_max: Annotated[
        int,
        Protection(
            "the parser, and the store: MongoDB refuses documents of more than 100 levels",
            "events that are only deep are dead-lettered: TOO_DEEP",
            "deep events cost more CPU; at the largest value they can still be stored",
        ),
    ] = Field(64, ge=8, le=90, description="deepest nesting of a message body that is read, levels")
    relay_age_seconds: Annotated[
        float,
        Protection(
            "subscribers from doubles: a younger entry is published by the worker that wrote it",
            "the relay publishes entries that their own worker is about to publish: the event comes twice",
            "the event of a worker that was killed comes so late",
        ),
    ] = Field(30, ge=0, le=86_400, description="age from which the relay takes an outbox entry")
    relay_interval_seconds: Annotated[
        float,
        Protection(
            "MongoDB from the relay's queries, of every worker",
            "queries without need",
            "entries that were left behind wait for so long beyond RELAY_AGE_SECONDS",
        ),
    ] = Field(5, ge=0.05, le=3_600, description="interval between two rounds of the relay")
    publish_waiting_max: Annotated[
        int,
        Protection(
            "the worker's memory while SNS is slow or away",
            "a burst leaves events to the relay, which publishes them RELAY_AGE_SECONDS later",
            "memory grows with each event that waits; the outbox keeps them all the same",
        ),
    ] = Field(2_000, ge=1, le=100_000, description="limit of events that wait in memory to be published")

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
