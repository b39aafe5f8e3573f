"""The env file of a local run holds what the provisioning printed, or the run stops with a line that says so."""

import json

import pytest

import env_file

PROVISIONED = {"SQS_QUEUE_URL": "http://q", "SNS_CONVERSATION_TOPIC_ARN": "arn:c", "SNS_WORK_ITEM_TOPIC_ARN": "arn:w"}


def test_its_lines_can_be_read_by_a_shell() -> None:
    variables = env_file.provisioned("made a queue\n" + json.dumps({**PROVISIONED, "created": 3, "SQS_DLQ_URL": "a b"}))
    assert env_file.lines(variables).splitlines() == [
        "SQS_QUEUE_URL=http://q",
        "SNS_CONVERSATION_TOPIC_ARN=arn:c",
        "SNS_WORK_ITEM_TOPIC_ARN=arn:w",
        "SQS_DLQ_URL='a b'",
    ]


@pytest.mark.parametrize("output", ["", "no JSON", "[]", json.dumps({"SQS_QUEUE_URL": "http://q"})])
def test_anything_else_is_refused(output: str) -> None:
    with pytest.raises(ValueError, match="did not print SQS_QUEUE_URL"):
        env_file.provisioned(output)
