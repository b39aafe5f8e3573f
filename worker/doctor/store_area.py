"""MongoDB: the server, the user's rights, connections, indexes, and what is stored."""

from typing import Final

from handlers.ports import Clock, StoreAway
from worker.doctor.aws_area import note_clock
from worker.doctor.limits import TRANSACTION_LIFETIME_S_MAX, is_lifetime_long
from worker.doctor.notebook import Notebook
from worker.doctor.settings_area import UsableSettings
from worker.errors import Misconfigured, StoreUnfit, first_line
from worker.findings import FindingCode
from worker.mongo.checks.foreign_ids import ALONE_REMEDY
from worker.mongo.checks.inspection import ServerFacts, StoreInspection
from worker.mongo.client import mongo_client

_TRIED: Final = (6, 0)
"""The oldest release on which the tests run."""


async def examine_store(notebook: Notebook, usable: UsableSettings, clock: Clock) -> None:
    """Note what MongoDB is like."""
    settings, subject = usable.settings, "MONGODB_URI"
    unusable = usable.unusable("MONGODB_URI", "MONGODB_DATABASE")
    if unusable is not None:
        notebook.untried("MongoDB", unusable)
        return
    deadline_s = min(settings.store_deadline_seconds, notebook.check_s)
    try:
        async with mongo_client(settings.mongodb_uri, deadline_s) as client:
            inspection = StoreInspection(client, settings.mongodb_database, deadline_s=deadline_s)
            facts = await _examine_server(notebook, inspection, clock)
            if facts is not None:
                await _examine_contents(notebook, inspection, usable, facts)
    except Misconfigured as error:
        words = first_line(error).removeprefix(f"{subject}: ")
        remedy = "correct MONGODB_URI, or what stands in it on the server"
        notebook.finding(FindingCode.STORE_UNUSABLE, subject, words, remedy)
    except StoreAway as away:
        notebook.finding(FindingCode.STORE_AWAY, "MongoDB", first_line(away), "start it, or correct MONGODB_URI")


async def _examine_server(notebook: Notebook, inspection: StoreInspection, clock: Clock) -> ServerFacts | None:
    asked_at = clock.now()
    try:
        facts = await inspection.server()
    except StoreUnfit as unfit:
        found, _, remedy = first_line(unfit).partition(": ")
        notebook.finding(FindingCode.TRANSACTIONS_ABSENT, "MongoDB", found, remedy)
        return None
    version = ".".join(map(str, facts.version))
    notebook.sound("MongoDB", f"version {version}, with transactions")
    note_server(notebook, facts)
    note_clock(notebook, "MongoDB", facts.time, asked_at=asked_at, answered_at=clock.now())
    return facts


def note_server(notebook: Notebook, facts: ServerFacts) -> None:
    """Note the server's version and how long its transactions may last."""
    version = ".".join(map(str, facts.version))
    if facts.version < _TRIED:
        tried = ".".join(map(str, _TRIED))
        remedy = f"upgrade MongoDB to {tried} or newer"
        notebook.finding(FindingCode.STORE_OLD, "MongoDB version", f"{version} is older than {tried}", remedy)
    subject = "transactionLifetimeLimitSeconds"
    if is_lifetime_long(facts.lifetime_s):
        found = f"{facts.lifetime_s} s: a killed worker's locks block the others that long"
        remedy = f"set it to {TRANSACTION_LIFETIME_S_MAX} or less"
        notebook.finding(FindingCode.TRANSACTIONS_LONG, subject, found, remedy)
    elif facts.lifetime_s is None:
        notebook.untried(subject, "the server does not say: the user may not read it, or mongos answers")
    else:
        notebook.sound(subject, f"{facts.lifetime_s} s")


