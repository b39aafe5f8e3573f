"""The command line against moto's server: its output, its messages, its error lines, and its exit status."""

import json
import re
import subprocess
import sys
from base64 import b64decode
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from itertools import count
from pathlib import Path
from typing import Any

import botocore.session
import pytest

from moto_server import MotoServer
from worker.cli.main import run
from worker.cli.verbs import VERBS
from worker.settings.table import setting_rows

_numbers = count(1)


def _event(key: str, rev: int, *, kind: str = "conversation", is_sync: bool | None = None) -> dict[str, Any]:
    name = "kustomer.conversation.update" if kind == "conversation" else "kustomer.work-item.update"
    related = {} if kind == "conversation" else {"resource": {"data": {"id": "c1", "type": "conversation"}}}
    attributes = {"rev": rev, "status": "open" if kind == "conversation" else "queued"}
    data = {"id": key, "type": kind, "attributes": attributes, "relationships": related}
    event = {"id": f"{key}-{rev}", "name": name, "data": data, "isSync": is_sync, "createdAt": "2024-05-06T07:08:09Z"}
    return {"id": f"p-{key}-{rev}", "name": name, "body": event, "publishedAt": "2024-05-06T07:08:09Z", "version": 3}


@pytest.fixture
def environment(moto: MotoServer, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for row in setting_rows():
        monkeypatch.delenv(row.name, raising=False)
    for name, value in moto.environment.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


@pytest.fixture
def made(environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    """The variables of queues and topics of the test's own, set in the environment."""
    assert run(["provision", "--json", "--prefix", f"cli-{next(_numbers)}"]) == 0
    variables: dict[str, str] = json.loads(capsys.readouterr().out)
    for name, value in variables.items():
        environment.setenv(name, value)
    return variables


@cache
def _session() -> Any:
    """A session that has read AWS's description of SQS, which is large."""
    return botocore.session.get_session()


def _queued(moto: MotoServer, url: str) -> list[dict[str, Any]]:
    environment = moto.environment
    sqs: Any = _session().create_client(
        "sqs",
        region_name=environment["AWS_REGION"],
        endpoint_url=moto.endpoint,
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    taken: list[dict[str, Any]] = []
    while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=0).get("Messages"):
        taken.extend(json.loads(message["Body"]) for message in messages)
    sqs.close()
    return taken


@pytest.mark.usefixtures("environment")
def test_provision_prints_json_or_lines_for_a_shell(capsys: pytest.CaptureFixture[str]) -> None:
    names = [
        "SQS_QUEUE_URL", "SQS_DEAD_LETTER_QUEUE_URL", "SNS_CONVERSATION_TOPIC_ARN", "SNS_WORK_ITEM_TOPIC_ARN",
    ]  # fmt: skip
    assert run(["provision", "--json", "--prefix", "print"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert list(printed) == names
    assert run(["provision", "--env", "--prefix", "print"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines == [f"export {name}={printed[name]}" for name in names]


@pytest.mark.thorough
@pytest.mark.usefixtures("environment")
def test_row_17_provision_says_what_it_changes_line_by_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["provision", "--prefix", "lines", "--dry-run"]) == 0
    out, errors = capsys.readouterr()
    planned = out.splitlines()
    assert (planned[0], len(planned), errors) == ("would change: topic lines-conversation-events: new", 7, "")
    assert run(["provision", "--prefix", "lines", "--json"]) == 0
    out, errors = capsys.readouterr()
    assert list(json.loads(out))
    changed = [line.removeprefix("routing-sync provision: changed: ") for line in errors.splitlines()]
    assert changed == [line.removeprefix("would change: ") for line in planned]
    assert run(["provision", "--prefix", "lines"]) == 0
    assert capsys.readouterr().err == "routing-sync provision: nothing changed\n"
    assert run(["provision", "--prefix", "lines", "--dry-run"]) == 0
    assert capsys.readouterr().out == "nothing would change\n"
    assert run(["provision", "--prefix", "lines", "--raw", "--dry-run", "--json"]) == 0
    assert [change.rpartition(": ")[2] for change in json.loads(capsys.readouterr().out)["changes"]] == [
        "RawMessageDelivery false → true"
    ] * 2


def test_publish_sends_each_event_to_its_topic_with_its_trace(
    moto: MotoServer, made: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dd = {"trace_id": "12", "span_id": "34", "service": "routing-api"}
    logged = {"name": "event", "body": _event("c1", 1), "producer": "SNSEventProducer", "dd": dd}
    bare = _event("w1", 1, kind="work_item")["body"]
    wrapped = {"MessageId": "m", "Body": json.dumps({"Type": "Notification", "Message": json.dumps(_event("c1", 2))})}
    file = tmp_path / "events.ndjson"
    file.write_text("\n".join(json.dumps(one) for one in (logged, bare, wrapped)))
    assert run(["publish", str(file), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"published": 3, "leftOut": 0, "failed": 0}
    arrived = {json.loads(one["Message"])["id"]: one for one in _queued(moto, made["SQS_QUEUE_URL"])}
    assert set(arrived) == {"p-c1-1", "w1-1", "p-c1-2"}
    first = json.loads(arrived["p-c1-1"]["Message"])
    assert first["dd"] == dd
    assert first["body"] == _event("c1", 1)["body"]
    carrier = arrived["p-c1-1"]["MessageAttributes"]["_datadog"]
    assert carrier["Type"] == "Binary"
    assert json.loads(b64decode(carrier["Value"]))["x-datadog-trace-id"] == "12"
    assert arrived["w1-1"]["TopicArn"] == made["SNS_WORK_ITEM_TOPIC_ARN"]
    assert json.loads(arrived["w1-1"]["Message"])["version"] == 3


@pytest.mark.usefixtures("made")
def test_publish_with_outside_only_leaves_syncs_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "events.json"
    syncs = (None, False, True)
    file.write_text(json.dumps([_event("c1", rev, is_sync=sync) for rev, sync in enumerate(syncs, start=1)]))
    assert run(["publish", "--outside-only", str(file)]) == 0
    assert capsys.readouterr().out == "2 published, 1 left out, 0 failed\n"


def test_row_10_publish_warns_of_one_topic_for_both_sides(
    made: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "events.json"
    file.write_text(json.dumps([_event("c1", 1), _event("w1", 1, kind="work_item")]))
    monkeypatch.setenv("SNS_WORK_ITEM_TOPIC_ARN", made["SNS_CONVERSATION_TOPIC_ARN"])
    assert run(["publish", str(file)]) == 0
    assert capsys.readouterr().err == (
        "routing-sync publish: warning: SNS_CONVERSATION_TOPIC_ARN and SNS_WORK_ITEM_TOPIC_ARN are the same topic\n"
    )


def test_publish_to_a_missing_topic_reports_the_first_event_that_was_not_published(
    made: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "events.ndjson"
    file.write_text("\n".join(json.dumps(_event("c1", rev)) for rev in range(1, 25)))
    monkeypatch.setenv("SNS_CONVERSATION_TOPIC_ARN", made["SNS_CONVERSATION_TOPIC_ARN"] + "-none")
    assert run(["publish", str(file)]) == 1
    printed = capsys.readouterr()
    assert printed.out == "0 published, 0 left out, 24 failed\n"
    (line,) = printed.err.splitlines()
    assert line.startswith(f"{file}:1: publishing to arn")
    assert line.endswith("this event and the later events of its topic are not published: publish them again")


def test_publish_reports_each_failed_event_and_goes_on(
    moto: MotoServer, made: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "events.ndjson"
    foreign = {"id": "e", "name": "kustomer.tag.update", "data": {"id": "t", "type": "tag"}}
    large = _event("c1", 1)
    large["body"]["data"]["attributes"]["preview"] = "x" * 262_144
    lines = [json.dumps(_event("c1", 1)), "{nonsense", json.dumps({"a": 1}), json.dumps(foreign), json.dumps(large)]
    lines += [json.dumps(_event("c1", rev)) for rev in range(2, 25)]
    file.write_text("\n".join(lines))
    assert run(["publish", str(file), str(tmp_path / "none")]) == 1
    printed = capsys.readouterr()
    assert printed.out == "24 published, 0 left out, 5 failed\n"
    places = [line.partition(": ")[0] for line in printed.err.splitlines()]
    assert places == [*(f"{file}:{line}" for line in (2, 3, 4, 5)), f"{tmp_path}/none", "1 part could not be read"]
    assert len(_queued(moto, made["SQS_QUEUE_URL"])) == 24


@pytest.mark.usefixtures("environment")
def test_all_wrong_settings_are_reported_at_once_with_exit_2(
    environment: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    environment.setenv("LANES", "many")
    assert run(["run"]) == 2
    lines = capfd.readouterr().err.splitlines()
    assert all(line.startswith("routing-sync run: ") for line in lines)
    assert {line.split()[2].rstrip(":") for line in lines} == {
        "SNS_CONVERSATION_TOPIC_ARN", "SNS_WORK_ITEM_TOPIC_ARN", "SQS_QUEUE_URL", "MONGODB_URI", "LANES",
    }  # fmt: skip


@pytest.mark.thorough
def test_an_endpoint_that_does_not_answer_is_one_line_and_exit_1(
    environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    environment.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    assert run(["provision"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("routing-sync provision: SNS and SQS: Could not connect")


@pytest.mark.parametrize(
    ("arguments", "line_start"),
    [
        (["guess"], "routing-sync: No such command 'guess'."),
        (["redriv"], "routing-sync: No such command 'redriv'. Did you mean 'redrive'?"),
        (["deadletters"], "routing-sync: No such command 'deadletters'. Did you mean 'dead-letters'?"),
        (["decide", "--jsn"], "routing-sync decide: No such option: --jsn"),
        (["publish"], "routing-sync publish: Missing argument"),
        (
            ["provision", "--visibility-timeout", "3"],
            "routing-sync provision: Invalid value for '--visibility-timeout'",
        ),
        (["provision", "--what"], "routing-sync provision: No such option"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_2(
    arguments: list[str], line_start: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(line_start)


def test_help_names_every_verb_and_the_version_option(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == 0
    shown = capsys.readouterr().out
    assert all(f"  {name} " in shown for name in ("run", "provision", "publish", "replay", "decide", "--version"))


def test_the_version_is_that_of_the_installed_package(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    printed = capsys.readouterr().out
    assert printed == f"routing-sync {version('routing-sync')}\n"
    assert re.fullmatch(r"routing-sync \d+\.\d+\.\d+(\.dev\d+)?\n", printed)


@pytest.mark.parametrize("package", ["commands", "sync", "handlers", "worker"])
def test_every_package_ships_its_types(package: str) -> None:
    assert (files(package) / "py.typed").is_file()


def test_help_loads_no_metadata_of_packages() -> None:
    """It would take half of the time of `--help`."""
    script = (
        "import sys; from worker.cli.main import run; run(['--help']); sys.exit('importlib.metadata' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], stdout=subprocess.DEVNULL, check=False).returncode == 0


@pytest.mark.parametrize("verb", [*VERBS, None])
def test_h_is_help_everywhere(verb: str | None, capsys: pytest.CaptureFixture[str]) -> None:
    verbs = [] if verb is None else [verb]
    shown = []
    for option in ("-h", "--help"):
        assert run([*verbs, option]) == 0
        shown.append(capsys.readouterr().out)
    assert shown[0] == shown[1] != ""
