"""Deliveries, deletes and announcements of a run as SQS and SNS saw them, from the calls that the proxy recorded."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from tests.faults.proxies.aws_proxy import RecordedCall

_ORDER_KNOWN_S: Final = 0.5
"""The proxy records a call at its end, so two calls closer than this may have been carried out in the other order."""


@dataclass(slots=True, kw_only=True)
class RecordedDelivery:
    """A message that a worker received. `tries`: its deletes: time, whether carried out, whether the worker knows."""

    message_id: str
    at: float
    tries: list[tuple[float, bool, bool]] = field(default_factory=list)

    @property
    def deleted_at(self) -> float | None:
        """The time of the delete that was carried out and answered, or None."""
        return next((at for at, done, known in self.tries if done and known), None)


def deliveries(calls: Iterable[RecordedCall]) -> dict[str, RecordedDelivery]:
    """The deliveries by receipt."""
    found: dict[str, RecordedDelivery] = {}
    for call in calls:
        for receipt, message_id in call.delivered.items():
            found[receipt] = RecordedDelivery(message_id=message_id, at=call.at)
        if call.action == "DeleteMessageBatch":
            for entry in call.entries:
                done = call.carried_out and entry["Id"] not in call.failed
                known = call.status == 200
                if entry["ReceiptHandle"] in found:
                    found[entry["ReceiptHandle"]].tries.append((call.at, done, known))
    return found


def rightly_redelivered(calls: Sequence[RecordedCall]) -> set[str]:
    """The messages that SQS rightly delivered again: before their delete, or because no delete was confirmed."""
    by_message: dict[str, list[RecordedDelivery]] = {}
    for delivery in deliveries(calls).values():
        by_message.setdefault(delivery.message_id, []).append(delivery)
    again = set()
    for message_id, found in by_message.items():
        ends = [delivery.deleted_at for delivery in found if delivery.deleted_at is not None]
        first_end = min(ends, default=None)
        if len(found) > 1 and (first_end is None or all(one.at < first_end + _ORDER_KNOWN_S for one in found)):
            again.add(message_id)
    return again


def published(calls: Iterable[RecordedCall]) -> list[Mapping[str, Any]]:
    """The announcements that SNS accepted, whether or not the worker got the answer. A heartbeat is none."""
    messages = [
        json.loads(entry["Message"])
        for call in calls
        if call.action == "PublishBatch" and call.carried_out
        for entry in call.entries
        if entry["Id"] not in call.failed
    ]
    return [message for message in messages if message["body"]["isSync"] is True]
