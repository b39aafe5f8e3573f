"""`routing-sync dead-letters` and `redrive` on moto's server: what they print, what they leave, how they end."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from threading import Thread

import pytest

from moto_server import MotoServer
from tests.worker.cli.letters.letter_desk import CONTENT, LetterDesk, good_body, unreadable_bodies
from worker.cli.main import run

pytestmark = pytest.mark.thorough

_numbers = count(1)
COMMAND = [sys.executable, "-c", "from worker.cli.main import main; main()"]


@pytest.fixture
def desk(moto: MotoServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[LetterDesk]:
    """Eight letters of four kinds that the reader refuses, and three good ones."""
    monkeypatch.delenv("SQS_DEAD_LETTER_QUEUE_URL", raising=False)
    desk = LetterDesk(moto, f"letters-{next(_numbers)}")
    for name, value in desk.variables.items():
        monkeypatch.setenv(name, value)
    desk.put_dead(unreadable_bodies(8))
    desk.put_dead([good_body(f"c-{number}") for number in range(3)], prefix="good")
    yield desk
    desk.close()


def test_the_summary_has_a_line_for_each_kind_and_every_letter_stays(
    desk: LetterDesk, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["dead-letters"]) == 0
    out, errors = capsys.readouterr()
    first, blank, heads, *lines = out.splitlines()
    assert first.startswith(f"11 dead letters in {desk.dead_url.rpartition('/')[2]}: 3 can be put back, 8 would fail")
    assert (blank, heads.split()[:3]) == ("", ["count", "code", "event"])
    assert [line.split()[:3] for line in lines] == [
        ["3", "NO_CODE", "kustomer.conversation.update"],
        ["2", "BAD_REVISION", "kustomer.conversation.update"],
        ["2", "INVALID_FIELD", "kustomer.conversation.update"],
        ["2", "NOT_AN_EVENT", "–"],
        ["2", "NOT_JSON", "–"],
    ]
    assert [" yes " in line for line in lines] == [True, False, False, False, False]
    assert (errors, desk.depth(desk.dead_url)) == ("", (11, 0))


def test_json_list_filter_and_export(desk: LetterDesk, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert run(["dead-letters", "--json", "--code", "not_json", "--newer-than", "1h"]) == 0
    group, summary = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert (group["count"], group["code"], group["codeSource"]) == (2, "NOT_JSON", "attributes")
    assert (summary["summary"]["letters"], summary["summary"]["lookedAt"]) == (2, 11)
    file = tmp_path / "letters.ndjson"
    assert run(["dead-letters", "--list", "--name", "kustomer.*", "--export", str(file)]) == 0
    out, errors = capsys.readouterr()
    assert len(out.splitlines()) == 8
    assert "c-2 rev 2: SQS moved it" in out
    assert CONTENT not in out + errors
    assert errors == f"routing-sync dead-letters: 7 letters in {file}, with customers' words\n"
    assert file.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == [file.name]
    assert run(["replay", "--json", str(file)]) == 1
    out, errors = capsys.readouterr()
    assert set(json.loads(out.splitlines()[-1])["final"]["conversations"]) == {"c-0", "c-1", "c-2"}
    assert sorted(line.split(": ")[1] for line in errors.splitlines()) == ["BAD_REVISION"] * 2 + ["INVALID_FIELD"] * 2
    assert run(["dead-letters", "--export", str(file)]) == 1
    assert capsys.readouterr().err == (
        f"routing-sync dead-letters: {file} exists: name a new file, or remove that one\n"
    )
    assert run(["dead-letters", "--export", str(tmp_path / "none" / "x")]) == 1
    assert "cannot be written: No such file or directory" in capsys.readouterr().err
    assert desk.depth(desk.dead_url) == (11, 0)


@pytest.mark.parametrize(
    ("limit", "arguments", "line"),
    [
        ("", ["--list"], "cannot write to standard output: Broken pipe; the rest of the output is lost"),
        ("ulimit -f 0; ", ["--export", "FILE"], "FILE cannot be written: File too large: name a file elsewhere"),
    ],
)
def test_output_that_cannot_be_written_is_one_line_and_the_letters_are_given_back(
    desk: LetterDesk, tmp_path: Path, limit: str, arguments: list[str], line: str
) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = ["sh", "-c", f'{limit}exec "$0" "$@"', *COMMAND, "dead-letters", *arguments]
    done = subprocess.run(
        [each.replace("FILE", str(tmp_path / "letters")) for each in command],
        env=desk.environment(), stdout=writing, stderr=subprocess.PIPE, text=True, check=False,
    )  # fmt: skip
    os.close(writing)
    assert done.returncode == 1
    assert done.stderr == f"routing-sync dead-letters: {line.replace('FILE', str(tmp_path / 'letters'))}\n"
    assert (list(tmp_path.iterdir()), desk.depth(desk.dead_url)) == ([], (11, 0))


def test_one_letter_whole_with_its_content_only_when_asked(
    desk: LetterDesk, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["dead-letters", "--id", "event-c-1-2-update"]) == 0
    shown = capsys.readouterr().out
    assert CONTENT not in shown
    letter = json.loads(shown)
    assert (letter["conversationId"], letter["event"]["data"]["attributes"]["status"]) == ("c-1", "open")
    assert run(["dead-letters", "--id", letter["id"], "--show-content", "--json"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["event"]["data"]["attributes"]["preview"] == CONTENT
    assert run(["dead-letters", "--id", "nobody"]) == 1
    assert capsys.readouterr().err == "routing-sync dead-letters: no letter here has the id nobody\n"
    assert desk.depth(desk.dead_url) == (11, 0)


def test_shown_content_cannot_steer_the_terminal(desk: LetterDesk, capsys: pytest.CaptureFixture[str]) -> None:
    words = "\x9b2J \u202e parcel\x1b[31m"
    desk.put_dead([good_body("c-9", note=words), words], prefix="steering")
    assert run(["dead-letters", "--id", "event-c-9-2-update", "--show-content"]) == 0
    shown = capsys.readouterr().out
    assert all(character.isprintable() or character == "\n" for character in shown)
    assert json.loads(shown)["event"]["data"]["attributes"]["note"] == words


def test_an_export_is_a_new_file_that_only_its_owner_reads_whatever_lay_there(
    desk: LetterDesk, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    elsewhere = tmp_path / "elsewhere"
    (tmp_path / "letters.part").symlink_to(elsewhere)
    assert run(["dead-letters", "--code", "NO_CODE", "--export", str(tmp_path / "letters")]) == 0
    assert (tmp_path / "letters").stat().st_mode & 0o777 == 0o600
    assert not elsewhere.exists()
    assert not (tmp_path / "letters").is_symlink()
    assert "3 letters in" in capsys.readouterr().err
    assert desk.depth(desk.dead_url) == (11, 0)


class _Denies(BaseHTTPRequestHandler):
    """AWS, which denies every call."""

    def do_POST(self) -> None:
        body = json.dumps(
            {
                "__type": "com.amazonaws.sqs#AccessDeniedException",
                "message": "User: arn:aws:sts::1:assumed-role/worker is not authorized to perform: sqs:ReceiveMessage",
            }
        ).encode()
        self.send_response(403)
        self.send_header("Content-Type", "application/x-amz-json-1.0")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.mark.parametrize("verb", [["dead-letters"], ["redrive", "--all"]])
def test_a_missing_right_names_the_policy_that_has_it(
    verb: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As with the role of a worker, which must not receive dead letters."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Denies) as denies:
        Thread(target=denies.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{denies.server_port}"
        for name, value in {
            "AWS_ENDPOINT_URL": address, "SQS_QUEUE_URL": f"{address}/1/q", "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test",
        }.items():  # fmt: skip
            monkeypatch.setenv(name, value)
        assert run(verb) == 1
        denies.shutdown()
    error = capsys.readouterr().err
    assert "not authorized to perform: sqs:ReceiveMessage" in error
    assert error.endswith(
        ": this takes an operator's rights, deploy/iam-redrive.json; a worker's role has not got them\n"
    )


def test_good_letters_go_back_as_they_were_and_the_others_stay(
    desk: LetterDesk, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["redrive", "--all", "--dry-run"]) == 1
    assert capsys.readouterr().out.startswith("3 would be put back, 8 stay\n\nwould be put back:\n")
    assert desk.depth(desk.url) == (0, 0)
    assert run(["redrive", "--code", "NO_CODE", "--conversation", "c-1"]) == 0
    assert capsys.readouterr().out == "1 put back, 0 stay, 10 are not meant\n"
    assert run(["redrive", "--all"]) == 1
    out, errors = capsys.readouterr()
    assert out.startswith("2 put back, 8 stay\n\nstay:\ncount")
    assert errors == (
        "routing-sync redrive: 8 letters stay, because the reader refuses them: they would come back at once; "
        "--also-unreadable puts them back all the same\n"
    )
    taken = desk.taken(desk.url)
    assert sorted(message["Body"] for message in taken) == [good_body(f"c-{number}") for number in range(3)]
    assert {name for message in taken for name in message["MessageAttributes"]} == {"_datadog"}
    assert desk.depth(desk.dead_url) == (8, 0)


def test_unreadable_letters_go_back_when_asked_without_the_workers_attributes(
    desk: LetterDesk, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["redrive", "--code", "NOT_JSON", "--also-unreadable", "--json"]) == 0
    *lines, last = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert [line["end"] for line in lines] == ["put-back", "put-back"]
    assert last["summary"]["ends"]["put-back"] == 2
    names = ("lookedAt", "inFlight", "unseen", "cameMeanwhile")
    assert [last["summary"][name] for name in names] == [11, 0, 0, 0]
    assert all(set(message["MessageAttributes"]) == {"_datadog"} for message in desk.taken(desk.url))
    assert desk.depth(desk.dead_url) == (9, 0)


def test_on_a_fifo_queue_letters_keep_group_and_order_and_those_behind_one_that_stays_are_told(
    moto: MotoServer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = LetterDesk(moto, f"letters-{next(_numbers)}", fifo=True)
    for name, value in desk.variables.items():
        monkeypatch.setenv(name, value)
    desk.put_dead([good_body(f"c-{number}") for number in range(12)], group="good", prefix="good")
    desk.put_dead(["no JSON", *(good_body(f"d-{number}") for number in range(11))], group="bad", prefix="bad")
    assert run(["redrive", "--all"]) == 1
    out, errors = capsys.readouterr()
    assert out.startswith("19 put back, 1 stay")
    assert "about 4 of 24 letters were not seen: they lie behind others of their message group" in errors
    taken = desk.taken(desk.url)
    by_group = {
        group: [each["Body"] for each in taken if each["Attributes"]["MessageGroupId"] == group]
        for group in ("good", "bad")
    }
    assert by_group["good"] == [good_body(f"c-{number}") for number in range(12)]
    assert by_group["bad"] == [good_body(f"d-{number}") for number in range(7)]
    assert desk.depth(desk.dead_url) == (5, 0)
    desk.close()


def test_letters_that_are_meant_and_lie_unseen_behind_others_of_their_group_are_not_done(
    moto: MotoServer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = LetterDesk(moto, f"letters-{next(_numbers)}", fifo=True)
    for name, value in desk.variables.items():
        monkeypatch.setenv(name, value)
    desk.put_dead(["no JSON", *(good_body(f"d-{number}") for number in range(11))])
    assert run(["redrive", "--code", "NO_CODE", "--json"]) == 1
    *_, last = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert (last["summary"]["ends"]["put-back"], last["summary"]["unseen"]) == (9, 2)
    # The letter that is not meant is the first of the group again; with it the rest goes.
    assert run(["redrive", "--all", "--also-unreadable"]) == 0
    assert desk.depth(desk.dead_url) == (0, 0)
    desk.close()


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["redrive"], "say which letters: --code, --reason, --name, --older-than, --id and others, or --all"),
        (["redrive", "--all", "--code", "X"], "--all means every letter: remove it, or the other conditions"),
        (
            ["redrive", "--all", "--rate", "0"],
            "Invalid value for '--rate': Input should be greater than or equal to 0.1",
        ),
        (["dead-letters", "--older-than", "soon"], "an age is a number with a unit: 90s, 15m, 2h or 3d"),
        (
            ["dead-letters", "--older-than", "2h", "--newer-than", "60m"],
            "no letter is older than 2h and newer than 60m",
        ),
        (["dead-letters", "--show-content"], "--show-content works only with --id: add it, or remove --show-content"),
    ],
)
def test_wrong_usage_is_one_line(arguments: list[str], line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(arguments) == 2
    assert line in " ".join(capsys.readouterr().err.split())


def test_a_dead_letter_queue_with_a_redrive_policy_of_its_own_is_not_looked_at_unless_asked(
    desk: LetterDesk, capsys: pytest.CaptureFixture[str]
) -> None:
    own = json.dumps({"deadLetterTargetArn": desk.arn(desk.url), "maxReceiveCount": 7})
    desk.sqs.set_queue_attributes(QueueUrl=desk.dead_url, Attributes={"RedrivePolicy": own})
    for arguments in (["dead-letters"], ["redrive", "--all"]):
        assert run(arguments) == 1
        errors = capsys.readouterr().err
        assert "has a redrive policy of its own: every look is a delivery, after 7 SQS moves a letter on" in errors
    (message, *_) = desk.sqs.receive_message(
        QueueUrl=desk.dead_url, MessageSystemAttributeNames=["All"], VisibilityTimeout=0
    )["Messages"]
    assert message["Attributes"]["ApproximateReceiveCount"] == "1"
    assert run(["dead-letters", "--spend-deliveries"]) == 0


def test_letters_of_another_queue_do_not_go_into_this_one_unless_asked(
    desk: LetterDesk, moto: MotoServer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where one variable is of staging and the other of production."""
    staging = LetterDesk(moto, f"letters-{next(_numbers)}")
    staging.put_dead([good_body("c-0")])
    monkeypatch.setenv("SQS_DEAD_LETTER_QUEUE_URL", staging.dead_url)
    assert run(["redrive", "--all"]) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"routing-sync redrive: SQS_DEAD_LETTER_QUEUE_URL {staging.dead_url}: the redrive policy")
    assert error.endswith("unset it, or add --other-queue if its letters belong into this queue\n")
    assert (desk.depth(desk.url), staging.depth(staging.dead_url)) == ((0, 0), (1, 0))
    assert run(["dead-letters"]) == 0
    assert run(["redrive", "--all", "--other-queue"]) == 0
    assert (desk.depth(desk.url), staging.depth(staging.dead_url)) == ((1, 0), (0, 0))
    monkeypatch.setenv("SQS_DEAD_LETTER_QUEUE_URL", desk.dead_url)
    assert run(["redrive", "--conversation", "c-1"]) == 0
    staging.close()


