"""`make demo` ends with every check held, keeps the status page open for a person, and leaves no process."""

import json
import os
import pty
import re
import signal
import subprocess
import sys
import urllib.request
import uuid
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from server_process import ROOT
from tests.e2e.worker_process import wait_until

COMMAND = [sys.executable, "-m", "demo"]
MARK = "DEMO_OF_A_TEST"
"""A variable that every process of the demo inherits."""


def environment() -> dict[str, str]:
    own = os.pathsep.join(filter(None, [str(ROOT / "localstack"), os.environ.get("PYTHONPATH")]))
    inherited = {name: value for name, value in os.environ.items() if name != "CI"}
    return {**inherited, "PYTHONPATH": own, "COLUMNS": "200", "TERM": "dumb"}


def test_the_demo_holds_what_it_promises() -> None:
    done = subprocess.run(
        [*COMMAND, "--json"],
        env=environment(),
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    printed = json.loads(done.stdout)
    assert [check["what"] for check in printed["checks"] if not check["holds"]] == []
    assert len(printed["checks"]) == 16
    assert printed["incident"]["ends"] == printed["incident"]["expected"]
    assert [event["audits"]["legacy"]["outcome"] for event in printed["incident"]["events"]] == [
        "skipped",
        "applied",
        "skipped",
    ]
    assert [pair["end"] for pair in printed["pairs"]] == [pair["expected"] for pair in printed["pairs"]]
    assert [pair["scene"] for pair in printed["pairs"]] == ["2021, no queue", "a call", "a chat's life"]
    reasons = [reason["code"] for event in printed["events"] if event["audit"] for reason in event["audit"]["reasons"]]
    life = ("CONVERSATION_ROUTABLE", "QUEUE_RULES_HIT", "WORK_ITEM_ASSIGNED", "CONVERSATION_SNOOZED")
    end = ("CONVERSATION_UNSNOOZED", "CONVERSATION_ENDED", "WORK_ITEM_COMPLETED")
    assert {*life, *end} <= {*reasons}
    waits = {wait["queue"]: wait for wait in printed["waits"]["waits"]}
    assert waits.keys() == {"queue-sales", "queue-support"}
    assert waits["queue-support"]["seconds"] >= 40


class Terminal:
    """The demo in front of a person: at a terminal of its own."""

    def __init__(self) -> None:
        self.mark = uuid.uuid4().hex
        self._person, at = pty.openpty()
        self.process = subprocess.Popen(
            COMMAND,
            env={**environment(), MARK: self.mark},
            cwd=ROOT,
            stdin=at,
            stdout=at,
            stderr=at,
            # The terminal is the one of the process, so that Ctrl-C and its end are signals.
            preexec_fn=lambda: _take_terminal(at),  # noqa: PLW1509 - this process has no other thread yet
        )
        os.close(at)
        os.set_blocking(self._person, False)
        self.text = ""

    def reads(self, text: str, *, within_s: float) -> None:
        """Wait until the person reads this."""

        def found() -> bool:
            try:
                self.text += os.read(self._person, 65_536).decode(errors="replace")
            except BlockingIOError:
                assert self.process.poll() is None, self.text
            return text in self.text

        wait_until(found, within_s=within_s, what=lambda: self.text[-2_000:])

    def types(self, text: str) -> None:
        os.write(self._person, text.encode())

    def close(self) -> None:
        if self._person >= 0:
            os.close(self._person)
            self._person = -1

    def ended(self) -> int:
        """The exit status, once it has ended and every process that it started has."""
        status = self.process.wait(timeout=60)
        wait_until(lambda: not self.processes(), within_s=20, what=lambda: f"left: {self.processes()}")
        return status

    def processes(self) -> list[str]:
        """The processes that inherited the mark, but the demo itself."""
        return [folder.name for folder in Path("/proc").iterdir() if folder.name.isdecimal() and self._is_child(folder)]

    def _is_child(self, folder: Path) -> bool:
        try:
            inherited = f"{MARK}={self.mark}".encode() in (folder / "environ").read_bytes()
            return inherited and int(folder.name) != self.process.pid
        except OSError:
            # It has ended, or is another user's.
            return False


def _take_terminal(descriptor: int) -> None:
    os.setsid()
    os.close(os.open(os.ttyname(descriptor), os.O_RDWR))


@contextmanager
def person() -> Iterator[Terminal]:
    terminal = Terminal()
    try:
        yield terminal
    finally:
        terminal.close()
        terminal.process.kill()
        terminal.process.wait()


def test_the_page_stays_open_until_enter() -> None:
    with person() as terminal:
        terminal.reads("until Enter", within_s=300)
        urls = re.findall(r"http://127\.0\.0\.1:\d+/\S*", terminal.text)
        assert [url.partition("/")[2].partition("/")[2].partition("/")[2] for url in urls] == [
            "",
            "conversations/conversation-chat",
        ]
        password = re.search(r"any name, (\w+)", terminal.text)
        assert password is not None
        signed_in = {"authorization": f"Basic {b64encode(f'anybody:{password[1]}'.encode()).decode()}"}
        for url in urls:
            with urllib.request.urlopen(urllib.request.Request(url, headers=signed_in), timeout=30) as answer:
                assert "conversation-chat" in answer.read().decode()
        assert "stopped on SIGTERM" not in terminal.text
        terminal.types("\n")
        terminal.reads("no agent's session holds a completed work-item", within_s=60)
        assert "✗" not in terminal.text
        assert terminal.ended() == 0


@pytest.mark.parametrize(
    ("end", "status"),
    [
        (lambda terminal: terminal.types("\x03"), 130),
        (lambda terminal: terminal.close(), 130),
        (lambda terminal: terminal.process.terminate(), 130),
        (lambda terminal: terminal.process.kill(), -signal.SIGKILL),
    ],
    ids=["Ctrl-C", "the terminal is closed", "SIGTERM", "SIGKILL"],
)
def test_it_leaves_no_process(end: Callable[[Terminal], None], status: int) -> None:
    with person() as terminal:
        # moto, MongoDB, and a watchdog beside each; then what provisions, or the workers.
        wait_until(lambda: len(terminal.processes()) > 5, within_s=120, what=lambda: terminal.text)
        end(terminal)
        assert terminal.ended() == status
