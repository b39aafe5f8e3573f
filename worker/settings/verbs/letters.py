"""The settings of `routing-sync dead-letters` and `routing-sync redrive`: the queue, and what the reader takes."""

from typing import Any

from pydantic import Field, ValidationInfo, field_validator

from worker.ports.aws_calls import is_fifo
from worker.settings.errors import MismatchedSetting
from worker.settings.sections.aws import AwsSettings, refuse_no_queue
from worker.settings.settings import Settings

_WORKER: Any = Settings.model_fields


class LetterSettings(AwsSettings):
    """Where the letters are, and the limits by which the workers read them."""

    sqs_queue_url: str = Field(
        description="URL of the queue of events; its redrive policy names the dead-letter queue",
        pattern=r"^https?://\S+$",
    )
    sqs_dead_letter_queue_url: str | None = Field(
        None,
        description="URL of the dead-letter queue; if it is not set, the one that the queue's redrive policy names",
        pattern=r"^https?://\S+$",
    )
    event_bytes_max: int = _WORKER["event_bytes_max"]
    event_depth_max: int = _WORKER["event_depth_max"]

    @field_validator("sqs_queue_url")
    @classmethod
    def _check_queue(cls, value: str, info: ValidationInfo) -> str:
        refuse_no_queue(value, info)
        return value

    @field_validator("sqs_dead_letter_queue_url")
    @classmethod
    def _check_dead_letter_queue(cls, value: str | None, info: ValidationInfo) -> str | None:
        queue = info.data.get("sqs_queue_url")
        if value is None or queue is None:
            return value
        refuse_no_queue(value, info)
        if value == queue:
            raise MismatchedSetting("it is the queue of SQS_QUEUE_URL", "set it to the dead-letter queue, or unset it")
        if is_fifo(value) != is_fifo(queue):
            raise MismatchedSetting(
                f"of it and SQS_QUEUE_URL {queue} only one is a FIFO queue", "set both to queues of one kind"
            )
        return value
