"""The runbook's ten questions on a running system: the commands are run as the page has them, and their output answers.

LocalStack, MongoDB and a worker under `causal`; the question about the policy has queues and workers of its own.
"""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
import yaml
from cfnlint.decode import decode_str

from localstack_server import LocalStack
from mongod import Mongod
from server_process import ROOT
from tests.docs.runbook import RUNBOOK, questions
from tests.e2e.on_call import (
    OnCall,
    ShellOutput,
    announce_queued_pairs,
    conversation_update,
    on_call_of,
    wait_for_agent,
    wait_for_watermark,
)
from tests.e2e.outside import Outside
from tests.e2e.stage import staged_on
from tests.e2e.worker_process import wait_until
from tests.handlers.wire_events import conversation, event, published, text


@pytest.fixture(scope="module")
def on_call(localstack: LocalStack, mongod: Mongod, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OnCall]:
    """A healthy system. Each test has conversations of its own."""
    with staged_on(localstack.environment, mongod.uri, tmp_path_factory.mktemp("ten"), name="ten") as stage:
        yield on_call_of(stage)


@pytest.fixture
def in_shadow(localstack: LocalStack, mongod: Mongod, tmp_path: Path) -> Iterator[OnCall]:
    with staged_on(localstack.environment, mongod.uri, tmp_path, name="shadow") as stage:
        yield on_call_of(stage, SYNC_POLICY="shadow")


def test_who_un_assigned_this(on_call: OnCall) -> None:
    announce_queued_pairs(on_call, [10, 100])
    for number in (10, 100):
        on_call.stage.publish([conversation_update(number, 2, [], ["user-1"], "agents-app")])
        wait_for_agent(on_call, number, "user-1")
    on_call.stage.publish([conversation_update(10, 3, ["user-1"], [], "workflow-engine")])
    wait_for_agent(on_call, 10, None)

    # The line is written after the commit.
    wait_until(
        lambda: any(
            (line["conversationId"], line["event"]["rev"], line["outcome"]) == ("conversation-10", 3, "applied")
            for line in on_call.worker.audits()
        ),
        within_s=30,
        what=lambda: "the audit line is in the log",
    )
    explained, story = on_call.ask("Who un-assigned this?", ID="conversation-10")
    assert (explained.status, explained.err) == (0, "")
    assert re.match(
        r"agent user-1 was un-assigned from work-item work-item-10 at \S+ by rule B3 \(policy causal\), because event "
        r"\S+ \(kustomer.conversation.update, conversation 3 by client workflow-engine\)",
        explained.lines[0],
    ), explained.lines[0]
    found = on_call.run(_grep("conversation-10"))
    (line,) = (json.loads(line) for line in found.lines)
    assert (line["conversationId"], line["workItemId"]) == ("conversation-10", "work-item-10")
    assert line["event"]["changes"] == {"assignedUsers": {"before": ["user-1"], "after": []}}
    (written,) = line["written"]
    assert written["changes"]["assignedTo"] == {"before": "user-1", "after": None}
    assert (line["event"]["client"], line["event"]["rev"], line["trigger"]) == ("workflow-engine", 3, "conversation")
    assert [(reason["code"], reason["meta"]["rule"], reason["meta"]["policy"]) for reason in line["reasons"]] == [
        ("CONVERSATION_UNASSIGNED", "B3", "causal")
    ]
    assert (story.status, story.err) == (0, "")
    told = [" ".join(line.split()) for line in story.lines]
    at = told.index("wrote work-item against revision 2: assignedTo none")
    assert told[at + 1] == "SYNC_WORK_ITEM CONVERSATION_UNASSIGNED: B3 causal"
    # Nobody un-assigned the other one.
    explained, story = on_call.ask("Who un-assigned this?", ID="conversation-100")
    assert explained.lines[0].startswith("nobody was un-assigned; agent user-1 was assigned")
    assert (on_call.run(_grep("conversation-100")).lines, "assignedTo none" in story.out) == ([], False)


