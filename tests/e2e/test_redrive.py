"""Row 20: a redrive of letters that the worker has sent needs a destination, for SQS knows no queue of their origin."""

from typing import Any

from tests.e2e.stage import Stage
from tests.e2e.worker_process import wait_until


def _attribute(stage: Stage, url: str, name: str) -> str:
    return str(stage.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=[name])["Attributes"][name])


def test_row_20_dead_letters_are_put_back_with_a_destination_and_not_without_one(stage: Stage) -> None:
    url, dead_url = stage.variables["SQS_QUEUE_URL"], stage.variables["SQS_DEAD_LETTER_QUEUE_URL"]
    arn, dead_arn = (_attribute(stage, each, "QueueArn") for each in (url, dead_url))
    worker = stage.worker()
    worker.wait_ready()
    stage.send(["no JSON"])
    wait_until(lambda: stage.depth(dead_url) == 1, within_s=60, what=lambda: "a dead letter")

    def moved(**destination: str) -> dict[str, Any]:
        """The redrive's result, once it has ended."""
        stage.sqs.start_message_move_task(SourceArn=dead_arn, **destination)
        tasks: list[dict[str, Any]] = []

        def ended() -> bool:
            tasks[:] = stage.sqs.list_message_move_tasks(SourceArn=dead_arn, MaxResults=1)["Results"]
            return tasks[0]["Status"] in {"COMPLETED", "FAILED"}

        wait_until(ended, within_s=60, what=lambda: f"the redrive has ended: {tasks}")
        return tasks[0]

    assert moved()["Status"] == "FAILED"
    # The failed redrive has received the letter, which is hidden for a moment.
    wait_until(
        lambda: _attribute(stage, dead_url, "ApproximateNumberOfMessages") == "1",
        within_s=60,
        what=lambda: "the letter stays in the dead-letter queue",
    )
    assert moved(DestinationArn=arn)["Status"] == "COMPLETED"

    # A new message: the worker reads it again, and it is still no JSON.
    def dead_lettered() -> set[str]:
        return {line["messageId"] for line in worker.lines() if line["msg"] == "message dead-lettered"}

    wait_until(lambda: len(dead_lettered()) == 2, within_s=60, what=lambda: f"two dead letters: {dead_lettered()}")
    assert worker.terminate()[0] == 0
