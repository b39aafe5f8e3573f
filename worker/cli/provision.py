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
from worker.cli.terminal import exit_with_error, json_option, print_table, settings_or_exit
from worker.errors import AwsAway, Misconfigured
from worker.settings.aws import AwsSettings

CONVERSATION_TOPIC = Annotated[str, typer.Option(help="Name of the topic of conversation events.")]
WORK_ITEM_TOPIC = Annotated[str, typer.Option(help="Name of the topic of work-item events.")]
PREFIX = Annotated[str, typer.Option(help="Put before every name, with a hyphen.")]
QUEUE = Annotated[str, typer.Option(help="Name of the queue.")]
DEAD_LETTER_QUEUE = Annotated[str, typer.Option(help="Name of the dead-letter queue.")]
FIFO = Annotated[bool, typer.Option("--fifo", help="FIFO topics and queues, the conversation as message group.")]
RAW = Annotated[bool, typer.Option("--raw/--wrapped", help="Raw delivery, or wrapped in SNS notifications.")]
VISIBILITY = Annotated[int, typer.Option(min=10, max=43_200, help="Visibility timeout, seconds.")]
RECEIVES = Annotated[int, typer.Option(min=1, max=1_000, help="Deliveries before SQS gives a message up.")]
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
    visibility_timeout: VISIBILITY = _DEFAULT.visibility_timeout_s,
    max_receive_count: RECEIVES = _DEFAULT.receive_count_max,
    as_json: JSON = False,
    as_env: ENV = False,
) -> None:
    """Make topics, queue, dead-letter queue, subscriptions and redrive policy, or mend those that differ.

    A second run changes nothing. AWS_REGION and AWS_ENDPOINT_URL say where.
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
        visibility_timeout_s=visibility_timeout,
        receive_count_max=max_receive_count,
    )
    try:
        done = asyncio.run(_provision(settings, blueprint))
    except (AwsAway, Misconfigured) as error:
        exit_with_error("provision", error)
    _show(done, as_json=as_json, as_env=as_env)


async def _provision(settings: AwsSettings, blueprint: ProvisioningSpec) -> ProvisioningResult:
    async with (
        sns_client(settings.sns_endpoint) as sns,
        sqs_client(settings.sqs_endpoint, read_timeout_s=10, connections_max=10) as sqs,
    ):
        return await make(sns, sqs, blueprint)


def _show(done: ProvisioningResult, *, as_json: bool, as_env: bool) -> None:
    variables = done.variables()
    if as_json:
        sys.stdout.write(orjson.dumps(variables).decode() + "\n")
    elif as_env or not sys.stdout.isatty():
        sys.stdout.writelines(f"export {name}={shlex.quote(value)}\n" for name, value in variables.items())
    else:
        conclusion = "made or mended" if done.changes else "everything was there already"
        print_table(variables.items(), done.changes, conclusion)
