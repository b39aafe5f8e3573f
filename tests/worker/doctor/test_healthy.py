"""On a system that is all right the doctor finds nothing."""

from typing import Any

import pytest
from pydantic import SecretStr
from pymongo import MongoClient

from mongod import Mongod
from tests.worker.doctor.patients import Patient, findings_in, healthy_patient, untried_in
from tests.worker.stand_ins.moto_clients import Aws
from tests.worker.store.store_bench import DEADLINE_S
from tests.worker.telemetry.agent.agents import port_of, udp_agent
from worker.findings import FindingCode, Severity, Sound
from worker.mongo.client import mongo_client as opened_mongo
from worker.mongo.store import MongoStore
from worker.runtime.clock import ObjectIds, SystemClock
from worker.settings.settings import Settings
from worker.settings.verbs.serve import ServeSettings

pytestmark = pytest.mark.thorough


@pytest.mark.parametrize("kind", [Settings, ServeSettings], ids=["run", "serve"])
async def test_what_provision_made_is_all_right_and_all_of_it_was_looked_at(
    patient: Patient, kind: type[Settings]
) -> None:
    with udp_agent() as agent:
        patient.set(STATSD_HOST="127.0.0.1", STATSD_PORT=str(port_of(agent)))
        reports = await patient.examined(kind)
    assert findings_in(reports) == []
    assert untried_in(reports) == {}
    queue = [] if kind is ServeSettings else ["queue"]
    assert [report.area for report in reports] == ["settings", "process", "aws", *queue, "delivery", "mongo"]


@pytest.mark.parametrize(
    "wanted",
    [{"fifo": True}, {"raw": True}, {"filtered": True}, {"fifo": True, "raw": True, "filtered": True}],
    ids=str,
)
async def test_every_way_to_provision_is_all_right(
    aws: Aws,
    mongo_client: MongoClient[dict[str, Any]],
    mongod: Mongod,
    monkeypatch: pytest.MonkeyPatch,
    wanted: dict[str, bool],
) -> None:
    patient = await healthy_patient(aws, mongo_client, monkeypatch, uri=mongod.uri, **wanted)
    assert await patient.findings() == []


async def test_the_rights_on_the_key_of_a_topic_are_told_as_untried(patient: Patient) -> None:
    await patient.aws.sns.set_topic_attributes(
        TopicArn=patient.made.work_item_topic_arn, AttributeName="KmsMasterKeyId", AttributeValue="alias/events"
    )
    reports = await patient.examined()
    assert findings_in(reports) == []
    (subject,) = [each for each in untried_in(reports) if "kms:" in each]
    assert subject.startswith("kms:Decrypt, kms:GenerateDataKey on alias/events, the key of SNS_WORK_ITEM_TOPIC_ARN")


async def test_it_writes_nothing_and_no_message_is_sent(patient: Patient) -> None:
    await patient.aws.sqs.send_message(QueueUrl=patient.made.queue_url, MessageBody="{}")
    await patient.findings()
    assert patient.database not in patient.mongo.list_database_names()
    (message,) = await patient.aws.taken(patient.made.queue_url)
    assert message["Attributes"]["ApproximateReceiveCount"] == "1"
    assert await patient.aws.taken(patient.made.dead_letter_queue_url) == []


async def test_indexes_that_the_start_has_made_are_known(patient: Patient, mongod: Mongod) -> None:
    async with opened_mongo(SecretStr(mongod.uri), DEADLINE_S) as client:
        store = MongoStore(client, patient.database, clock=SystemClock(), ids=ObjectIds(), deadline_s=DEADLINE_S)
        await store.ensure_indexes(revision_days=400, by_time_of_writing=True, audit_days=30)
    reports = await patient.examined()
    assert findings_in(reports) == []
    sound = [result for report in reports for result in report.results if isinstance(result, Sound)]
    assert [result.found for result in sound if result.subject == "indexes"] == ["13 stand"]


def test_every_code_says_what_it_means_and_how_bad_it_is() -> None:
    assert {code.severity for code in FindingCode} == set(Severity)
    assert [code.value for code in FindingCode] == [code.name for code in FindingCode]
