"""The incident that the demo plays: the captured writes in their order, only their times moved."""

import json
from datetime import UTC, datetime, timedelta

from commands.instant import parse_instant
from demo.incident import CONVERSATION, FOLDER, WORK_ITEM, deliveries, recorded_write, stored_writes
from demo.messages import captured_outside_writes


def instant(text: str) -> datetime:
    parsed = parse_instant(text)
    assert parsed is not None
    return parsed


def test_the_three_outside_writes_come_in_the_order_that_lost_the_assignment() -> None:
    written = [
        (message["body"]["data"]["id"], message["body"]["data"]["attributes"]["rev"]) for message in deliveries()
    ]
    assert written == [(WORK_ITEM, 1), (WORK_ITEM, 2), (CONVERSATION, 6)]


def test_times_move_to_now_and_keep_their_distances() -> None:
    captured, moved = captured_outside_writes(FOLDER), deliveries()
    then, now = ([instant(each["publishedAt"]) for each in messages] for messages in (captured, moved))
    assert len({after - before for before, after in zip(then, now, strict=True)}) == 1
    assert abs(datetime.now(UTC) - now[-1]) < timedelta(minutes=1)
    assert all("2022-03-02T" not in json.dumps(message) for message in moved)


def test_the_documents_are_stored_as_their_last_writes_left_them() -> None:
    revisions = {
        message["body"]["data"]["id"]: message["body"]["data"]["attributes"]["rev"]
        for message in stored_writes(deliveries()).values()
    }
    assert revisions == {CONVERSATION: 6, WORK_ITEM: 2}


def test_the_predecessor_emptied_the_assignment() -> None:
    assert recorded_write() == {"assignedUsers": [], "rev": 6}