@pytest.mark.usefixtures("desk")
def test_wrong_settings_and_a_queue_that_is_not_there_are_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    url = os.environ["SQS_QUEUE_URL"]
    monkeypatch.setenv("SQS_DEAD_LETTER_QUEUE_URL", url)
    assert run(["dead-letters"]) == 2
    assert "it is the queue of SQS_QUEUE_URL".removeprefix("it ") in capsys.readouterr().err
    monkeypatch.setenv("SQS_DEAD_LETTER_QUEUE_URL", f"{url}.fifo")
    assert run(["redrive", "--all"]) == 2
    assert "only one is a FIFO queue: set both to queues of one kind" in capsys.readouterr().err
    monkeypatch.setenv("SQS_DEAD_LETTER_QUEUE_URL", f"{url}-gone")
    assert run(["dead-letters"]) == 1
    assert re.fullmatch(
        r"routing-sync dead-letters: the dead-letter queue \S+: QueueDoesNotExist: .*\n", capsys.readouterr().err
    )


@pytest.mark.parametrize("number", [signal.SIGKILL, pytest.param(signal.SIGINT, marks=pytest.mark.thorough)])
def test_a_run_that_was_stopped_in_the_middle_is_gone_on_with(
    desk: LetterDesk, number: signal.Signals, capsys: pytest.CaptureFixture[str]
) -> None:
    desk.put_dead([good_body(f"more-{each}") for each in range(27)], prefix="more")
    arguments = ["redrive", "--all", "--json", "--rate", "20"]
    with subprocess.Popen(
        [*COMMAND, *arguments], env=desk.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        while '"put-back"' not in process.stdout.readline():
            assert process.poll() is None
        process.send_signal(number)
        assert process.wait(timeout=10) == (130 if number is signal.SIGINT else -number)
        errors = process.stderr.read()
    assert 0 < desk.depth(desk.url)[0] < 30
    if number is signal.SIGINT:
        assert errors.startswith("routing-sync redrive: interrupted: letters that cannot be given back")
    # What a killed run has hidden comes back within a minute; the end-to-end suite waits for that.
    hidden = desk.depth(desk.dead_url)[1]
    assert (hidden == 0) is (number is signal.SIGINT)
    run(["redrive", "--all"])
    assert ("letters are in flight" in capsys.readouterr().err) is (hidden > 0)
    bodies = [message["Body"] for message in desk.taken(desk.url)]
    wanted = {*(good_body(f"c-{each}") for each in range(3)), *(good_body(f"more-{each}") for each in range(27))}
    assert set(bodies) <= wanted
    # A stop between sending and deleting leaves the letters of one call twice: ten at most.
    assert len(bodies) - len(set(bodies)) <= 10
    left = desk.depth(desk.dead_url)
    assert left[1] == hidden
    assert 38 <= len(set(bodies)) + sum(left) <= 48
    if number is signal.SIGINT:
        assert (set(bodies), left) == (wanted, (8, 0))