def _grep(conversation_id: str) -> str:
    """The command by hand, as the page has it."""
    (command,) = re.findall(r"^grep -e 'ID.*$", RUNBOOK.read_text(), re.MULTILINE)
    return str(command).replace("ID", conversation_id)


def test_what_the_page_asks_of_readyz_is_there(on_call: OnCall) -> None:
    if shutil.which("jq") is None or shutil.which("curl") is None:
        pytest.skip("curl or jq is not installed")
    asked = sorted(set(re.findall(r"`(curl -s localhost:8080/readyz \| jq [.\w]+)`", RUNBOOK.read_text())))
    assert len(asked) >= 3
    for command in asked:
        answer = on_call.run(command.replace(":8080/", f":{on_call.worker.http_port}/"))
        assert json.loads(answer.out) is not None, command


GOOD, OF_EACH_KIND = 120, 45


def test_what_are_these_300_dead_letters(on_call: OnCall) -> None:
    """The worker refuses four kinds. The fifth are messages as SQS moves them: readable, without a code."""
    stage = on_call.stage
    dead_url = stage.variables["SQS_DEAD_LETTER_QUEUE_URL"]
    for number in range(OF_EACH_KIND):
        wrong_status = published(event(conversation(2, key=f"bad-{number}", status="shut")))
        wrong_rev = published(event(conversation(0, key=f"bad-{number}")))
        stage.send([f"no JSON {number}", text({"hello": number}), text(wrong_status), text(wrong_rev)])
    for number in range(GOOD):
        body = text(published(event(conversation(2, key=f"good-{number}"))))
        stage.sqs.send_message(QueueUrl=dead_url, MessageBody=body)
    letters = GOOD + 4 * OF_EACH_KIND
    wait_until(
        lambda: stage.depth(dead_url) == letters, within_s=90, what=lambda: f"{stage.depth(dead_url)} dead letters"
    )

    summary, plan = on_call.ask("What are these 300 dead letters?")
    assert (summary.status, summary.err) == (0, "")
    assert _counts(summary) == {
        ("NO_CODE", "yes"): GOOD,
        ("NOT_JSON", "no"): OF_EACH_KIND,
        ("NOT_AN_EVENT", "no"): OF_EACH_KIND,
        ("INVALID_FIELD", "no"): OF_EACH_KIND,
        ("BAD_REVISION", "no"): OF_EACH_KIND,
    }
    assert "data.attributes.status: Input should be 'open', 'snoozed' or 'done'" in summary.out
    assert plan.lines[0] == f"{GOOD} would be put back, {4 * OF_EACH_KIND} stay"
    assert stage.depth(dead_url) == letters


def _counts(answer: ShellOutput) -> dict[tuple[str, str], int]:
    """The table of the summary: code and `put back` → letters."""
    rows = re.findall(r"^ *(\d+)  ([A-Z_]+) .*  (yes|no)  ", answer.out, re.MULTILINE)
    return {(code, put_back): int(count) for count, code, put_back in rows}


def test_is_this_healthy_before_i_roll_out(on_call: OnCall) -> None:
    (healthy,) = on_call.ask("Is this healthy before I roll out?")
    assert (healthy.status, healthy.err) == (0, ""), healthy.out
    assert re.search(r"^\d+ checks for run in .*: 0 faults, 0 warnings, ", healthy.lines[-1])
    url, topic = on_call.stage.variables["SQS_QUEUE_URL"], on_call.stage.variables["SNS_WORK_ITEM_TOPIC_ARN"]
    policy = on_call.stage.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["Policy"])["Attributes"]
    on_call.stage.sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": ""})
    try:
        (ill,) = on_call.ask("Is this healthy before I roll out?")
    finally:
        on_call.stage.sqs.set_queue_attributes(QueueUrl=url, Attributes=policy)
    assert ill.status == 1
    (fault,) = [line for line in ill.lines if line.startswith("fault ") and topic in line]
    assert fault.startswith("fault TOPIC_NOT_ALLOWED ")
    assert "run `routing-sync provision`" in fault


