"""The settings of `routing-sync explain`: the store that it reads. They are the worker's, with the same checks."""

from typing import Any, ClassVar

from pydantic import SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from worker.settings.settings import Settings, check_connection_string

_WORKER: Any = Settings.model_fields


class ExplainSettings(BaseSettings):
    """Where the kept audit is, and for how long it is kept."""

    model_config: ClassVar[SettingsConfigDict] = SettingsConfigDict(env_ignore_empty=True, extra="ignore", frozen=True)

    mongodb_uri: SecretStr = _WORKER["mongodb_uri"]
    mongodb_database: str = _WORKER["mongodb_database"]
    store_deadline_seconds: float = _WORKER["store_deadline_seconds"]
    audit_days: int = _WORKER["audit_days"]

    @field_validator("mongodb_uri")
    @classmethod
    def _check_connection_string(cls, value: SecretStr) -> SecretStr:
        return check_connection_string(value)
