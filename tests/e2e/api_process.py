"""The HTTP face as a process, with a client."""

import hashlib
import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, Final

from tests.e2e.stage import Stage
from tests.e2e.worker_process import WorkerProcess

TOKEN: Final = "a-long-random-text-that-only-this-client-holds"
TOKENS: Final = f"e2e:router:{hashlib.sha256(TOKEN.encode()).hexdigest()}"


class ApiProcess(WorkerProcess):
    """`routing-sync serve` on the stage's database and topics."""

    VERB = "serve"
    PORT = "API_PORT"

    @classmethod
    def on(cls, stage: Stage, folder: Path, **variables: str) -> "ApiProcess":
        """Start one; the stage closes it."""
        environment = {**stage.variables, "API_TOKENS": TOKENS, **variables}
        api = cls(environment, folder, f"api-{len(stage.workers) + 1}")
        stage.workers.append(api)
        return api

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.http_port}"

    def page(self, path: str) -> str:
        """The text of a page."""
        headers = {"authorization": f"Bearer {TOKEN}"}
        with urllib.request.urlopen(urllib.request.Request(f"{self.url}{path}", headers=headers), timeout=30) as answer:
            text: str = answer.read().decode()
            return text

    def put(self, work_item: str, update: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Status and body of an update."""
        request = urllib.request.Request(
            f"{self.url}/v1/routing/work-items/{work_item}",
            data=json.dumps(update).encode(),
            headers={"content-type": "application/json", "authorization": f"Bearer {TOKEN}"},
            method="PUT",
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as refusal:
            with refusal:
                return refusal.code, json.loads(refusal.read())
