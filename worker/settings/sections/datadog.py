"""The settings of Datadog's agent and of the tags, under the names that Datadog's own clients and tracers read."""

import re
from typing import Any, Final

from pydantic import Field, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from worker.settings.errors import MismatchedSetting
from worker.telemetry.agent.address import DEFAULT_PORT, AgentAddress, UnixAddress, parse_agent_address

_UNIFIED: Final = ("service", "version", "env")
"""The tags that have a variable each."""


class DatadogSettings(BaseSettings):
    """Where the metrics go, and the tags that go with every value."""

    model_config = SettingsConfigDict(env_ignore_empty=True, extra="ignore", frozen=True)

    statsd_host: str | None = Field(
        None,
        description="host of the Datadog agent, or `unix:///PATH` of its socket; without it DD_DOGSTATSD_URL, "
        "DD_DOGSTATSD_SOCKET or DD_AGENT_HOST, in this order; without any of them there are no metrics",
    )
    statsd_port: int = Field(DEFAULT_PORT, ge=1, le=65_535, description="UDP port of STATSD_HOST")
    dd_dogstatsd_url: str | None = Field(
        None, description="address of the Datadog agent, `udp://HOST:PORT` or `unix:///PATH`"
    )
    dd_dogstatsd_socket: str | None = Field(None, description="path of the Datadog agent's Unix socket")
    dd_agent_host: str | None = Field(None, description="host of the Datadog agent")
    dd_dogstatsd_port: int = Field(DEFAULT_PORT, ge=1, le=65_535, description="UDP port of DD_AGENT_HOST")
    dd_service: str = Field("routing-worker", description="service name in logs and metrics", min_length=1)
    dd_version: str = Field("unknown", description="version in logs and metrics", min_length=1)
    dd_env: str | None = Field(None, description="environment name in logs and metrics")
    dd_tags: str = Field(
        "",
        description="further tags of metrics, as `team:routing,tier:2`; its service, version and env stand where "
        "DD_SERVICE, DD_VERSION and DD_ENV are not set",
    )

    @property
    def agent_address(self) -> AgentAddress | None:
        """The Datadog agent's address; None: no metrics."""
        if self.statsd_host is not None:
            return parse_agent_address(self.statsd_host, port=self.statsd_port)
        if self.dd_dogstatsd_url is not None:
            return parse_agent_address(self.dd_dogstatsd_url)
        if self.dd_dogstatsd_socket is not None:
            return UnixAddress(path=self.dd_dogstatsd_socket.removeprefix("unix://"))
        if self.dd_agent_host is not None:
            return parse_agent_address(self.dd_agent_host, port=self.dd_dogstatsd_port)
        return None

    @property
    def metric_tags(self) -> list[str]:
        """The tags of every value."""
        unified = {"service": self.dd_service, "version": self.dd_version, "env": self.dd_env}
        further = [tag for tag in _tags(self.dd_tags) if tag.partition(":")[0] not in _UNIFIED]
        return [*(f"{name}:{value}" for name, value in unified.items() if value), *further]

    @model_validator(mode="before")
    @classmethod
    def _take_unified_tags(cls, values: Any) -> Any:
        if not isinstance(values, dict) or not isinstance(values.get("dd_tags"), str):
            return values
        named = {f"dd_{name}": value for name, _, value in (tag.partition(":") for tag in _tags(values["dd_tags"]))}
        return {**{f"dd_{name}": value for name in _UNIFIED if (value := named.get(f"dd_{name}"))}, **values}

    @field_validator("statsd_host", "dd_agent_host", "dd_dogstatsd_url")
    @classmethod
    def _check_address(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                parse_agent_address(value)
            except ValueError as fault:
                raise MismatchedSetting(str(fault), "set it to udp://HOST:PORT or unix:///PATH") from fault
        return value

    @field_validator("dd_dogstatsd_url")
    @classmethod
    def _check_scheme(cls, value: str | None) -> str | None:
        if value is not None and "://" not in value:
            raise MismatchedSetting("it is not a URL", "set it to udp://HOST:PORT or unix:///PATH")
        return value

    @field_validator("dd_dogstatsd_socket")
    @classmethod
    def _check_path(cls, value: str | None) -> str | None:
        if value is not None and not value.removeprefix("unix://").startswith("/"):
            raise MismatchedSetting("it is not an absolute path", "set it to the path of the agent's socket")
        return value


def _tags(text: str) -> list[str]:
    """The tags, which a comma or, where there is none, a blank separates, as Datadog's tracers read them."""
    parts = text.split(",") if "," in text else re.split(r"\s+", text)
    return [part.strip() for part in parts if part.strip()]
