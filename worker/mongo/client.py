"""The MongoDB client as the connection string wants it: credentials, TLS and pool are its options, and none is ours."""

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

_CLOSE_SECONDS_MAX: Final = 1.0
_TLS_DOUBT: Final = re.compile(r"(?:option:? '?|value of )((?:tls|ssl)\w*)")
"""How the driver warns of an option that it then does without: for TLS that would mean a connection in the clear."""


@asynccontextmanager
async def mongo_client(uri: SecretStr, deadline_seconds: float) -> AsyncIterator[Client]:
    """A client that has not connected yet, closed at the end. Raises Misconfigured, without a word of the string."""
    try:
        client = _client(uri, round(deadline_seconds * 1_000))
    except OSError as error:
        # Files that it names, certificates and keys, are read at once; ssl's own faults are of this kind too.
        raise Misconfigured(
            f"MONGODB_URI: a file it names cannot be used ({type(error).__name__}): check tlsCAFile and "
            "tlsCertificateKeyFile"
        ) from error
    except (PyMongoError, ValueError) as error:
        # Its text may quote the connection string.
        raise Misconfigured(f"MONGODB_URI: it cannot be read ({type(error).__name__}): check its form") from error
    try:
        yield client
    finally:
        # A server that hangs is not waited for: what it is told here is a courtesy.
        with contextlib.suppress(TimeoutError, PyMongoError):
            async with asyncio.timeout(_CLOSE_SECONDS_MAX):
                await client.close()


def _client(uri: SecretStr, deadline_ms: int) -> Client:
    with warnings.catch_warnings(record=True) as doubts:
        warnings.simplefilter("always")
        client: Client = AsyncMongoClient(
            uri.get_secret_value(),
            appname="routing-sync",
            serverSelectionTimeoutMS=min(deadline_ms, 5_000),
            connectTimeoutMS=min(deadline_ms, 5_000),
        )
    for doubt in doubts:
        option = _TLS_DOUBT.search(str(doubt.message))
        if option is not None:
            raise Misconfigured(
                f"MONGODB_URI: the driver cannot use its option {option[1]}: check the name and the value"
            )
    for doubt in doubts:
        warnings.warn_explicit(doubt.message, doubt.category, doubt.filename, doubt.lineno)
    return client
