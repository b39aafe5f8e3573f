"""Letters are given back at the end of a scan, whatever ends it."""

import asyncio
from collections.abc import Sequence

import pytest

from tests.worker.letters.stand_in_letters import StandInLetters
from tests.worker.stand_ins.fake_clock import AutoAdvancingClock, MiddleChance
from worker.cli.letters.opened_letters import give_back_letters, run_interruptibly
from worker.letters.scan import LetterScan, ScanLimits
from worker.ports.aws_calls import EntryResults
from worker.runtime.backoff import JitteredBackoff


class SlowToTakeBack(StandInLetters):
    """A queue that takes letters back once `go` is set."""

    def __init__(self) -> None:
        super().__init__(AutoAdvancingClock())
        self.asked, self.go = asyncio.Event(), asyncio.Event()

    async def give_back(self, receipts: Sequence[str]) -> EntryResults:
        self.asked.set()
        await self.go.wait()
        return await super().give_back(receipts)


async def test_a_cancellation_while_letters_are_given_back_leaves_none_hidden(
    capsys: pytest.CaptureFixture[str],
) -> None:
    queue = SlowToTakeBack()
    for number in range(250):
        queue.add(f"body {number}")
    pause = JitteredBackoff(first_s=0.2, max_s=5, chance=MiddleChance())
    scan = LetterScan(queue, await queue.describe(), limits=ScanLimits(), clock=queue.clock, pause=pause)
    assert sum([len(deliveries) async for deliveries in scan.rounds()]) == 250
    giving = asyncio.ensure_future(give_back_letters(scan, "redrive"))
    await queue.asked.wait()
    giving.cancel()
    asyncio.get_running_loop().call_soon(queue.go.set)
    with pytest.raises(asyncio.CancelledError):
        await giving
    assert queue.hidden == []
    assert capsys.readouterr().err.startswith("routing-sync redrive: interrupted: letters that cannot be given back")


@pytest.mark.parametrize("interrupted", [False, True])
def test_ctrl_c_cancels_the_work_alone(interrupted: bool) -> None:
    ended: list[str] = []

    async def call() -> None:
        await asyncio.sleep(0)
        ended.append("call")

    async def work() -> None:
        calling = asyncio.ensure_future(call())
        if interrupted:
            asyncio.get_running_loop().call_soon(_interrupt)
        try:
            await asyncio.shield(calling)
        finally:
            await calling
            ended.append("work")

    assert run_interruptibly(work) is interrupted
    assert ended == ["call", "work"]


def _interrupt() -> None:
    """As the handler of the signal does, wherever the process is."""
    raise KeyboardInterrupt
