"""The MongoDB client. The connection string sets credentials, TLS and the pool; the worker sets only deadlines."""

import asyncio
import contextlib
import re
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from pydantic import SecretStr
from pymongo import AsyncMongoClient
from pymongo.errors import PyMongoError

from worker.errors import Misconfigured
from worker.mongo.database import Client
from worker.mongo.driver_words import unquoted_words

_CLOSE_S_MAX: Final = 1.0
_IGNORED_TLS_OPTION: Final = re.compile(r"(?:option:? '?|value of )((?:tls|ssl)\w*)")
"""The driver's warning that it ignores an option. An ignored TLS option could mean an unencrypted connection."""


@asynccontextmanager
async def mongo_client(uri: SecretStr, deadline_s: float) -> AsyncIterator[Client]:
    """A client that has not connected yet, closed at the end.

    Raises Misconfigured; its message holds no part of the connection string, which may hold a password.
    """
    try:
        client = _client(uri, round(deadline_s * 1_000))
    except OSError as error:
        # The driver reads certificate and key files at once. The errors of ssl are OSErrors too.
        raise Misconfigured(
            f"MONGODB_URI: a file it names cannot be used ({type(error).__name__}): check tlsCAFile and "
            "tlsCertificateKeyFile"
        ) from error
    except (PyMongoError, ValueError) as error:
        words = unquoted_words(error, uri.get_secret_value())
        raise Misconfigured(f"MONGODB_URI: it cannot be read: check its form. The driver says: {words}") from error
    try:
        yield client
    finally:
        # Closing only tells the server to free resources, so a server that hangs is not waited for.
        with contextlib.suppress(TimeoutError, PyMongoError):
            async with asyncio.timeout(_CLOSE_S_MAX):
                await client.close()


def _client(uri: SecretStr, deadline_ms: int) -> Client:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        client: Client = AsyncMongoClient(
            uri.get_secret_value(),
            appname="routing-sync",
            serverSelectionTimeoutMS=min(deadline_ms, 5_000),
            connectTimeoutMS=min(deadline_ms, 5_000),
        )
    for warning in caught:
        option = _IGNORED_TLS_OPTION.search(str(warning.message))
        if option is not None:
            raise Misconfigured(
                f"MONGODB_URI: the driver cannot use its option {option[1]}: check the name and the value"
            )
    for warning in caught:
        warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
    return client
