"""Where an AWS service is. Apart from the clients, so that reading the settings costs no import of AWS's library."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class AwsEndpoint:
    """`url` None for AWS itself, an address for LocalStack or moto."""

    region: str
    url: str | None = None
