"""`routing-sync provision`: makes topics, queue, dead-letter queue, subscriptions and redrive policy."""

import asyncio
import shlex
import sys
from typing import Annotated, Final

import orjson
import typer

from worker.aws.clients import sns_client, sqs_client
from worker.aws.provisioning import ProvisioningResult, ProvisioningSpec
from worker.aws.provisioning import provision as make
from worker.cli.terminal import exit_with_error, json_option, print_error, print_table, settings_or_exit
from worker.errors import AwsAway, Misconfigured
from worker.settings.sections.aws import AwsSettings

CONVERSATION_TOPIC = Annotated[str, typer.Option(help="Name of the topic of conversation events.")]
WORK_ITEM_TOPIC = Annotated[str, typer.Option(help="Name of the topic of work-item events.")]
PREFIX = Annotated[str, typer.Option(help="Put before every name, with a hyphen.")]
QUEUE = Annotated[str, typer.Option(help="Name of the queue.")]
DEAD_LETTER_QUEUE = Annotated[str, typer.Option(help="Name of the dead-letter queue.")]
FIFO = Annotated[bool, typer.Option("--fifo", help="FIFO topics and queues, the conversation as message group.")]
RAW = Annotated[bool, typer.Option("--raw/--wrapped", help="Raw delivery, or wrapped in SNS notifications.")]
VISIBILITY = Annotated[int, typer.Option(min=10, max=43_200, help="Visibility timeout, seconds.")]
RECEIVES = Annotated[int, typer.Option(min=1, max=1_000, help="Deliveries before SQS gives a message up.")]
FILTER = Annotated[bool, typer.Option("--filter", help="Let only events through that the worker handles.")]
DRY_RUN = Annotated[bool, typer.Option("--dry-run", help="Print what would change, and change nothing.")]
JSON = Annotated[bool, json_option("One JSON object.")]
ENV = Annotated[bool, typer.Option("--env", help="Lines for a shell.")]

_DEFAULT: Final = ProvisioningSpec()


def provision(  # noqa: PLR0917 - typer passes options by name
    conversation_topic: CONVERSATION_TOPIC = _DEFAULT.conversation_topic,
    work_item_topic: WORK_ITEM_TOPIC = _DEFAULT.work_item_topic,
    queue: QUEUE = _DEFAULT.queue,
    dead_letter_queue: DEAD_LETTER_QUEUE = _DEFAULT.dead_letter_queue,
    prefix: PREFIX = "",
    fifo: FIFO = False,
    raw: RAW = False,
    filtered: FILTER = False,
    visibility_timeout: VISIBILITY = _DEFAULT.visibility_timeout_s,
    max_receive_count: RECEIVES = _DEFAULT.receive_count_max,
    dry_run: DRY_RUN = False,
    as_json: JSON = False,
    as_env: ENV = False,
) -> None:
    """Make topics, queue, dead-letter queue, subscriptions and redrive policy, or mend those that differ.

    Each change is a line; a second run changes nothing. AWS_REGION and AWS_ENDPOINT_URL say where.
    """
    settings = settings_or_exit(AwsSettings, "provision")
    blueprint = ProvisioningSpec(
        conversation_topic=conversation_topic,
        work_item_topic=work_item_topic,
        queue=queue,
        dead_letter_queue=dead_letter_queue,
        prefix=prefix,
        fifo=fifo,
        raw=raw,
        filtered=filtered,
        visibility_timeout_s=visibility_timeout,
        receive_count_max=max_receive_count,
    )
    try:
        done = asyncio.run(_provision(settings, blueprint, dry_run=dry_run))
    except (AwsAway, Misconfigured) as error:
        exit_with_error("provision", error)
    if dry_run:
        _show_dry_run(done, as_json=as_json)
    else:
        _show(done, as_json=as_json, as_env=as_env)


async def _provision(settings: AwsSettings, blueprint: ProvisioningSpec, *, dry_run: bool) -> ProvisioningResult:
    async with (
        sns_client(settings.sns_endpoint) as sns,
        sqs_client(settings.sqs_endpoint, read_timeout_s=10, connections_max=10) as sqs,
    ):
        return await make(sns, sqs, blueprint, dry_run=dry_run)


def _show_dry_run(planned: ProvisioningResult, *, as_json: bool) -> None:
    if as_json:
        result = {"changes": planned.changes, "notes": planned.notes}
        sys.stdout.write(orjson.dumps(result).decode() + "\n")
        return
    sys.stdout.writelines(f"{line}\n" for line in _lines(planned, "would change"))


def _show(done: ProvisioningResult, *, as_json: bool, as_env: bool) -> None:
    variables = done.variables()
    if sys.stdout.isatty() and not (as_json or as_env):
        print_table(variables.items(), _lines(done, "changed"), "made or corrected" if done.changes else "all is there")
        return
    # Standard output is for a program.
    for line in _lines(done, "changed"):
        print_error(f"routing-sync provision: {line}")
    if as_json:
        sys.stdout.write(orjson.dumps(variables).decode() + "\n")
    else:
        sys.stdout.writelines(f"export {name}={shlex.quote(value)}\n" for name, value in variables.items())


def _lines(result: ProvisioningResult, verb: str) -> list[str]:
    """A line for each change and note; one that says so where there is no change."""
    changes = [f"{verb}: {change}" for change in result.changes] or [f"nothing {verb}"]
    return [*changes, *(f"note: {note}" for note in result.notes)]
