"""`routing-sync publish FILE…`: publishes captured events to SNS, as their producer would."""

import asyncio
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated

import orjson
import typer

from sync.gates import Side
from worker.aws.clients import sns_client
from worker.aws.sns.topics import SnsTopics
from worker.captures import STANDARD_INPUT, Capture, CaptureFault, captures_of, read_captures
from worker.cli.exit_status import EXIT_DONE, EXIT_FAILED
from worker.cli.input_files.outgoing_events import EventSender, PublishCounts
from worker.cli.terminal import (
    exit_with_error,
    json_option,
    print_error,
    progress,
    settings_or_exit,
)
from worker.errors import AwsAway, Misconfigured
from worker.ports.aws_calls import AwsEndpoint
from worker.settings.sections.aws import TopicSettings

EVENT_FILES = Annotated[list[Path], typer.Argument(metavar="FILE…", help="Captured events; `-` is standard input.")]
OUTSIDE_ONLY = Annotated[bool, typer.Option("--outside-only", help="Leave syncs (isSync true) out.")]
JSON = Annotated[bool, json_option("One JSON object.")]


def publish(files: EVENT_FILES, outside_only: OUTSIDE_ONLY = False, as_json: JSON = False) -> None:
    """Publish captured events to their topics, in the order of the files and of their lines.

    An event may have any of the five shapes; a file holds NDJSON, a JSON array, or JSON values one after another. An
    event that cannot be read or published is reported with file and line. The rest is published, and the exit status
    is 1.
    """
    settings = settings_or_exit(TopicSettings, "publish")
    if settings.topic_doubt is not None:
        print_error(f"routing-sync publish: warning: {settings.topic_doubt}")
    arns: dict[Side, str] = {
        "conversation": settings.sns_conversation_topic_arn,
        "work-item": settings.sns_work_item_topic_arn,
    }
    try:
        with progress("publishing", results_on_stdout=False) as advance:
            counts = asyncio.run(
                _publish(settings.sns_endpoint, arns, files, outside_only=outside_only, advance=advance)
            )
    except (AwsAway, Misconfigured) as error:
        exit_with_error("publish", error)
    if as_json:
        sys.stdout.write(orjson.dumps(counts.as_wire()).decode() + "\n")
    else:
        sys.stdout.write(f"{counts.published} published, {counts.left_out} left out, {counts.failed} failed\n")
    raise typer.Exit(EXIT_FAILED if counts.failed else EXIT_DONE)


async def _publish(
    endpoint: AwsEndpoint,
    arns: Mapping[Side, str],
    files: Iterable[Path],
    *,
    outside_only: bool,
    advance: Callable[[], None],
) -> PublishCounts:
    async with sns_client(endpoint) as client:
        sender = EventSender(SnsTopics(client), arns, outside_only=outside_only, print_error=print_error)
        for capture in _captures(files):
            advance()
            await sender.add(capture)
        await sender.finish()
    return sender.counts


def _captures(files: Iterable[Path]) -> Iterator[Capture | CaptureFault]:
    for file in files:
        if str(file) == "-":
            yield from captures_of(STANDARD_INPUT, sys.stdin.buffer)
        else:
            yield from read_captures(file)
