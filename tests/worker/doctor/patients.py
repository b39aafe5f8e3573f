"""A system for one test that is all right: queues and topics in moto, a database of its own, and the environment that
names them. A test makes a fault in it and lets the doctor look."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from socket import socket
from typing import Any

import pytest
from pymongo import MongoClient

from tests.worker.stand_ins.moto_clients import Aws
from worker.aws.provisioning import ProvisioningResult
from worker.doctor.examination import AreaReport, examine
from worker.findings import Finding, FindingCode, Untried, findings_of
from worker.runtime.clock import SystemClock
from worker.settings.settings import Settings
from worker.settings.table import serve_setting_rows, setting_rows

COMMAND = (sys.executable, "-c", "from worker.cli.main import main; main()")
_numbers = count(1)


class SkewedClock(SystemClock):
    """This machine's clock, so many seconds ahead."""

    def __init__(self, ahead_s: float) -> None:
        self._ahead = timedelta(seconds=ahead_s)

    def now(self) -> datetime:
        return super().now() + self._ahead


@dataclass(slots=True)
class Patient:
    """The system. `clock_ahead_s`: how far this machine's clock is ahead; `check_s`: the time of a check."""

    aws: Aws
    made: ProvisioningResult
    monkeypatch: pytest.MonkeyPatch
    mongo: MongoClient[dict[str, Any]]
    database: str
    uri: str
    held: list[socket] = field(default_factory=list)
    parameters_before: dict[str, int] = field(default_factory=dict)
    clock_ahead_s: float = 0
    check_s: float = 5

    @property
    def documents(self) -> Any:
        """The database."""
        return self.mongo[self.database]

    def set(self, **variables: str) -> None:
        """Set environment variables."""
        for name, value in variables.items():
            self.monkeypatch.setenv(name, value)

    def unset(self, *names: str) -> None:
        """Unset environment variables."""
        for name in names:
            self.monkeypatch.delenv(name, raising=False)

    def credentials(self, user: str, password: str) -> None:
        """Let the settings name a user of MongoDB."""
        self.set(MONGODB_URI=self.uri.replace("//", f"//{user}:{password}@") + f"&authSource={self.database}")

    def parameter(self, name: str, value: int) -> None:
        """Set a parameter of MongoDB's until the end of the test."""
        before = self.mongo.admin.command({"getParameter": 1, name: 1})[name]
        self.parameters_before.setdefault(name, before)
        self.mongo.admin.command({"setParameter": 1, name: value})

    def close(self) -> None:
        """Put the server back as it was, and free what the test held."""
        for name, value in self.parameters_before.items():
            self.mongo.admin.command({"setParameter": 1, name: value})
        for each in self.held:
            each.close()
        self.mongo.drop_database(self.database)

    async def queue(self, **attributes: str) -> None:
        """Set attributes of the queue; empty: remove. moto loses the policy where another attribute is set."""
        attributes = {"Policy": await self.attribute("Policy"), **attributes}
        await self.aws.sqs.set_queue_attributes(QueueUrl=self.made.queue_url, Attributes=attributes)  # type: ignore[arg-type]  # the stubs list names

    async def dead_letter_queue(self, **attributes: str) -> None:
        """Set attributes of the dead-letter queue."""
        await self.aws.sqs.set_queue_attributes(QueueUrl=self.made.dead_letter_queue_url, Attributes=attributes)  # type: ignore[arg-type]  # as above

    async def attribute(self, name: Any) -> str:
        """An attribute of the queue."""
        found = await self.aws.sqs.get_queue_attributes(QueueUrl=self.made.queue_url, AttributeNames=[name])
        return str(found["Attributes"][name])

    async def redrive(self, count_max: int) -> None:
        """Set the redrive policy's `maxReceiveCount`."""
        policy = json.loads(await self.attribute("RedrivePolicy"))
        await self.queue(RedrivePolicy=json.dumps({**policy, "maxReceiveCount": count_max}))

    async def policy(self, **changes: Any) -> None:
        """Change the statement of the queue's policy that lets the topics send."""
        policy = json.loads(await self.attribute("Policy"))
        policy["Statement"][0] |= changes
        await self.queue(Policy=json.dumps(policy))

    async def subscription(self, topic: str) -> str:
        """The ARN of the queue's subscription to the topic."""
        (found,) = (await self.aws.sns.list_subscriptions_by_topic(TopicArn=topic))["Subscriptions"]
        return found["SubscriptionArn"]

    async def filter(self, policy: Mapping[str, Any], scope: str = "MessageBody") -> None:
        """Set the filter policy of the subscription to conversations."""
        arn = await self.subscription(self.made.conversation_topic_arn)
        for name, value in (("FilterPolicyScope", scope), ("FilterPolicy", json.dumps(policy))):
            await self.aws.sns.set_subscription_attributes(
                SubscriptionArn=arn, AttributeName=name, AttributeValue=value
            )

    async def examined(self, kind: type[Settings] = Settings) -> list[AreaReport]:
        """What the doctor sees."""
        return list(await examine(kind, SkewedClock(self.clock_ahead_s), check_s=self.check_s))

    async def findings(self, kind: type[Settings] = Settings, *, apart: bool = False) -> list[Finding]:
        """What the doctor finds; `apart`: in a process of its own."""
        if apart:
            _, (*lines, _summary) = await examined_apart()
            return [finding_of(line) for line in lines if line["code"]]
        return findings_in(await self.examined(kind))


async def examined_apart(*arguments: str) -> tuple[int, list[dict[str, Any]]]:
    """Exit status and JSON lines of the verb in a process of its own, with this process's environment.

    For a MongoDB that is away: the driver leaks the socket of a cancelled connect.
    """
    process = await asyncio.create_subprocess_exec(
        *COMMAND, "doctor", "--json", *arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    output, errors = await process.communicate()
    assert errors == b""
    assert process.returncode is not None
    return process.returncode, [json.loads(line) for line in output.splitlines()]


def finding_of(line: Mapping[str, Any]) -> Finding:
    """The finding that a JSON line shows."""
    return Finding(code=FindingCode(line["code"]), subject=line["subject"], found=line["found"], remedy=line["remedy"])


def findings_in(reports: list[AreaReport]) -> list[Finding]:
    """The findings of all areas."""
    return [finding for report in reports for finding in findings_of(report.results)]


def untried_in(reports: list[AreaReport]) -> dict[str, str]:
    """What could not be tried, and why."""
    results = [result for report in reports for result in report.results]
    return {result.subject: result.reason for result in results if isinstance(result, Untried)}


def codes(findings: list[Finding]) -> list[FindingCode]:
    """The codes, each once, in order."""
    return list(dict.fromkeys(finding.code for finding in findings))


async def healthy_patient(
    aws: Aws, mongo: MongoClient[dict[str, Any]], monkeypatch: pytest.MonkeyPatch, *, uri: str, **wanted: Any
) -> Patient:
    """A new system; `wanted` as of `ProvisioningSpec`."""
    made = await aws.provisioned(**wanted)
    for row in (*setting_rows(), *serve_setting_rows()):
        monkeypatch.delenv(row.name, raising=False)
    database = f"patient_{next(_numbers)}"
    patient = Patient(aws, made, monkeypatch, mongo, database, uri)
    variables = {**made.variables(), "AWS_REGION": "us-east-1", "AWS_ENDPOINT_URL": str(aws.endpoint.url)}
    patient.set(**variables, MONGODB_URI=uri, MONGODB_DATABASE=database, HTTP_PORT="0", API_PORT="0")
    return patient
