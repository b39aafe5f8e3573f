"""What the fleet agrees on, on MongoDB: the collection `fleet`, by the server's clock (`$$NOW`).

| `_id` | document |
|---|---|
| `start` | `at`: when the first worker of the deployment started |
| `deployment` | `version` and `policy` of the worker that started last |
| `lease/NAME` | `holder`, and `until` when it holds the lease |
| `lease/sweep` | also the sweep's `bookmark` |
| `watermarks` | `workers`: of each live one `holder`, its watermark `at`, and `until` when it counts as alive |

Each call is one command, and repeats itself where two workers create the same document at once.
"""

from datetime import datetime
from typing import Any, Final

from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError

from handlers.documents.stored_forms import shown
from worker.errors import StoreUnfit
from worker.mongo.database import Client, database_of, store_deadline
from worker.ports.fleet import Deployment
from worker.ports.sweeps import FleetWatermark, SweepBookmark, SweepPosition, SweepStage
from worker.store.documents import Collection

_NOW: Final = "$$NOW"
_WATERMARKS: Final = "watermarks"
_SWEEP: Final = "lease/sweep"


class MongoFleet:
    """`worker.ports.fleet.Fleet` and `worker.ports.sweeps.SweepFleet`.

    Each call takes at most `deadline_s` and raises StoreAway.
    """

    def __init__(self, client: Client, database: str, *, deadline_s: float) -> None:
        """The client's owner closes it."""
        self._documents = database_of(client, database)[Collection.FLEET]
        self._deadline_s = deadline_s

    async def acquire_lease(self, name: str, holder: str, seconds: float) -> bool:
        """Whether `holder` has the lease for the next `seconds`."""
        # An id may begin with $, which an expression would read as a field.
        mine = {"$literal": holder}
        free = {"$or": [{"$eq": ["$holder", mine]}, {"$lte": [{"$ifNull": ["$until", _NOW]}, _NOW]}]}
        until = {"$add": [_NOW, round(seconds * 1_000)]}
        change = {"holder": {"$cond": [free, mine, "$holder"]}, "until": {"$cond": [free, until, "$until"]}}
        return bool((await self._change(f"lease/{name}", change))["holder"] == holder)

    async def started_at(self) -> datetime:
        """The time at which the first worker of the deployment started. Raises StoreUnfit if no date is stored."""
        return _start((await self._change("start", {"at": {"$ifNull": ["$at", _NOW]}}))["at"])

    async def first_start(self) -> datetime | None:
        """The same where a worker has started; None where none has. Raises StoreUnfit if no date is stored."""
        with store_deadline(self._deadline_s):
            found = await self._documents.find_one({"_id": "start"})
        return None if found is None else _start(found.get("at"))

    async def replace_deployment(self, deployment: Deployment) -> Deployment | None:
        """Store it; returns the one before."""
        change: dict[str, Any] = {
            "version": {"$literal": deployment.version},
            "policy": {"$literal": deployment.policy},
        }
        # A stage sees the document as it was before it.
        change["before"] = {"version": "$version", "policy": "$policy"}
        found = (await self._change("deployment", change))["before"]
        version, policy = found.get("version"), found.get("policy")
        if not isinstance(version, str) or not isinstance(policy, str):
            return None
        return Deployment(version=version, policy=policy)

    async def leave_watermark(self, holder: str, watermark: datetime | None, seconds: float) -> None:
        """The worker lives for the next `seconds`, with this watermark."""
        mine = {
            "holder": {"$literal": holder},
            "at": {"$literal": watermark},
            "until": {"$add": [_NOW, round(seconds * 1_000)]},
        }
        is_other = [{"$ne": ["$$this.holder", mine["holder"]]}, {"$gt": ["$$this.until", _NOW]}]
        others = {"$filter": {"input": {"$ifNull": ["$workers", []]}, "as": "this", "cond": {"$and": is_other}}}
        await self._change(_WATERMARKS, {"workers": {"$concatArrays": [others, [mine]]}})

    async def fleet_watermark(self) -> FleetWatermark:
        """The live workers and their lowest watermark."""
        with store_deadline(self._deadline_s):
            hello = await self._documents.database.command("hello", codec_options=self._documents.codec_options)
            found = await self._documents.find_one({"_id": _WATERMARKS}) or {}
        now: datetime = hello["localTime"]
        marks = [worker["at"] for worker in found.get("workers", ()) if worker["until"] > now]
        lowest = min(marks) if marks and None not in marks else None
        return FleetWatermark(workers=len(marks), lowest=lowest, now=now)

    async def sweep_bookmark(self) -> SweepBookmark:
        """The bookmark that was kept last."""
        with store_deadline(self._deadline_s):
            found = await self._documents.find_one({"_id": _SWEEP}, {"bookmark": True})
        return _bookmark_of((found or {}).get("bookmark"))

    async def keep_sweep_bookmark(self, bookmark: SweepBookmark) -> None:
        """Keep the bookmark."""
        position = bookmark.position
        kept = {
            "writtenUntil": bookmark.written_until,
            "fullEndedAt": bookmark.full_ended_at,
            "position": position and {"stage": position.stage.value, "after": position.after},
        }
        await self._change(_SWEEP, {"bookmark": {"$literal": kept}})

    async def _change(self, document_id: str, change: dict[str, Any]) -> dict[str, Any]:
        """Set the fields of the document, which is created if it is missing; returns it afterwards."""
        with store_deadline(self._deadline_s):
            try:
                return await self._upsert(document_id, change)
            except DuplicateKeyError:
                # Another worker has just created it.
                return await self._upsert(document_id, change)

    async def _upsert(self, document_id: str, change: dict[str, Any]) -> dict[str, Any]:
        changed = await self._documents.find_one_and_update(
            {"_id": document_id}, [{"$set": change}], upsert=True, return_document=ReturnDocument.AFTER
        )
        assert changed is not None, "an upsert returns the document"
        return changed


def _bookmark_of(kept: object) -> SweepBookmark:
    """The bookmark, without what cannot be read: another version of the worker may have kept it. What it leaves open is
    swept anew."""
    if not isinstance(kept, dict):
        return SweepBookmark()
    written_until, full_ended_at = kept.get("writtenUntil"), kept.get("fullEndedAt")
    return SweepBookmark(
        written_until=written_until if isinstance(written_until, datetime) else None,
        full_ended_at=full_ended_at if isinstance(full_ended_at, datetime) else None,
        position=_position_of(kept.get("position")),
    )


def _position_of(kept: object) -> SweepPosition | None:
    match kept:
        case {"stage": str(stage), "after": str() | None as after} if stage in set(SweepStage):
            return SweepPosition(stage=SweepStage(stage), after=after)
        case _:
            return None


def _start(stored: object) -> datetime:
    if not isinstance(stored, datetime):
        raise StoreUnfit(f"the document `start` of fleet: at is {shown(stored)}, not a date: remove the document")
    return stored
