"""With wrong settings the rest can still be read: defaults and stand-ins take the places of the wrong ones."""

import pytest

from worker.settings.reading import read_what_can_be
from worker.settings.settings import Settings
from worker.settings.table import setting_rows

TOPIC = "arn:aws:sns:us-east-1:1:topic.fifo"
STAND_INS = {
    "aws_region": "us-east-1",
    "sqs_queue_url": "https://nowhere.invalid/0/none",
    "sns_conversation_topic_arn": TOPIC,
    "sns_work_item_topic_arn": TOPIC,
    "mongodb_uri": "mongodb://nowhere.invalid",
}
RIGHT = {
    "AWS_REGION": "us-east-1",
    "SQS_QUEUE_URL": "https://sqs.us-east-1.amazonaws.com/1/q.fifo",
    "SNS_CONVERSATION_TOPIC_ARN": "arn:aws:sns:us-east-1:1:conversations.fifo",
    "SNS_WORK_ITEM_TOPIC_ARN": "arn:aws:sns:us-east-1:1:work-items.fifo",
    "MONGODB_URI": "mongodb://db/?replicaSet=rs",
}


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for row in setting_rows():
        monkeypatch.delenv(row.name, raising=False)
    for name, value in RIGHT.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


@pytest.mark.usefixtures("environment")
def test_right_settings_are_read_as_they_are() -> None:
    settings, wrong = read_what_can_be(Settings, STAND_INS)
    assert settings == Settings()
    assert wrong == frozenset()


@pytest.mark.parametrize(
    ("variables", "wrong"),
    [
        ({"LANES": "many"}, {"lanes"}),
        ({"LANES": "many", "MONGODB_URI": None, "SYNC_POLICY": "causal "}, {"lanes", "mongodb_uri", "sync_policy"}),
        # A standard stand-in would contradict the FIFO queue, which is right.
        ({"SNS_WORK_ITEM_TOPIC_ARN": "arn:aws:sqs:us-east-1:1:q"}, {"sns_work_item_topic_arn"}),
        ({"SQS_QUEUE_URL": "https://sqs.eu-west-1.amazonaws.com/1/q"}, {"sqs_queue_url"}),
        # The default of the longest delay is shorter than the first one, too, and the default policy needs the other
        # engine: the partner has its default as well.
        ({"STORE_RETRY_FIRST_SECONDS": "60", "STORE_RETRY_MAX_SECONDS": "50"}, {"store_retry_max_seconds"}),
        ({"COMMAND_ENGINE": "legacy"}, {"sync_policy"}),
        ({"LOG_LEVEL": "\udcff"}, {"log_level"}),
    ],
    ids=lambda value: str(sorted(value) if isinstance(value, set) else value),
)
def test_the_wrong_ones_are_named_and_the_rest_is_kept(
    environment: pytest.MonkeyPatch, variables: dict[str, str | None], wrong: set[str]
) -> None:
    environment.setenv("RECEIVERS", "3")
    for name, value in variables.items():
        environment.delenv(name, raising=False)
        if value is not None:
            environment.setenv(name, value)
    settings, found = read_what_can_be(Settings, STAND_INS)
    assert found == wrong
    assert settings is not None
    assert (settings.receivers, settings.lanes) == (3, 2)
    kept = {name.lower() for name in RIGHT} - wrong - {"mongodb_uri"}
    assert {name: getattr(settings, name) for name in kept} == {name: RIGHT[name.upper()] for name in kept}
