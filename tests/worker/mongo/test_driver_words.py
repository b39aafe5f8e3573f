"""The driver's words are one short line without hosts and credentials."""

import pytest
from pymongo.errors import ConfigurationError, OperationFailure, ServerSelectionTimeoutError

from worker.mongo.driver_words import driver_words, unquoted_words

TIMEOUTS = "(configured timeouts: socketTimeoutMS: 2000.0ms, connectTimeoutMS: 2000.0ms)"
TOPOLOGY = (
    ", Timeout: 2.0s, Topology Description: <TopologyDescription id: 6b, servers: [<ServerDescription ('db', 1)>]>"
)
LOST = "Server Do53:127.0.0.1@39152 answered The DNS operation timed out after 1.999 seconds"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            f"db.example:27017: [Errno -2] Name or service not known {TIMEOUTS}{TOPOLOGY}",
            "[Errno -2] Name or service not known",
        ),
        (
            f"::1:27017: timed out {TIMEOUTS},db-1:27017: connection closed {TIMEOUTS}{TOPOLOGY}",
            "timed out,connection closed",
        ),
        (f"SSL handshake failed: db-1:27017:  {TIMEOUTS}{TOPOLOGY}", "SSL handshake failed"),
        (
            f'No replica set members available for replica set name "rs1"{TOPOLOGY}',
            'No replica set members available for replica set name "rs1"',
        ),
        ("The DNS query name does not exist: _mongodb._tcp.db.example.", "The DNS query name does not exist"),
        (
            f"All nameservers failed to answer the query db.example. IN TXT: {LOST}",
            f"All nameservers failed to answer the query IN TXT: {LOST}",
        ),
        (
            f"The resolution lifetime expired after 5.1 seconds: {LOST}",
            f"The resolution lifetime expired after 5.1 seconds: {LOST}",
        ),
        ("two\n  lines.", "two lines"),
        ("", "ServerSelectionTimeoutError"),
        ("x" * 400, "x" * 299 + "…"),
    ],
)
def test_the_details_are_left_out(text: str, words: str) -> None:
    assert driver_words(ServerSelectionTimeoutError(text)) == words


def test_the_servers_response_is_left_out() -> None:
    refusal = OperationFailure(
        "Authentication failed.", code=18, details={"ok": 0.0, "errmsg": "Authentication failed."}
    )
    assert driver_words(refusal) == "Authentication failed"


@pytest.mark.parametrize(
    ("uri", "text", "words"),
    [
        (
            "mongodb://db/?authMechanism=MONGODB-OIDC",
            "MONGODB-OIDC requires a callback",
            "MONGODB-OIDC requires a callback",
        ),
        ("mongodb://me:hunter2@db", "Bad host 'hunter2@db'", "ConfigurationError"),
        ("mongodb://me:Hunter2@db", "the value hunter2 is not a number", "ConfigurationError"),
    ],
)
def test_a_text_that_repeats_the_connection_string_is_left_out(uri: str, text: str, words: str) -> None:
    assert unquoted_words(ConfigurationError(text), uri) == words
