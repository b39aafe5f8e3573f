"""Row 20: putting dead letters back, as docs/operations.md says: with a destination, and with enough rights."""

import json
import re

from server_process import ROOT

SECTION = (ROOT / "docs" / "operations.md").read_text().partition("\n## Dead letters\n")[2].partition("\n## ")[0]
MOVING = {"sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:SendMessage"}
"""What SQS does in the caller's name while it moves the letters:
https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-dead-letter-queues.html"""


def _commands() -> list[str]:
    """The command lines of the section, without their comments."""
    lines = re.findall(r"^aws sqs .+(?:\\\n.+)*", SECTION, re.MULTILINE)
    return [line.partition("  #")[0] for line in lines]


def _action(command: str) -> str:
    """The IAM action of `aws sqs OPERATION …`; sqs:ListMessageMoveTasks is that of list-message-move-tasks."""
    return "sqs:" + "".join(word.capitalize() for word in command.split()[2].split("-"))


def test_row_20_every_redrive_in_the_docs_names_its_destination() -> None:
    """The worker has sent the letters itself, so SQS knows no queue from which they came."""
    pages = [*(ROOT / "docs").glob("*.md"), ROOT / "README.md"]
    found = [line for page in pages for line in page.read_text().splitlines() if "start-message-move-task" in line]
    assert found
    assert all("--destination-arn" in line for line in found)


def test_row_20_the_policy_for_the_operator_allows_the_commands_of_the_docs_and_the_move_itself() -> None:
    statements = json.loads((ROOT / "deploy" / "iam-redrive.json").read_text())["Statement"]
    allowed = {action for statement in statements for action in statement["Action"]}
    named = {_action(command) for command in _commands()}
    assert len(named) >= 4
    assert allowed == named | MOVING | {"sqs:GetQueueAttributes", "sqs:ChangeMessageVisibility"}
    (back,) = [statement for statement in statements if "sqs:SendMessage" in statement["Action"]]
    assert back["Resource"].endswith(":QUEUE")
    assert "sqs:DeleteMessage" not in back["Action"]
