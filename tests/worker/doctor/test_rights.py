"""The rights are tried on a server that enforces IAM: each one that is missing is named, and nothing is sent."""

import json
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from aiobotocore.session import get_session
from pymongo import MongoClient

from mongod import Mongod
from moto_server import MotoServer
from server_process import ROOT
from tests.worker.doctor.patients import Patient, codes, findings_in, healthy_patient, untried_in
from tests.worker.stand_ins.moto_clients import opened
from worker.findings import FindingCode, Severity
from worker.settings.settings import Settings
from worker.settings.verbs.serve import ServeSettings

pytestmark = pytest.mark.thorough

DEPLOY = ROOT / "deploy"


def actions(*names: str) -> list[str]:
    """The actions of policies of `deploy/`."""
    policies = [json.loads((DEPLOY / name).read_text()) for name in names]
    return sorted({action for policy in policies for each in policy["Statement"] for action in each["Action"]})


RUN, SERVE, DOCTOR = actions("iam-policy.json"), actions("iam-serve.json"), actions("iam-doctor.json")


class Guarded:
    """A server, and a user's keys that a test gives rights to."""

    def __init__(self, server: MotoServer) -> None:
        self.server = server

    def enforce(self, on: bool) -> None:
        """Switch the enforcement of IAM on or off. moto knows no resources, so a policy is its actions."""
        # As the text that it is: urllib would call it a form, which moto reads before.
        request = urllib.request.Request(
            f"{self.server.endpoint}/moto-api/reset-auth",
            data=b"0" if on else b"inf",
            headers={"Content-Type": "text/plain"},
            method="POST",
        )
        with urllib.request.urlopen(request, timeout=10):
            pass

    async def user(self, patient: Patient, allowed: list[str]) -> None:
        """Let the patient be a user with these rights, and enforce them."""
        name = f"user-{patient.database}"
        session = get_session()
        async with session.create_client("iam", region_name="us-east-1", endpoint_url=self.server.endpoint) as iam:
            await iam.create_user(UserName=name)
            keys = (await iam.create_access_key(UserName=name))["AccessKey"]
            statement = {"Effect": "Allow", "Action": allowed, "Resource": "*"}
            document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
            await iam.put_user_policy(UserName=name, PolicyName="rights", PolicyDocument=document)
        patient.set(AWS_ACCESS_KEY_ID=keys["AccessKeyId"], AWS_SECRET_ACCESS_KEY=keys["SecretAccessKey"])
        self.enforce(on=True)


@pytest.fixture(scope="module")
def server() -> Iterator[MotoServer]:
    with MotoServer() as server:
        yield server


@pytest.fixture
def guarded(server: MotoServer) -> Iterator[Guarded]:
    guarded = Guarded(server)
    guarded.enforce(on=False)
    yield guarded
    guarded.enforce(on=False)


@pytest.fixture
async def known(
    guarded: Guarded,
    mongo_client: MongoClient[dict[str, Any]],
    mongod: Mongod,
    monkeypatch: pytest.MonkeyPatch,
) -> Any:
    async with opened(guarded.server) as aws:
        patient = await healthy_patient(aws, mongo_client, monkeypatch, uri=mongod.uri)
        yield patient
        patient.close()


@pytest.mark.parametrize(
    ("kind", "policies"),
    [(Settings, [*RUN, *DOCTOR]), (ServeSettings, SERVE)],
    ids=["run", "serve"],
)
async def test_the_policies_are_all_that_is_needed(
    guarded: Guarded, known: Patient, kind: type[Settings], policies: list[str]
) -> None:
    await guarded.user(known, policies)
    reports = await known.examined(kind)
    assert findings_in(reports) == []
    assert list(untried_in(reports)) == ["Datadog agent"]


async def test_without_the_doctors_own_rights_the_subscriptions_are_not_tried(guarded: Guarded, known: Patient) -> None:
    await guarded.user(known, RUN)
    reports = await known.examined()
    assert findings_in(reports) == []
    reasons = [reason for subject, reason in untried_in(reports).items() if subject.startswith("subscription")]
    assert reasons == ["the right sns:ListSubscriptionsByTopic is missing, deploy/iam-doctor.json has it"] * 2


@pytest.mark.parametrize("missing", RUN)
async def test_a_missing_right_of_run_is_named(guarded: Guarded, known: Patient, missing: str) -> None:
    await guarded.user(known, [action for action in [*RUN, *DOCTOR] if action != missing])
    findings = await known.findings()
    assert codes(findings) == [FindingCode.RIGHT_MISSING]
    assert {finding.subject.partition(" on ")[0] for finding in findings} == {missing}
    assert all(missing in finding.remedy and "iam-policy.json" in finding.remedy for finding in findings)
    assert all(finding.code.severity is Severity.FAULT for finding in findings)
    guarded.enforce(on=False)
    assert await known.aws.taken(known.made.queue_url) == []
    assert await known.aws.taken(known.made.dead_letter_queue_url) == []


@pytest.mark.parametrize("missing", SERVE)
async def test_a_missing_right_of_serve_is_named(guarded: Guarded, known: Patient, missing: str) -> None:
    await guarded.user(known, [action for action in SERVE if action != missing])
    findings = await known.findings(ServeSettings)
    assert codes(findings) == [FindingCode.RIGHT_MISSING]
    assert "iam-serve.json" in findings[0].remedy


async def test_keys_that_nobody_has_are_refused_and_said_once(guarded: Guarded, known: Patient) -> None:
    await guarded.user(known, RUN)
    known.set(AWS_ACCESS_KEY_ID="AKIANOBODY", AWS_SECRET_ACCESS_KEY="hunter2")
    reports = await known.examined()
    (finding,) = findings_in(reports)
    assert finding.code is FindingCode.CREDENTIALS_REFUSED
    assert "AWS_ACCESS_KEY_ID" in finding.remedy
    assert "hunter2" not in str(reports)
    assert untried_in(reports)["rights, queue and topics"] == "the credentials must be mended first"
