"""The env file holds the provisioned variables; any other output of the provisioning is refused."""

import json

import pytest

import env_file

PROVISIONED = {"SQS_QUEUE_URL": "http://q", "SNS_CONVERSATION_TOPIC_ARN": "arn:c", "SNS_WORK_ITEM_TOPIC_ARN": "arn:w"}


def test_a_shell_can_read_its_lines() -> None:
    variables = env_file.provisioned("made a queue\n" + json.dumps({**PROVISIONED, "created": 3, "SQS_DLQ_URL": "a b"}))
    assert env_file.lines(variables).splitlines() == [
        "SQS_QUEUE_URL=http://q",
        "SNS_CONVERSATION_TOPIC_ARN=arn:c",
        "SNS_WORK_ITEM_TOPIC_ARN=arn:w",
        "SQS_DLQ_URL='a b'",
    ]


@pytest.mark.parametrize("output", ["", "no JSON", "[]", json.dumps({"SQS_QUEUE_URL": "http://q"})])
def test_an_output_without_the_variables_is_refused(output: str) -> None:
    with pytest.raises(ValueError, match="did not print SQS_QUEUE_URL"):
        env_file.provisioned(output)