def _assign_in_silence(on_call: OnCall, number: int, user: str) -> None:
    """The owner's write, of which no event comes, an hour ago."""
    written = on_call.stage.database["conversations"].update_one(
        {"_id": f"conversation-{number}"},
        {"$set": {"attributes.assignedUsers": [user]}, "$inc": {"rev": 1, "attributes.rev": 1}},
    )
    assert written.modified_count == 1


def test_which_pairs_are_out_of_step(on_call: OnCall) -> None:
    announce_queued_pairs(on_call, range(20, 23))
    _assign_in_silence(on_call, 21, "user-2")
    wait_for_watermark(on_call)
    (answer,) = on_call.ask("Which pairs are out of step?")
    (line,) = [line for line in answer.lines if re.search(r"\bconversation-2[0-2]\b", line)]
    assert line.startswith("OUT_OF_STEP conversation-21 work-item-21, since ")
    assert '; assignee ["user-2"] / null, the conversation wins: ' in line
    assert line.endswith("planned")
    assert answer.status == 1
    wait_for_agent(on_call, 21, None)


def _listed(answer: ShellOutput) -> set[str]:
    """The files that `ls` of several folders printed, with their folders."""
    blocks = (block.splitlines() for block in answer.out.split("\n\n"))
    return {f"{head.removesuffix(':')}/{name}" for head, *names in blocks for name in names}


def test_what_do_i_import_into_datadog(on_call: OnCall) -> None:
    (answer,) = on_call.ask("What do I import into Datadog?")
    files = {name for name in _listed(answer) if name.endswith(".json")}
    stored = {str(path.relative_to(ROOT)) for path in (ROOT / "deploy" / "datadog").rglob("*.json")}
    assert files == stored
    loaded = {name.removeprefix("deploy/datadog/"): json.loads((ROOT / name).read_text()) for name in files}
    monitors = [each for name, each in loaded.items() if name.startswith("monitors/")]
    assert len(monitors) >= 20
    assert all({"name", "type", "query", "message"} <= monitor.keys() for monitor in monitors)
    assert loaded["dashboard.json"]["widgets"]
    assert loaded["log-pipeline.json"]["processors"]
    assert {"log-facets.json", "metric-metadata.json"} < loaded.keys()


def test_how_do_i_deploy_it(on_call: OnCall) -> None:
    kubernetes, others = on_call.ask("How do I deploy it?")
    assert (kubernetes.status, kubernetes.err) == (0, "")
    objects = list(yaml.safe_load_all(kubernetes.out))
    deployments = [each["spec"]["template"]["spec"] for each in objects if each["kind"] == "Deployment"]
    assert sorted(each["containers"][0]["args"] for each in deployments) == [["run"], ["serve"]]
    files = _listed(others)
    assert "deploy/ecs/routing-sync.yaml" in files
    cloudformation, errors = decode_str((ROOT / "deploy/ecs/routing-sync.yaml").read_text())
    assert not errors
    assert {"AWS::ECS::Service", "AWS::ECS::TaskDefinition"} <= {
        each["Type"] for each in cloudformation["Resources"].values()
    }
    assert {f"deploy/terraform/{name}.tf" for name in ("messaging", "iam", "alarms", "variables")} <= files
    terraform = pytest.importorskip("tfparse", exc_type=ImportError).load_from_path(str(ROOT / "deploy" / "terraform"))
    assert {"aws_sqs_queue", "aws_sns_topic_subscription", "aws_iam_policy"} <= terraform.keys()


def test_what_does_it_cost(on_call: OnCall) -> None:
    (answer,) = on_call.ask("What does it cost?")
    assert (answer.status, answer.err) == (0, "")
    (events,) = re.findall(r"^ *events/s +([\d,]+) +([\d,]+)$", answer.out, re.MULTILINE)
    assert events == ("100", "2,000")
    _, dollars = answer.out.split("US dollars a month\n")
    parts = re.findall(r"^  (.+?)  +([\d,.]+)$", dollars, re.MULTILINE)
    costs = {part: float(figure.replace(",", "")) for part, figure in parts}
    assert {"SQS calls", "MongoDB nodes", "total", "per million events"} < costs.keys()
    per_million, total = costs.pop("per million events"), costs.pop("total")
    # Each figure is rounded.
    assert abs(total - sum(costs.values())) <= len(costs)
    assert 0 < per_million < total


