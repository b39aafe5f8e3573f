"""A replica set of three mongods, which elects a new primary when the old one steps down or dies."""

import contextlib
import time
from collections.abc import Iterator, Sequence
from typing import Any, Self

from pymongo import MongoClient
from pymongo.errors import PyMongoError

from mongod import REPLICA_SET, Mongod

_ELECTED_S = 60.0


class _Member(Mongod):
    """One of the three members. `ReplicaSet` initiates the set."""

    def _command(self) -> Sequence[str]:
        return [*super()._command(), "--setParameter", "enableTestCommands=1"]

    def _answers(self) -> bool:
        try:
            with self._direct() as client:
                client.admin.command("ping")
        except PyMongoError:
            return False
        return True


class ReplicaSet:
    """`with` starts the members and waits for a primary. Members can be killed and started one by one.

    A primary that hears of no majority for `election_timeout_s` steps down.
    """

    def __init__(self, *, election_timeout_s: float = 1.0) -> None:
        self._election_timeout_s = election_timeout_s
        self.members = [_Member() for _ in range(3)]
        self._stack = contextlib.ExitStack()

    @property
    def uri(self) -> str:
        hosts = ",".join(f"127.0.0.1:{member.port}" for member in self.members)
        return f"mongodb://{hosts}/?replicaSet={REPLICA_SET}"

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            for member in self.members:
                stack.enter_context(member)
            self._initiate()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def primary(self) -> _Member:
        """The current primary; waits for an election."""
        deadline = time.monotonic() + _ELECTED_S
        while True:
            for member in self.members:
                with contextlib.suppress(PyMongoError), self._client(member) as client:
                    if member.running and client.admin.command("hello").get("isWritablePrimary"):
                        return member
            assert time.monotonic() < deadline, f"no primary within {_ELECTED_S:.0f} s"
            time.sleep(0.1)

    def secondaries(self) -> list[_Member]:
        """The members that are not the primary."""
        primary = self.primary()
        return [member for member in self.members if member is not primary]

    def step_down(self) -> None:
        """Makes the primary step down, and waits until another member is elected."""
        before = self.primary()
        with self._client(before) as client:
            client.admin.command("replSetStepDown", 10, force=True)
        deadline = time.monotonic() + _ELECTED_S
        while self.primary() is before:
            assert time.monotonic() < deadline, "the primary did not change"

    def _initiate(self) -> None:
        members = [{"_id": number, "host": f"127.0.0.1:{member.port}"} for number, member in enumerate(self.members)]
        config = {"_id": REPLICA_SET, "members": members, "version": 1, "settings": {"electionTimeoutMillis": 1_000}}
        with self._client(self.members[0]) as client:
            client.admin.command("replSetInitiate", config)
        # The first election waits for the timeout, so a longer one is set afterwards.
        with self._client(self.primary()) as client:
            settings = {"electionTimeoutMillis": round(self._election_timeout_s * 1_000)}
            client.admin.command("replSetReconfig", {**config, "version": 2, "settings": settings})

    @contextlib.contextmanager
    def _client(self, member: _Member) -> Iterator[MongoClient[dict[str, Any]]]:
        with MongoClient[dict[str, Any]](
            "127.0.0.1", member.port, directConnection=True, serverSelectionTimeoutMS=1_000, socketTimeoutMS=10_000
        ) as client:
            yield client
