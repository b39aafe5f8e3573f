"""Environments: whatever the variables hold, the settings are read, or each error is a line that names its variable."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from random import Random
from typing import Final

from tests.fuzz.mutation import Mutator
from worker.settings.reading import SettingErrors, read_settings
from worker.settings.settings import Settings

_SECRET: Final = "pAss9word"
_GOOD: Final[Mapping[str, str]] = {
    "SQS_QUEUE_URL": "https://sqs.us-east-1.amazonaws.com/000000000000/events",
    "SNS_CONVERSATION_TOPIC_ARN": "arn:aws:sns:us-east-1:000000000000:conversation-events",
    "SNS_WORK_ITEM_TOPIC_ARN": "arn:aws:sns:us-east-1:000000000000:work-item-events",
    "MONGODB_URI": f"mongodb://user:{_SECRET}@127.0.0.1:27017/?replicaSet=rs0",
    "AWS_REGION": "us-east-1",
}
_NAMES: Final = tuple(name.upper() for name in Settings.model_fields)
_VALUES: Final = (
    "", " ", "0", "-1", "1e400", "nan", "inf", "1_000", "٣", "0x10", "10.0", "true", "yes", "off", "debug", "DEBUG ",
    "causal", "legacy", "composed", "http", "lean", "library", "us-east-1", "eu-west-1", "127.0.0.1:27017", "::", "*",
    "mongodb://", "mongodb+srv://h", "mongodb://h/?replicaSet=", "mongodb://[::1", "http://", "http://[", "https://h:99999",
    "unix:///run/a.sock", "udp://h:1", "arn:aws:sns:::", "arn:aws-cn:sns:cn-north-1:1:t.fifo", "api=2,router=3", "api=",
    "a:b,c:d", "a" * 300, "9" * 400, "é", "\udcff", "\r", "x\n", "https://sqs.eu-west-1.amazonaws.com/1/q.fifo",
)  # fmt: skip


def settings(random: Random) -> str:
    """An environment becomes the settings or errors. No error shows the password of the connection string."""
    with _environment(_variables(random)):
        found = read_settings(Settings)
    if not isinstance(found, SettingErrors):
        return "settings"
    assert found.lines
    for line in found.lines:
        assert line.partition(":")[0] in _NAMES, line
        assert _SECRET not in line, "a line shows the password"
    return "errors"


def _variables(random: Random) -> Mapping[str, str]:
    variables, mutator = dict(_GOOD), Mutator(random)
    for _ in range(random.choice((1, 1, 2, 3))):
        name = random.choice((*_GOOD, *_NAMES))
        match random.randrange(4):
            case 0:
                variables.pop(name, None)
            case 1:
                # A value that belongs to another variable.
                variables[name] = random.choice(list(_GOOD.values()))
            case 2:
                raw = mutator.text(variables.get(name, "1").encode("utf-8", "surrogateescape"))
                variables[name] = raw[:2_000].replace(b"\0", b"").decode("utf-8", "surrogateescape")
            case _:
                variables[name] = random.choice(_VALUES)
    return variables


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
