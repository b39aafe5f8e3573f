"""The reports that a worker leaves for the status page, from the pipeline on."""

import asyncio
import gc
import logging

import pytest
from msgspec.structs import replace

from handlers.drift import Drift, DriftClass, DriftEnd, SweptPair
from handlers.ports import StoreAway
from sync.audit import AuditOutcome
from tests.worker.pipeline_bench import RunningPipeline, running_pipeline
from tests.worker.stand_ins.fake_clock import FakeClock, run_ready_tasks, until
from tests.worker.stand_ins.telemetry_recorder import TelemetryRecorder, runtime_of
from tests.worker.telemetry.status_page.test_decisions import record
from tests.worker.test_pipeline import CONVERSATION, WORK_ITEM
from worker.ports.status import PostedReport, WorkerReport
from worker.store.memory.status import MemoryStatus
from worker.store.memory.store import MemoryStore
from worker.store.status_documents import report_fields, report_of
from worker.sweeps.status_report import StatusReporter
from worker.telemetry.audit_log import log_swept
from worker.telemetry.status_page.decisions import RecentDecisions


async def _report(pipeline: RunningPipeline) -> PostedReport:
    fleet = await pipeline.status.fleet(10)
    (posted,) = fleet.reports
    return posted


async def test_a_running_worker_tells_its_health_and_its_last_decisions() -> None:
    async with running_pipeline(WORK_ITEM, CONVERSATION, status_seconds=5) as pipeline:
        await until(lambda: len(pipeline.topics.published) == 1)
        await pipeline.clock.advance(8)
        posted = await _report(pipeline)
        assert (posted.report.worker, posted.report.interval_s, posted.report.stopped) == ("worker-1", 5, False)
        assert posted.report.up_s is not None
        assert 0 < posted.report.up_s <= 8
        parts = {part.part: part.reason for part in posted.report.parts}
        assert (parts["pipelines"], parts["progress"]) == (None, None)
        (decision,) = posted.report.decisions
        assert (decision.conversation_id, decision.work_item_id, decision.outcome) == ("c1", "w1", "applied")
        assert [(reason.code, reason.rule) for reason in decision.reasons] == [("CONVERSATION_ASSIGNED", "B1")]
        assert decision.work_item_fields == ("assignedTo",)
        await pipeline.stop()
        assert (await _report(pipeline)).report.stopped


async def test_a_worker_that_is_not_asked_to_leaves_no_report() -> None:
    async with running_pipeline(WORK_ITEM, CONVERSATION) as pipeline:
        await until(lambda: len(pipeline.topics.published) == 1)
        await pipeline.clock.advance(60)
        await pipeline.stop()
        assert (await pipeline.status.fleet(10)).reports == ()
        assert pipeline.recorder.telemetry.decisions is None


class AwayBoard(MemoryStatus):
    """A board that is away, or that does not answer."""

    answers = True

    async def post(self, report: WorkerReport) -> None:
        if not self.answers:
            await asyncio.Event().wait()
        raise StoreAway("no primary")


def _reporter(board: MemoryStatus, clock: FakeClock, recorder: TelemetryRecorder | None = None) -> StatusReporter:
    runtime = runtime_of(clock, recorder or TelemetryRecorder())
    return StatusReporter(board=board, worker="w", interval_s=5, runtime=runtime)


@pytest.mark.thorough
async def test_a_store_that_is_away_keeps_no_worker_from_stopping() -> None:
    clock = FakeClock()
    board = AwayBoard(MemoryStore(), clock)
    reporter = _reporter(board, clock)
    await reporter.farewell()
    board.answers = False
    await asyncio.wait_for(reporter.farewell(), timeout=10)
    assert (await board.fleet(10)).reports == ()


class SlowBoard(MemoryStatus):
    """A board that takes the first report once the test lets it, though the call was given up: it was on its way."""

    def __init__(self, store: MemoryStore, clock: FakeClock) -> None:
        super().__init__(store, clock)
        self.takes = asyncio.Event()
        self.first: asyncio.Future[None] | None = None

    async def post(self, report: WorkerReport) -> None:
        if self.first is None:
            self.first = asyncio.ensure_future(self._take(report))
            await asyncio.shield(self.first)
        else:
            await super().post(report)

    async def _take(self, report: WorkerReport) -> None:
        await self.takes.wait()
        await super().post(report)


