"""All settings of `routing-sync serve`: those of the worker, of which the queue's is not needed, and the API's own."""

import ipaddress
from typing import Annotated, Final

from pydantic import Field, SecretStr, ValidationInfo, field_validator

from worker.settings.api_tokens import FORM, ApiToken, parse_api_tokens
from worker.settings.errors import MismatchedSetting
from worker.settings.protection import Protection
from worker.settings.sections.aws import refuse_no_queue
from worker.settings.settings import Settings

_LOOPBACK_NAME: Final = "localhost"


class ServeSettings(Settings):
    """All settings of `routing-sync serve`."""

    sqs_queue_url: str = Field("", description="URL of the queue of events; not used", pattern=r"^(https?://\S+)?$")
    api_tokens: SecretStr = Field(
        SecretStr(""),
        description=f"tokens of the API's clients, separated by commas, each as {FORM}; ROLE is read, write or router; "
        "SHA256 is the token's digest in hexadecimal digits; without tokens only loopback is served",
    )
    api_host: str = Field(
        "127.0.0.1", description="address on which the API and the status page are served", min_length=1
    )
    api_port: int = Field(8090, ge=0, le=65_535, description="port of API_HOST; 0 takes a free one and logs it")
    api_body_bytes_max: Annotated[
        int,
        Protection(
            "memory from a huge request",
            "updates that are meant are answered 413",
            "a few clients can fill the memory: so many bytes for each request under way",
        ),
    ] = Field(65_536, ge=1_024, le=1_048_576, description="size of the largest request body that is read, bytes")
    api_requests_per_second: Annotated[
        float,
        Protection(
            "the other clients, and MongoDB, from a client that sends without a pause; each process counts alone",
            "clients that work as they should are answered 429",
            "one client takes the whole core",
        ),
    ] = Field(
        100, ge=0.1, le=100_000, description="requests that each client may send, over time; a burst may be twice that"
    )
    api_concurrency_max: Annotated[
        int,
        Protection(
            "memory, and MongoDB's connections, while MongoDB is slow",
            "requests of a short burst are answered 503",
            "more updates at once wait for a slow store, each with its memory and a connection",
        ),
    ] = Field(
        64,
        ge=1,
        le=10_000,
        description="requests that are handled at the same time; of several tokens each may take half",
    )
    api_timeout_seconds: Annotated[
        float,
        Protection(
            "clients from waiting without an end",
            "updates that the store finishes are answered 503, and clients send them again",
            "a client waits for so long while MongoDB is slow",
        ),
    ] = Field(10, ge=0.1, le=300, description="longest time until a request is answered")

    @field_validator("sqs_queue_url")
    @classmethod
    def _check_queue(cls, value: str, info: ValidationInfo) -> str:
        if value:
            refuse_no_queue(value, info)
        return value

    @field_validator("api_tokens")
    @classmethod
    def _check_api_tokens(cls, value: SecretStr) -> SecretStr:
        try:
            parse_api_tokens(value.get_secret_value())
        except ValueError as fault:
            raise MismatchedSetting(str(fault), f"write each token as {FORM}") from fault
        return value

    @field_validator("api_host")
    @classmethod
    def _check_loopback(cls, value: str, info: ValidationInfo) -> str:
        tokens = info.data.get("api_tokens")
        if tokens is not None and not tokens.get_secret_value().strip(" ,") and not is_loopback(value):
            raise MismatchedSetting(
                "it is not a loopback address, and API_TOKENS is not set",
                "set API_TOKENS, or API_HOST to 127.0.0.1",
            )
        return value

    @property
    def tokens(self) -> tuple[ApiToken, ...]:
        """The tokens of the API's clients; none: only loopback is served."""
        return parse_api_tokens(self.api_tokens.get_secret_value())


def is_loopback(host: str) -> bool:
    """Whether this is a loopback address, or the name of one."""
    if host.lower() == _LOOPBACK_NAME:
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
