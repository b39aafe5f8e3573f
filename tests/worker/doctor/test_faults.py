"""Each fault that is made on purpose is named, with its remedy, and nothing else is."""

import pytest

from tests.worker.doctor.faults import FAULTS, Fault
from tests.worker.doctor.patients import Patient, codes
from worker.findings import FindingCode, Severity

QUICK = {"no subscription", "no policy of the queue", "two active work-items", "a gap below the visibility timeout"}


@pytest.mark.parametrize(
    "fault",
    [pytest.param(fault, id=fault.name, marks=() if fault.name in QUICK else pytest.mark.thorough) for fault in FAULTS],
)
async def test_a_fault_is_named_with_its_remedy(patient: Patient, fault: Fault) -> None:
    await fault.inflict(patient)
    findings = await patient.findings()
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


def test_there_are_more_than_thirty_and_of_every_kind() -> None:
    assert len({fault.name for fault in FAULTS}) == len(FAULTS) > 30
    assert {code.severity for fault in FAULTS for code in fault.codes} == set(Severity)
