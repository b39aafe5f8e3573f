"""A local server as a child process: started, awaited, stopped, killed, suspended; never left behind.

The base of the embedded MongoDB, LocalStack and moto's server. Each subclass has its own command line and its own way
to find out whether the server is ready. Every error is a `ServerError` of one line that names the remedy.
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Self

ROOT = Path(__file__).resolve().parent.parent
_WATCHDOG = Path(__file__).resolve().parent / "watchdog.py"
_POLL_S = 0.05


class ServerError(Exception):
    """A local server could not be started or reached; the message is one line with the remedy."""


def free_port() -> int:
    """A TCP port of 127.0.0.1 that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def port_taken(port: int) -> bool:
    """Whether a process listens on that port of 127.0.0.1."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Watchdog:
    """Ends the process group of a child when this process has died, even by SIGKILL, and removes its folders."""

    def __init__(self, pid: int, *folders: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(_WATCHDOG), str(pid), *map(str, folders)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def dismiss(self) -> None:
        """The child has ended in order: leave it alone."""
        with contextlib.suppress(BrokenPipeError):
            self._process.communicate(b".")


class ServerProcess(ABC):
    """One server on one port of 127.0.0.1. It keeps its port and data across `start`, `stop`, `kill` and `start` again.

    `with` starts and closes it; `close` also removes temporary data. If this process dies, even by SIGKILL, the server
    dies too. All calls block: a coroutine calls them through `asyncio.to_thread`.
    """

    name: str
    ready_within_s: float = 60

    def __init__(self, *, port: int | None = None, data: Path | None = None) -> None:
        """`port`: None takes a free one. `data`: a folder that is kept; None takes a temporary one."""
        self.port = free_port() if port is None else port
        self._data_given = data
        self._data: Path | None = data
        self._process: subprocess.Popen[bytes] | None = None
        self._watchdog: Watchdog | None = None

    @abstractmethod
    def _command(self) -> Sequence[str]:
        """The command line; `ServerError` where the program is missing."""

    @abstractmethod
    def _answers(self) -> bool:
        """Whether the server can be used now; called repeatedly while it starts."""

    def _environment(self) -> Mapping[str, str]:
        """Environment variables besides those of this process."""
        return {}

    def _explain(self, output: str) -> str | None:  # noqa: ARG002 - a default for servers without known cases
        """One line with the remedy where a server ended while starting and its output is a known case."""
        return None

    def _parent_of_temporary_data(self) -> Path | None:
        """The folder in which temporary data gets a folder; None: the system's."""
        return None

    @property
    def data(self) -> Path:
        """The folder of the server's data and log."""
        if self._data is None:
            self._data = Path(
                tempfile.mkdtemp(prefix=f"routing-sync-{self.name.lower()}-", dir=self._parent_of_temporary_data())
            )
        self._data.mkdir(parents=True, exist_ok=True)
        return self._data

    @property
    def log(self) -> Path:
        """The file with the server's output since its last start."""
        return self.data / f"{self.name.lower()}.log"

    @property
    def pid(self) -> int:
        """The server's process id; `ServerError` where it does not run."""
        if self._process is None or not self.running:
            raise ServerError(f"{self.name} on port {self.port} is not running: start() it first")
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the process exists, suspended or not."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start the server and wait until it can be used; a running server is left alone."""
        if not self.running:
            self.launch()
            self.wait_until_ready()

    def launch(self) -> None:
        """Start the server without waiting for it, so that others can start meanwhile."""
        self._forget()
        if port_taken(self.port):
            raise ServerError(f"{self.name}: port {self.port} is taken: stop what listens there or choose another port")
        command = self._command()
        with self._killed_on_error(), self.log.open("wb") as output, signals_later():
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **self._environment()},
                # Not this process's folder: the server must find its own packages, not this project's folders.
                cwd=self.data,
                # A process group of its own: Ctrl-C reaches this process, which then stops the server in order.
                start_new_session=True,
            )
            temporary = [] if self._data_given is not None else [self.data]
            self._watchdog = Watchdog(self._process.pid, *temporary)

    def wait_until_ready(self) -> None:
        """Wait until a launched server can be used; else it is killed, and `ServerError` says why."""
        with self._killed_on_error():
            self._wait_until_ready()

    def stop(self, *, grace_s: float = 10) -> None:
        """SIGTERM, and SIGKILL after `grace_s`; the data stays for the next start."""
        process = self._process
        if process is not None and process.poll() is None:
            self._signal(signal.SIGCONT)
            self._signal(signal.SIGTERM)
            try:
                process.wait(timeout=grace_s)
            except subprocess.TimeoutExpired:
                self._signal(signal.SIGKILL)
                process.wait()
        self._forget()

    def kill(self) -> None:
        """SIGKILL, as a crash would end it; the data stays for the next start."""
        if self._process is not None and self._process.poll() is None:
            self._signal(signal.SIGKILL)
            self._process.wait()
        self._forget()

    def suspend(self) -> None:
        """SIGSTOP: the connections stay open and nothing answers, until `resume`."""
        os.killpg(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT, after `suspend`."""
        os.killpg(self.pid, signal.SIGCONT)

    def close(self) -> None:
        """Stop, and remove the data if it is temporary."""
        if self._data is not None and self._data_given is None:
            # Temporary data is not read again, so the server need not end in order.
            self.kill()
            shutil.rmtree(self._data, ignore_errors=True)
            self._data = None
        else:
            self.stop()

    def wait(self) -> int:
        """Wait until the server ends by itself; returns its exit status."""
        return 0 if self._process is None else self._process.wait()

    def __enter__(self) -> Self:
        """Start."""
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()

    @contextlib.contextmanager
    def _killed_on_error(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self.kill()
            raise

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + self.ready_within_s
        while not self._answers():
            if not self.running:
                output = self.log.read_text(errors="replace")
                last = output.strip().splitlines()[-1][:300] if output.strip() else "it printed nothing"
                raise ServerError(self._explain(output) or f"{self.name} ended while starting: {last}")
            if time.monotonic() > deadline:
                raise ServerError(
                    f"{self.name} on port {self.port} was not ready within {self.ready_within_s:.0f} s: "
                    "the machine may be overloaded, try again"
                )
            time.sleep(_POLL_S)

    def _forget(self) -> None:
        """Tell the watchdog that the server has ended, and wait for it."""
        watchdog, self._watchdog = self._watchdog, None
        if watchdog is not None:
            watchdog.dismiss()
        self._process = None

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)


def stop_on_signals() -> None:
    """Make SIGINT, SIGTERM and the end of the terminal raise `KeyboardInterrupt`.

    The parent shell may have made SIGINT ignored. Under `nohup` the terminal may end.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:
        signal.signal(signal.SIGHUP, signal.default_int_handler)


@contextlib.contextmanager
def signals_later() -> Iterator[None]:
    """Handle stop signals after the block: a child that it starts is known by then, and can be ended."""
    if threading.current_thread() is not threading.main_thread():
        # Signals are handled in the main thread alone.
        yield
        return
    came: list[int] = []
    found = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    # A signal without a handler ends this process at once, or does nothing.
    handlers = {number: handler for number, handler in found.items() if callable(handler)}
    for number in handlers:
        signal.signal(number, lambda number, _: came.append(number))
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        if came:
            signal.raise_signal(came[0])


def run_until_interrupted(server: ServerProcess, address: str) -> int:
    """Start the server, print its address, and serve until Ctrl-C or SIGTERM; returns the exit status."""
    stop_on_signals()
    try:
        with server:
            print(address, flush=True)
            return server.wait()
    except ServerError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0
