"""Each fault that is made on purpose is named, with its remedy, and nothing else is."""

from collections.abc import Sequence
from typing import Any

import pytest
from pymongo import MongoClient

from mongod import Mongod
from server_process import port_taken
from tests.worker.doctor.faults import FAULTS, SetupFault
from tests.worker.doctor.patients import Patient, codes, healthy_patient
from tests.worker.stand_ins.moto_clients import Aws
from worker.doctor.notebook import Notebook
from worker.doctor.store_area import note_server
from worker.findings import FindingCode, Severity, findings_of
from worker.mongo.checks.inspection import ServerFacts

pytestmark = pytest.mark.thorough


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
async def test_a_fault_is_named_with_its_remedy(patient: Patient, fault: SetupFault) -> None:
    await fault.inflict(patient)
    findings = await patient.findings(apart=fault.apart)
    assert codes(findings) == list(fault.codes), findings
    assert fault.subject in findings[0].subject
    assert fault.remedy in findings[0].remedy
    assert findings[0].found
    assert "hunter2" not in str(findings)


async def test_all_faults_are_named_at_once(patient: Patient) -> None:
    patient.set(LANES="none", SYNC_GAP_SECONDS="20", STATSD_HOST="unix:///nowhere", MONGODB_DATABAS="x")
    await patient.queue(Policy="", RedrivePolicy="", MessageRetentionPeriod="3600")
    await patient.aws.sns.delete_topic(TopicArn=patient.made.work_item_topic_arn)
    patient.documents["queues"].insert_one({"_id": 1})
    patient.documents["work_items"].create_index("conversationId", unique=True, name="theirs")
    assert codes(await patient.findings()) == [
        FindingCode.SETTING_WRONG,
        FindingCode.SETTING_MISTYPED,
        FindingCode.AGENT_UNREACHABLE,
        FindingCode.VISIBILITY_ABOVE_GAP,
        FindingCode.RETENTION_SHORT,
        FindingCode.REDRIVE_ABSENT,
        FindingCode.TOPIC_ABSENT,
        FindingCode.TOPIC_NOT_ALLOWED,
        FindingCode.INDEX_IN_THE_WAY,
        FindingCode.FOREIGN_IDS,
    ]


async def test_a_fifo_queue_with_the_throughput_of_one_group(
    aws: Aws, mongo_client: MongoClient[dict[str, Any]], mongod: Mongod, monkeypatch: pytest.MonkeyPatch
) -> None:
    patient = await healthy_patient(aws, mongo_client, monkeypatch, uri=mongod.uri, fifo=True)
    await patient.queue(FifoThroughputLimit="perQueue")
    (finding,) = await patient.findings()
    assert finding.code is FindingCode.FIFO_THROUGHPUT
    assert "perMessageGroupId" in finding.remedy


class Standalone(Mongod):
    """A MongoDB that is no replica set."""

    def _command(self) -> Sequence[str]:
        return [part for part in super()._command() if part not in ("--replSet", "rs0")]

    def _answers(self) -> bool:
        return port_taken(self.port)


async def test_a_mongodb_without_transactions(patient: Patient) -> None:
    with Standalone() as standalone:
        patient.set(MONGODB_URI=f"mongodb://127.0.0.1:{standalone.port}/?directConnection=true")
        (finding,) = await patient.findings()
    assert finding.code is FindingCode.TRANSACTIONS_ABSENT
    assert "--replSet" in finding.remedy


def test_an_old_mongodb() -> None:
    notebook = Notebook("mongo", check_s=1, noted=lambda _: None)
    note_server(notebook, ServerFacts(version=(5, 0, 9), lifetime_s=None, time=None, pool_max=100))
    (finding,) = findings_of(notebook.results)
    assert finding.code is FindingCode.STORE_OLD
    assert (finding.found, finding.remedy) == ("5.0.9 is older than 6.0", "upgrade MongoDB to 6.0 or newer")


ELSEWHERE = {
    # test_rights.py, on a server that enforces IAM
    FindingCode.RIGHT_MISSING,
    FindingCode.CREDENTIALS_REFUSED,
    # above, by a server of its own or by its facts
    FindingCode.FIFO_THROUGHPUT,
    FindingCode.TRANSACTIONS_ABSENT,
    FindingCode.STORE_OLD,
    # ../aws/checks/test_delivery.py: moto confirms every subscription and refuses what cannot be read
    FindingCode.SUBSCRIPTION_PENDING,
    FindingCode.POLICY_UNREADABLE,
    FindingCode.FILTER_UNREADABLE,
    # The development environment has the packages of the extra.
    FindingCode.EXTRA_MISSING,
}


def test_every_code_is_inflicted() -> None:
    assert set(FindingCode) - {code for fault in FAULTS for code in fault.codes} == ELSEWHERE


def test_there_are_more_than_thirty_and_of_every_kind() -> None:
    assert len({fault.name for fault in FAULTS}) == len(FAULTS) > 30
    assert {code.severity for fault in FAULTS for code in fault.codes} == set(Severity)