def test_mongo_was_restored(on_call: OnCall) -> None:
    """As a backup left them: the conversation with its agent, the work-item from before. The states are newer."""
    announce_queued_pairs(on_call, range(30, 33))
    items = on_call.stage.database["work_items"]
    backup = {number: items.find_one({"_id": f"work-item-{number}"}) for number in range(30, 33)}
    for number in range(30, 33):
        on_call.stage.publish([conversation_update(number, 2, [], ["user-3"], "agents-app")])
        wait_for_agent(on_call, number, "user-3")
    for document in backup.values():
        assert document is not None
        items.replace_one({"_id": document["_id"]}, document)
    wait_for_watermark(on_call)
    planned, repaired = on_call.ask("Mongo was restored. What now?")
    assert planned.status == 1
    for answer, end in ((planned, "planned"), (repaired, "repaired")):
        ends = [line for line in answer.lines if re.search(r"\bwork-item-3[0-2]\b", line)]
        assert [line.rpartition(": ")[2] for line in ends] == [end] * 3, answer
        assert all('assignee ["user-3"] / null, the conversation wins' in line for line in ends)
    assert repaired.status == 0
    for number in range(30, 33):
        wait_for_agent(on_call, number, "user-3")
    # The sweep goes on above every revision that was announced.
    revisions = [item["rev"] for item in items.find({"_id": {"$in": [f"work-item-{n}" for n in range(30, 33)]}})]
    assert revisions == [3, 3, 3]
    again = on_call.ask("Mongo was restored. What now?")
    assert [(answer.status, answer.lines[-1].rpartition(": ")[2]) for answer in again] == [(0, "no drift")] * 2


def test_do_two_versions_run_side_by_side(on_call: OnCall) -> None:
    newer = on_call.stage.worker(SWEEP_INTERVAL_SECONDS="0", DD_VERSION="1.5.0")
    newer.wait_ready()
    (answer,) = on_call.ask("Do two versions run side by side?")
    lines = [json.loads(line) for line in answer.lines]
    assert {line["dd"]["version"] for line in lines if line["msg"] == "worker started"} == {"1.4.0", "1.5.0"}
    (changed,) = (line for line in lines if line["msg"] == "deployment changed")
    assert changed["text"] == "The version before is 1.4.0. Workers of both run until the deployment ends."
    assert newer.terminate()[0] == 0


MOVE: Final = "Is it safe to move to `causal`, and which policy runs?"


def test_causal_and_back(in_shadow: OnCall) -> None:
    outside = Outside(16)
    messages = [message for number in range(40) for message in outside.pair(number, writes=6)]
    in_shadow.stage.publish(messages)
    ids = {message["body"]["id"] for message in messages}
    wait_until(
        lambda: ids <= {line["event"]["id"] for line in in_shadow.worker.audits()},
        within_s=120,
        what=lambda: "all events are handled",
    )
    report, started = in_shadow.ask(MOVE)
    assert (report.status, report.lines[-1]) == (1, "no verdict: not enough evidence to move from shadow to causal")
    assert "missing: 40 pairs, at least 500 wanted (--min-pairs)" in report.lines
    assert [json.loads(line)["policy"] for line in started.lines] == ["shadow"]
    # With the evidence of this small system the same command gives its verdict.
    few = " --min-events 100 --min-pairs 30 --min-hours 1 --max-waits 40"
    verdict = in_shadow.run(questions()[MOVE][0] + few)
    assert (verdict.status, verdict.lines[-1]) == (0, "yes: it is safe to move from shadow to causal")
    assert in_shadow.worker.terminate()[0] == 0
    for policy in ("causal", "legacy"):
        worker = in_shadow.stage.worker(SYNC_POLICY=policy)
        worker.wait_ready()
        assert worker.terminate()[0] == 0
    _, started = in_shadow.ask(MOVE)
    assert [json.loads(line)["policy"] for line in started.lines] == ["shadow", "causal", "legacy"]
