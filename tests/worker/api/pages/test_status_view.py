"""The status page's data: what counts as away, and what is said of it."""

from datetime import timedelta

import pytest

from handlers.ports import StoreAway
from tests.worker.api.pages import seeded
from tests.worker.api.pages.system import System
from worker.api.pages.pair_view import pair_page_view
from worker.api.pages.status_problems import span
from worker.api.pages.status_view import StatusView, status_view
from worker.ports.status import PartHealth, WorkerReport


async def view_of(*reports: WorkerReport, later_s: float = 0) -> StatusView:
    system = System()
    for report in reports:
        await system.status.post(report)
    system.clock.instant += timedelta(seconds=later_s)
    return await status_view(system.sources)


def problems(view: StatusView) -> list[tuple[str, str]]:
    return [(problem.part, problem.text) for problem in view.problems]


def worker(name: str = "w", **fields: object) -> WorkerReport:
    return WorkerReport(worker=name, interval_s=5, **fields)  # type: ignore[arg-type]


async def test_a_quiet_system_has_no_problems() -> None:
    view = await view_of(worker(parts=(PartHealth(part="queue"),), watermark="2024-05-06T02:58:00.000Z"))
    assert problems(view) == []
    assert view.summary == "Nothing is away, 0 pairs wait."
    assert [row.silent for row in view.workers] == [False]


async def test_a_part_of_a_worker_that_is_away_is_told() -> None:
    view = await view_of(worker(parts=(PartHealth(part="queue", reason="no answer"), PartHealth(part="store"))))
    assert problems(view) == [("w, queue", "no answer")]


@pytest.mark.parametrize(("later_s", "expected"), [(15, []), (15.1, [("w", "no report for 15 s")])])
async def test_a_worker_is_silent_once_three_reports_are_missing(
    later_s: float, expected: list[tuple[str, str]]
) -> None:
    assert problems(await view_of(worker(), later_s=later_s)) == expected


async def test_what_several_workers_have_is_one_problem_with_the_first_names() -> None:
    away, other = PartHealth(part="queue", reason="no answer"), PartHealth(part="store", reason="no primary")
    view = await view_of(*(worker(f"w{n}", parts=(away, other) if n == 3 else (away,)) for n in range(5)))
    assert problems(view) == [
        ("queue, 5 workers", "no answer (w0, w1, w2 and 2 more)"),
        ("w3, store", "no primary"),
    ]
    view = await view_of(worker("w0"), worker("w1"), later_s=90)
    assert problems(view) == [("2 workers", "no report for 1 min 30 s or longer: w0, w1")]


async def test_a_worker_that_stopped_is_no_problem_and_soon_gone() -> None:
    stopped = worker(stopped=True, parts=(PartHealth(part="pipelines", reason="stopping"),))
    view = await view_of(stopped, worker("x", stopped=False, parts=()), later_s=10)
    assert (problems(view), len(view.workers)) == ([], 2)
    # Where no other runs, nobody handles events.
    view = await view_of(stopped, later_s=100)
    assert problems(view) == [("workers", "each one that reported has stopped: no event is handled")]
    assert (await view_of(stopped, later_s=121)).workers == ()


async def test_a_worker_that_was_killed_is_gone_after_an_hour() -> None:
    assert len((await view_of(worker(), later_s=3_600)).workers) == 1
    assert (await view_of(worker(), later_s=3_601)).workers == ()


async def test_a_fleet_without_any_watermark_is_a_problem_and_one_with_a_single_one_is_not() -> None:
    silent = worker("a", no_watermark="SILENCE")
    assert [part for part, _ in problems(await view_of(silent, worker("b", no_watermark="BACKLOG_UNKNOWN")))] == [
        "watermark"
    ]
    assert problems(await view_of(silent, worker("b", watermark="2024-05-06T02:58:00.000Z"))) == []
    # A policy that keeps none has no reason either.
    assert problems(await view_of(worker())) == []


