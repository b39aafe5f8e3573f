"""The settings that say where SQS and SNS are: the region, the endpoints and the topics."""

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from worker.ports import AwsEndpoint


class AwsSettings(BaseSettings):
    """The region and the addresses of AWS's services."""

    model_config = SettingsConfigDict(env_ignore_empty=True, extra="ignore", frozen=True)

    aws_region: str = Field(description="AWS region of the queue and the topics", min_length=1)
    aws_endpoint_url: str | None = Field(
        None, description="address of LocalStack or moto; if it is not set, AWS itself", pattern=r"^https?://[^/\s]+"
    )

    aws_endpoint_url_sqs: str | None = Field(
        None, description="the same for SQS only; if it is not set, AWS_ENDPOINT_URL", pattern=r"^https?://[^/\s]+"
    )
    aws_endpoint_url_sns: str | None = Field(
        None, description="the same for SNS only; if it is not set, AWS_ENDPOINT_URL", pattern=r"^https?://[^/\s]+"
    )

    @property
    def sqs_endpoint(self) -> AwsEndpoint:
        """The region and the address of SQS."""
        return AwsEndpoint(region=self.aws_region, url=self.aws_endpoint_url_sqs or self.aws_endpoint_url)

    @property
    def sns_endpoint(self) -> AwsEndpoint:
        """The region and the address of SNS."""
        return AwsEndpoint(region=self.aws_region, url=self.aws_endpoint_url_sns or self.aws_endpoint_url)


class TopicSettings(AwsSettings):
    """The topics to which events are published."""

    sns_conversation_topic_arn: str = Field(
        description="ARN of the topic of conversation events", pattern=r"^arn:[\w-]+:sns:[\w-]*:\d*:[\w.-]+$"
    )
    sns_work_item_topic_arn: str = Field(
        description="ARN of the topic of work-item events", pattern=r"^arn:[\w-]+:sns:[\w-]*:\d*:[\w.-]+$"
    )
