"""The dead-letter queue of the settings, opened for one scan: what `dead-letters` and `redrive` share."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Final

from msgspec import Struct

from handlers.events.envelope import Limits
from handlers.ports import Clock
from worker.aws.clients import sqs_client
from worker.aws.errors import DENIED
from worker.aws.sqs.letter_queue import SqsLetterQueue, refuse_other_queues_letters
from worker.aws.sqs.message_queue import read_queue_attributes
from worker.cli.terminal import print_error
from worker.errors import Misconfigured
from worker.letters.scan import CALLS_MAX, WAIT_S, LetterScan, ScanLimits
from worker.runtime.backoff import JitteredBackoff
from worker.runtime.clock import SystemClock
from worker.settings.verbs.letters import LetterSettings

_FIRST_PAUSE_S: Final = 0.2
_PAUSE_S_MAX: Final = 5.0


class OpenedLetters(Struct, frozen=True, kw_only=True):
    """A scan and what goes with it."""

    queue: SqsLetterQueue
    scan: LetterScan
    reader_limits: Limits
    clock: Clock
    pause: JitteredBackoff


@asynccontextmanager
async def opened_letters(
    settings: LetterSettings, limits: ScanLimits, *, verb: str, spend_deliveries: bool, of_any_queue: bool = True
) -> AsyncIterator[OpenedLetters]:
    """A scan of the dead-letter queue. At the end, after an error too, the letters are given back.

    `of_any_queue`: the letters need not be those of the settings' queue.
    Raises QueueAway, Misconfigured.
    """
    clock = SystemClock()
    pause = JitteredBackoff(first_s=_FIRST_PAUSE_S, max_s=_PAUSE_S_MAX, chance=random)
    endpoint = settings.sqs_endpoint
    async with sqs_client(endpoint, read_timeout_s=WAIT_S + 10, connections_max=2 * CALLS_MAX) as client:
        url = settings.sqs_dead_letter_queue_url
        if url is None:
            url = (await read_queue_attributes(client, settings.sqs_queue_url)).dead_letter_url
        elif not of_any_queue:
            await refuse_other_queues_letters(client, settings.sqs_queue_url, url)
        queue = SqsLetterQueue(client=client, url=settings.sqs_queue_url, dead_letter_url=url, clock=clock)
        state = await queue.describe()
        if state.receive_count_max is not None and not spend_deliveries:
            raise Misconfigured(
                f"the dead-letter queue {state.name} has a redrive policy of its own: every look is a delivery, "
                f"after {state.receive_count_max} SQS moves a letter on: remove that policy, or add --spend-deliveries"
            )
        scan = LetterScan(queue, state, limits=limits, clock=clock, pause=pause)
        try:
            yield OpenedLetters(
                queue=queue,
                scan=scan,
                reader_limits=Limits(bytes_max=settings.event_bytes_max, depth_max=settings.event_depth_max),
                clock=clock,
                pause=pause,
            )
        except (asyncio.CancelledError, KeyboardInterrupt):
            _tell_interrupted(scan, verb)
            raise
        finally:
            await give_back_letters(scan, verb)


async def give_back_letters(scan: LetterScan, verb: str) -> None:
    """Give the letters back, all of them after a cancellation too; tell of those that stay hidden."""
    giving = asyncio.ensure_future(scan.give_back())
    try:
        await asyncio.shield(giving)
    except asyncio.CancelledError:
        _tell_interrupted(scan, verb)
        raise
    finally:
        left = await giving
        if left is not None:
            print_error(
                f"routing-sync {verb}: {left.count} letters were not given back, they come back within "
                f"{scan.hidden_s} s: {left.reason}"
            )


def _tell_interrupted(scan: LetterScan, verb: str) -> None:
    print_error(
        f"routing-sync {verb}: interrupted: letters that cannot be given back at once come back within "
        f"{scan.hidden_s} s"
    )


def told(error: Exception) -> str:
    """The error's line, with the remedy where AWS denies a call."""
    line = str(error)
    if any(f": {code}: " in line for code in DENIED):
        return f"{line}: this takes an operator's rights, deploy/iam-redrive.json; a worker's role has not got them"
    return line


def run_interruptibly(work: Callable[[], Coroutine[Any, Any, None]]) -> bool:
    """Run `work`; returns whether Ctrl-C ended it. What `work` gives back at its end has half a second."""
    with asyncio.Runner() as runner:
        loop = runner.get_loop()
        working = loop.create_task(work())
        try:
            loop.run_until_complete(working)
        except KeyboardInterrupt:
            # asyncio.run would cancel every task. The calls under way end first: SQS has hidden their letters.
            working.cancel()
            if not working.done():
                with contextlib.suppress(asyncio.CancelledError):
                    loop.run_until_complete(working)
            return True
    return False
