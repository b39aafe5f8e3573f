"""The settings that say where SQS and SNS are: the region, the endpoints and the topics.

Settings that contradict each other are refused: at best, AWS would answer that a queue or a topic does not exist.
"""

import re
from typing import Any, Final, assert_never
from urllib.parse import urlsplit

from pydantic import Field, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from sync.gates import Side
from worker.ports.aws_calls import AwsEndpoint, is_fifo
from worker.settings.errors import MismatchedSetting
from worker.settings.sections.aws_region import default_region, region_source

_REGION: Final = re.compile(r"[A-Za-z\d](?:[A-Za-z\d-]{0,61}[A-Za-z\d])?")
_AWS_HOSTS: Final = (".amazonaws.com", ".amazonaws.com.cn", ".amazonaws.eu", ".api.aws", ".localhost.localstack.cloud")
_REGION_LABEL: Final = re.compile(r"[a-z]+(?:-[a-z]+)+-\d+")
_NOT_SNS: Final = re.compile(r"arn:[\w-]+:(?!sns:)([\w-]+):")


class AwsSettings(BaseSettings):
    """The region and the addresses of AWS's services."""

    model_config = SettingsConfigDict(env_ignore_empty=True, extra="ignore", frozen=True)

    aws_region: str = Field(
        default_factory=default_region,
        validate_default=True,
        description="AWS region of the queue and the topics; if it is not set, AWS_DEFAULT_REGION, or the region of "
        "AWS_PROFILE",
    )
    aws_endpoint_url: str | None = Field(
        None, description="address of LocalStack or moto; if it is not set, AWS itself", pattern=r"^https?://[^/\s]+"
    )

    aws_endpoint_url_sqs: str | None = Field(
        None, description="the same for SQS only; if it is not set, AWS_ENDPOINT_URL", pattern=r"^https?://[^/\s]+"
    )
    aws_endpoint_url_sns: str | None = Field(
        None, description="the same for SNS only; if it is not set, AWS_ENDPOINT_URL", pattern=r"^https?://[^/\s]+"
    )
    aws_ignore_configured_endpoint_urls: bool = Field(
        False, description="ignore the three variables above, as AWS's library does"
    )

    @field_validator("aws_region")
    @classmethod
    def _check_region(cls, value: str) -> str:
        if not value:
            raise MismatchedSetting("it is not set", "set it, AWS_DEFAULT_REGION, or a region in the AWS profile")
        if not _REGION.fullmatch(value):
            source = region_source()
            named = "it" if source == "AWS_REGION" else f"{source} {value!r}"
            raise MismatchedSetting(f"{named} is not the name of a region", "set it to a region such as eu-central-1")
        return value

    @field_validator("aws_endpoint_url", "aws_endpoint_url_sqs", "aws_endpoint_url_sns")
    @classmethod
    def _check_port(cls, value: str | None) -> str | None:
        if value is not None:
            refuse_wrong_port(value)
        return value

    @property
    def sqs_endpoint(self) -> AwsEndpoint:
        """The region and the address of SQS."""
        return self._endpoint(self.aws_endpoint_url_sqs)

    @property
    def sns_endpoint(self) -> AwsEndpoint:
        """The region and the address of SNS."""
        return self._endpoint(self.aws_endpoint_url_sns)

    def _endpoint(self, url: str | None) -> AwsEndpoint:
        ignored = self.aws_ignore_configured_endpoint_urls
        return AwsEndpoint(region=self.aws_region, url=None if ignored else url or self.aws_endpoint_url)