async def test_the_farewell_comes_after_the_report_under_way() -> None:
    clock = FakeClock()
    board = SlowBoard(MemoryStore(), clock)
    reporter = _reporter(board, clock)
    running = asyncio.create_task(reporter.run())
    await clock.advance(10)
    running.cancel()
    await run_ready_tasks()
    assert not running.done()
    board.takes.set()
    await asyncio.wait([running])
    await reporter.farewell()
    await run_ready_tasks()
    ((posted,),) = [(await board.fleet(10)).reports]
    assert posted.report.stopped


class LateFailure(MemoryStatus):
    """A board whose call fails once the test lets it."""

    def __init__(self, store: MemoryStore, clock: FakeClock) -> None:
        super().__init__(store, clock)
        self.fails = asyncio.Event()

    async def post(self, report: WorkerReport) -> None:
        await self.fails.wait()
        raise StoreAway("no primary")


async def test_a_report_that_fails_after_its_round_was_given_up_leaves_no_line(
    log_records: list[logging.LogRecord],
) -> None:
    clock = FakeClock()
    board = LateFailure(MemoryStore(), clock)
    reporter = _reporter(board, clock)
    running = asyncio.create_task(reporter.run())
    await clock.advance(10)
    running.cancel()
    await run_ready_tasks()
    board.fails.set()
    await asyncio.wait([running])
    del running, reporter, board
    gc.collect()
    await run_ready_tasks()
    assert log_records == []


@pytest.mark.thorough
async def test_a_report_that_hangs_is_given_up_and_no_task_is_left() -> None:
    clock = FakeClock()
    board = AwayBoard(MemoryStore(), clock)
    board.answers = False
    reporter = _reporter(board, clock)
    running = asyncio.create_task(reporter.run())
    await clock.advance(10)
    running.cancel()
    await asyncio.wait([running], timeout=10)
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_reports_of_workers_that_went_long_ago_are_removed_once() -> None:
    clock = FakeClock()
    board = MemoryStatus(MemoryStore(), clock)
    await board.post(WorkerReport(worker="old", interval_s=5))
    await clock.advance(86_401)
    await board.post(WorkerReport(worker="other", interval_s=5))
    reporter = _reporter(board, clock)
    await reporter.round()
    assert [posted.report.worker for posted in (await board.fleet(10)).reports] == ["w", "other"]
    await clock.advance(86_401)
    await reporter.round()
    assert [posted.report.worker for posted in (await board.fleet(10)).reports] == ["w", "other"]
    await run_ready_tasks()


async def test_messages_that_were_given_up_are_in_the_report_by_code_and_reason() -> None:
    clock, recorder = FakeClock(), TelemetryRecorder()
    recent = RecentDecisions(clock)
    recorder.telemetry = replace(recorder.telemetry, decisions=recent)
    recent.dead_letters.note("NOT_JSON", "the body is not JSON", "other")
    board = MemoryStatus(MemoryStore(), clock)
    await _reporter(board, clock, recorder).round()
    ((posted,),) = [(await board.fleet(10)).reports]
    (count,) = posted.report.dead_letters
    assert (count.code, count.reason, count.count) == ("NOT_JSON", "the body is not JSON", 1)
    assert report_of({"report": report_fields(posted.report)}) == posted.report


async def test_what_the_sweep_found_is_in_the_report_and_its_repair_among_the_decisions() -> None:
    clock, recorder = FakeClock(), TelemetryRecorder()
    telemetry = replace(recorder.telemetry, decisions=RecentDecisions(clock))
    told = Drift(kind=DriftClass.NO_CONVERSATION, end=DriftEnd.TOLD, conversation_id="c1")
    repaired = Drift(kind=DriftClass.OUT_OF_STEP, end=DriftEnd.REPAIRED, conversation_id="c2")
    log_swept(
        [SweptPair(drift=told), SweptPair(drift=repaired, audit=record(AuditOutcome.APPLIED, "c2", trigger="sweep"))],
        telemetry,
    )
    board = MemoryStatus(MemoryStore(), clock)
    recorder.telemetry = telemetry
    await _reporter(board, clock, recorder).round()
    ((posted,),) = [(await board.fleet(10)).reports]
    assert [(each.conversation_id, each.end) for each in posted.report.drifts] == [("c1", "told"), ("c2", "repaired")]
    assert [(each.conversation_id, each.trigger) for each in posted.report.decisions] == [("c2", "sweep")]
