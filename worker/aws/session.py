"""A session of AWS's library: its configuration, and the credentials that all clients made of it share.

STS, SSO and credential agents are called by clients that the library makes by itself; they get the session's region,
timeouts and checked parsers, too.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from aiobotocore.config import AioConfig
from aiobotocore.credentials import create_credential_resolver
from aiobotocore.session import get_session
from botocore.exceptions import BotoCoreError
from botocore.loaders import create_loader

from handlers.ports import Clock
from worker.aws.credentials import SharedCredentials
from worker.aws.errors import KEYS_REFUSED, CredentialsAway
from worker.aws.responses import CheckedParsers
from worker.errors import Misconfigured, first_line

CONNECT_TIMEOUT_S: Final = 3
CALL_TIMEOUT_S: Final = 10
RETRIES: Final[Any] = {"total_max_attempts": 2, "mode": "standard"}
"""One second try at once, for a connection that the server closed. Longer retries are the caller's decision."""
_LOADER: Final = create_loader()
"""Reads AWS's service descriptions, which are large files, once for all sessions."""

_ACCESS_KEY: Final = "routing_sync_access_key"
"""Where the context of a request of the library has the access key that signed it."""


class _SharedProvider:
    """The session's component that finds credentials."""

    def __init__(self, credentials: SharedCredentials) -> None:
        self._credentials = credentials

    async def load_credentials(self) -> SharedCredentials:
        return self._credentials


@asynccontextmanager
async def aws_session(region: str, clock: Clock) -> AsyncIterator[Any]:
    """A session for clients in that region. Its credentials are looked for at the first call that needs them.

    Raises Misconfigured. The type is Any: the session's own type needs the stubs of every AWS service.
    """
    session: Any = get_session()
    session.set_config_variable("region", region)
    session.set_default_client_config(
        AioConfig(connect_timeout=CONNECT_TIMEOUT_S, read_timeout=CALL_TIMEOUT_S, retries=RETRIES)
    )
    session.register_component("data_loader", _LOADER)
    session.register_component("response_parser_factory", CheckedParsers())
    cache: dict[str, Any] = {}
    try:
        chain: Any = create_credential_resolver(session, cache=cache, region_name=region)
    except (BotoCoreError, ValueError) as error:
        raise Misconfigured(
            f"AWS's configuration: {first_line(error)}: check the AWS profile and the AWS_… variables"
        ) from error

    async def load() -> Any:
        # The cache holds roles' keys until they expire, those that AWS has refused, too.
        cache.clear()
        found = await chain.load_credentials()
        agent = session.get_config_variable("ec2_metadata_service_endpoint")
        if found is None and agent:
            # The default address may have no service behind it at all; an address that is set has one, sooner or later.
            raise CredentialsAway(reason=f"the metadata service at {agent} gave none")
        return found

    credentials = SharedCredentials(load, token_files=lambda: _token_files(session), clock=clock)
    session.register_component("credential_provider", _SharedProvider(credentials))

    def discard_refused_keys(request_dict: Any, response: Any = None, **_: Any) -> None:
        """Handle the library's event after each answer, which has the parsed body in `response`."""
        if response is not None and response[1].get("Error", {}).get("Code") in KEYS_REFUSED:
            credentials.discard(request_dict["context"].get(_ACCESS_KEY))

    events = session.get_component("event_emitter")
    for service in ("sqs", "sns"):
        # Last, because the library signs the request in a handler of the same event.
        events.register_last(f"request-created.{service}", _keep_access_key)
        events.register(f"needs-retry.{service}", discard_refused_keys)
    try:
        yield session
    finally:
        await credentials.close()


def _keep_access_key(request: Any, **_: Any) -> None:
    signed = str(request.headers.get("Authorization", ""))
    request.context[_ACCESS_KEY] = signed.partition("Credential=")[2].partition("/")[0]


def _token_files(session: Any) -> set[str]:
    """The files of identity tokens that variables and profiles name. A platform mounts and replaces them."""
    variables = ("AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE")
    profiles = session.full_config.get("profiles", {}).values()
    named = [os.environ.get(variable) for variable in variables]
    named += [profile.get("web_identity_token_file") for profile in profiles]
    return {name for name in named if name}