@pytest.mark.parametrize("reason", ["BACKLOG_UNKNOWN", "SILENCE"])
async def test_a_fleet_that_has_just_started_has_not_measured_a_watermark_yet(reason: str) -> None:
    view = await view_of(worker("a", no_watermark=reason, up_s=100), worker("b", no_watermark=reason, up_s=5))
    assert problems(view) == []
    assert view.not_measured == (
        f"no worker has measured a watermark yet ({reason}): the first one started 1 min 40 s ago, and it takes "
        "about two minutes in which events come; until then no waiting pair is decided by time"
    )
    assert view.summary == "Nothing is away, no watermark is measured yet, 0 pairs wait."


@pytest.mark.parametrize(
    ("reason", "up_s"), [("SILENCE", 301.0), ("SILENCE", None), ("QUEUE_AWAY", 5.0), ("RECEIVING_PAUSED", 5.0)]
)
async def test_a_worker_that_runs_for_long_or_cannot_receive_lacks_its_watermark(
    reason: str, up_s: float | None
) -> None:
    """None: a worker of an earlier version, which does not report how long it runs."""
    young = worker("b", no_watermark="BACKLOG_UNKNOWN", up_s=1.0)
    view = await view_of(worker("a", no_watermark=reason, up_s=up_s), young)
    assert [part for part, _ in problems(view)] == ["watermark"]
    assert view.not_measured is None


async def test_events_that_wait_for_sns_are_a_problem_once_the_oldest_is_a_minute_old() -> None:
    system = await System.seeded()
    assert ("SNS", "3 events wait to be published, the oldest for 2 min 30 s") in problems(
        await status_view(system.sources)
    )
    await system.store.remove_entries(["m-1", "m-2"])
    assert "SNS" not in dict(problems(await status_view(system.sources)))
    await system.store.set_aside("m-0", "too long")
    assert ("outbox", "1 event set aside: SNS can never accept them") in problems(await status_view(system.sources))


async def test_a_store_that_is_away_is_said_on_both_pages() -> None:
    system = await System.seeded()
    system.away = StoreAway("no primary\nstack")
    assert ((await status_view(system.sources)).away, (await status_view(system.sources)).summary) == (
        "no primary",
        "MongoDB is away.",
    )
    pair = await pair_page_view(seeded.WAITING, system.sources)
    assert (pair.away, pair.report, pair.summary) == ("no primary", None, "MongoDB is away.")


async def test_decisions_of_all_workers_stand_in_one_list_the_latest_first() -> None:
    system = await System.seeded()
    found = (await status_view(system.sources)).decisions
    assert [each.at for each in found] == [seeded.ago(age) for age in (5, 12, 25, 40)]
    pair = await pair_page_view(seeded.OUT_OF_STEP, system.sources)
    assert [each.conversation_id for each in pair.decisions] == [seeded.OUT_OF_STEP]


async def test_dead_letters_of_all_workers_are_summed_up_by_reason_the_most_first() -> None:
    system = await System.seeded()
    found = (await status_view(system.sources)).dead_letters
    assert found == (
        seeded.given_up(seeded.WRONG_STATUS, 40, 70),
        seeded.given_up(seeded.NOT_JSON, 5, 500),
        seeded.given_up(seeded.GIVEN_UP, 1, 9),
    )


async def test_drift_that_no_sweep_repaired_is_in_the_sentence_and_on_the_pairs_page() -> None:
    system = await System.seeded()
    view = await status_view(system.sources)
    assert view.summary == "2 problems, 4 pairs wait, 1 pair has drift that no sweep repaired."
    assert [drift.drift for drift in view.drifts] == ["NO_CONVERSATION", "OUT_OF_STEP"]
    pair = await pair_page_view(seeded.IN_STEP, system.sources)
    assert [drift.end for drift in pair.drifts] == ["repaired"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-3, "0 s"), (0.9, "0 s"), (59.9, "59 s"), (60, "1 min"), (61, "1 min 1 s"), (3_599, "59 min 59 s"),
     (3_600, "1 h"), (3_660, "1 h 1 min"), (86_399, "23 h 59 min"), (90_000, "1 d 1 h"), (864_000, "10 d")],
)  # fmt: skip
def test_a_time_span_has_its_two_largest_units(seconds: float, text: str) -> None:
    assert span(seconds) == text