async def _examine_contents(
    notebook: Notebook, inspection: StoreInspection, usable: UsableSettings, facts: ServerFacts
) -> None:
    missing = await inspection.missing_actions()
    if missing:
        found = f"the user may not {', '.join(missing)} in MONGODB_DATABASE"
        notebook.finding(FindingCode.STORE_RIGHT_MISSING, "MongoDB rights", found, "give it the role readWrite there")
        if "find" in missing:
            return
    else:
        notebook.sound("MongoDB rights", "no access control" if missing is None else "all that the process does")
    await _examine_connections(notebook, inspection, facts)
    await _examine_indexes(notebook, inspection, usable)
    await _examine_documents(notebook, inspection, usable)


async def _examine_connections(notebook: Notebook, inspection: StoreInspection, facts: ServerFacts) -> None:
    subject = "MongoDB connections"
    connections = await inspection.connections()
    if connections is None:
        notebook.untried(subject, "the user may not ask: the role clusterMonitor lets it")
        return
    found = f"{connections.open} open, {connections.free} free"
    if connections.free < facts.pool_max:
        found = f"{found}: this process alone may open {facts.pool_max}"
        remedy = "raise maxIncomingConnections, close other clients, or set maxPoolSize in MONGODB_URI"
        notebook.finding(FindingCode.CONNECTIONS_FEW, subject, found, remedy)
    else:
        notebook.sound(subject, found)


async def _examine_indexes(notebook: Notebook, inspection: StoreInspection, usable: UsableSettings) -> None:
    settings = usable.settings
    worker = not usable.serves
    looking = inspection.indexes(
        revision_days=settings.revision_days,
        waiting_times=settings.waiting_times and worker,
        create_work_items=settings.create_work_items and worker,
        queue_rules=settings.queue_rules and worker,
        by_time_of_writing=settings.sweep_interval_seconds > 0 and worker,
        audit_days=settings.audit_days,
        api=usable.serves,
    )
    facts = await notebook.if_there("indexes", looking)
    if facts is None:
        return
    for line in facts.in_the_way:
        subject, _, rest = line.partition(": ")
        found, _, remedy = rest.rpartition(": ")
        notebook.finding(FindingCode.INDEX_IN_THE_WAY, subject, found, remedy)
    if facts.duplicates is not None:
        found, _, remedy = facts.duplicates.rpartition(": ")
        subject, _, found = found.partition(": ")
        notebook.finding(FindingCode.DUPLICATE_WORK_ITEMS, subject, found, remedy)
    for collection, count, names in facts.large:
        found = f"the start builds {', '.join(names)} on {count} documents, and waits for it"
        remedy = "build them before, with the keys of docs/operations.md, or let the first start take its time"
        notebook.finding(FindingCode.INDEX_TO_BUILD, collection, found, remedy)
    made = f"; the start makes {facts.missing}" if facts.missing else ""
    notebook.sound("indexes", f"{facts.standing} stand{made}")


async def _examine_documents(notebook: Notebook, inspection: StoreInspection, usable: UsableSettings) -> None:
    ids = await inspection.foreign_ids()
    for each in ids:
        if each.alone:
            notebook.finding(FindingCode.FOREIGN_IDS, each.collection, each.found, ALONE_REMEDY)
        else:
            found = f"a document has an _id that is no text ({each.id}), which no event can name"
            notebook.finding(FindingCode.STRAY_ID, each.collection, found, "store it under the id as text")
    fields = await notebook.if_there("fields of stored documents", inspection.foreign_fields())
    if fields is None:
        return
    for field in fields:
        subject = f"{field.collection}, {field.field}"
        found = f"{field.found} in {field.id}, {field.count} documents in all: the worker does not find them"
        notebook.finding(FindingCode.FOREIGN_FIELD, subject, found, "store the right type")
    if not ids and not fields:
        notebook.sound("stored documents", "their ids are texts, and the fields that are searched have their types")
    if not usable.settings.state_from_events and not await inspection.has_conversations():
        database = usable.settings.mongodb_database
        found = f"the database {database} has no conversations, and STATE_FROM_EVENTS is false: the worker stores none"
        remedy = "point MONGODB_DATABASE at the conversations' database, or set STATE_FROM_EVENTS to true"
        notebook.finding(FindingCode.NO_CONVERSATIONS, "conversations", found, remedy)