class TopicSettings(AwsSettings):
    """The topics to which events are published."""

    sns_conversation_topic_arn: str = Field(
        description="ARN of the topic of conversation events", pattern=r"^arn:[\w-]+:sns:[\w-]*:\d*:[\w.-]+$"
    )
    sns_work_item_topic_arn: str = Field(
        description="ARN of the topic of work-item events", pattern=r"^arn:[\w-]+:sns:[\w-]*:\d*:[\w.-]+$"
    )

    @field_validator("sns_conversation_topic_arn", "sns_work_item_topic_arn", mode="before")
    @classmethod
    def _check_service(cls, value: Any) -> Any:
        other = _NOT_SNS.match(value) if isinstance(value, str) else None
        if other:
            raise MismatchedSetting(f"it is an ARN of {other[1]}", "set it to the ARN of an SNS topic, arn:aws:sns:…")
        return value

    @field_validator("sns_conversation_topic_arn", "sns_work_item_topic_arn")
    @classmethod
    def _check_topic_region(cls, value: str, info: ValidationInfo) -> str:
        refuse_other_region(value.split(":")[3], info)
        return value

    @field_validator("sns_work_item_topic_arn")
    @classmethod
    def _check_swapped(cls, value: str, info: ValidationInfo) -> str:
        conversation_arn = info.data.get("sns_conversation_topic_arn")
        if conversation_arn and _names_other(conversation_arn, "conversation") and _names_other(value, "work-item"):
            raise MismatchedSetting(
                f"it has the name of a topic of conversation events, and SNS_CONVERSATION_TOPIC_ARN {conversation_arn} "
                "that of a topic of work-item events",
                "swap the two",
            )
        return value

    @property
    def topic_doubt(self) -> str | None:
        """What makes the topics look mistaken, though they may be meant; None: nothing."""
        conversation_arn, work_item_arn = self.sns_conversation_topic_arn, self.sns_work_item_topic_arn
        if conversation_arn == work_item_arn:
            return "SNS_CONVERSATION_TOPIC_ARN and SNS_WORK_ITEM_TOPIC_ARN are the same topic"
        if _names_other(conversation_arn, "conversation"):
            return "SNS_CONVERSATION_TOPIC_ARN has the name of a topic of work-item events"
        if _names_other(work_item_arn, "work-item"):
            return "SNS_WORK_ITEM_TOPIC_ARN has the name of a topic of conversation events"
        return None


def refuse_other_region(named: str | None, info: ValidationInfo) -> None:
    """Raise MismatchedSetting if a value names another region than the settings."""
    region = info.data.get("aws_region")
    if named and region and named != region:
        raise MismatchedSetting(
            f"it names the region {named}, {region_source()} is {region}", "set one to the other's region"
        )


def refuse_wrong_port(url: str) -> None:
    """Raise MismatchedSetting if the URL's host or port is none."""
    try:
        urlsplit(url).port  # noqa: B018 - it raises
    except ValueError as error:
        raise MismatchedSetting(
            "its host and port cannot be read", "write them as HOST:PORT, with a port from 1 to 65535"
        ) from error


def refuse_no_queue(url: str, info: ValidationInfo) -> None:
    """Raise MismatchedSetting if this is not the URL of a queue to which the topics of the settings can deliver."""
    refuse_wrong_port(url)
    parts = urlsplit(url)
    host = parts.hostname or ""
    if host.startswith("sns."):
        raise MismatchedSetting("it is an address of sns", "set it to the URL of an SQS queue")
    if not parts.path.strip("/"):
        raise MismatchedSetting("it names no queue", "set it to the queue's URL, https://HOST/ACCOUNT/NAME")
    refuse_other_region(_region_of(host), info)
    if not is_fifo(url):
        return
    for name in ("sns_conversation_topic_arn", "sns_work_item_topic_arn"):
        topic = info.data.get(name)
        if topic and not is_fifo(topic):
            raise MismatchedSetting(
                f"it is a FIFO queue, {name.upper()} {topic} is a standard topic and cannot deliver to it",
                "take FIFO topics with it (`routing-sync provision --fifo` makes all three), or a standard queue",
            )


def _region_of(host: str) -> str | None:
    """The region in the name of one of AWS's own hosts."""
    if host == "queue.amazonaws.com":
        return "us-east-1"
    if not host.endswith(_AWS_HOSTS):
        return None
    return next((label for label in host.split(".") if _REGION_LABEL.fullmatch(label)), None)


def _names_other(arn: str, side: Side) -> bool:
    """Whether the topic's name has the other side's word and not the word of its own side."""
    name = re.sub(r"[._-]", "", arn.rpartition(":")[2].lower())
    of_conversations, of_work_items = "conversation" in name, "workitem" in name
    match side:
        case "conversation":
            return of_work_items and not of_conversations
        case "work-item":
            return of_conversations and not of_work_items
        case _:
            assert_never(side)
