"""The HTTP face beside a worker: its schema holds, and updates beside syncs lose nothing."""

import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.e2e.api_process import TOKEN, ApiProcess
from tests.e2e.ledger import Ledger, half_written, misplaced
from tests.e2e.outside import Outside, queues, sessions
from tests.e2e.stage import Stage
from tests.e2e.worker_process import wait_until

SCHEMATHESIS = str(Path(sys.executable).parent / "schemathesis")
SEED = 20261126
PAIRS = 12
WRITES = 10


def test_every_answer_is_as_the_schema_says(stage: Stage, tmp_path: Path) -> None:
    outside = Outside(SEED)
    stage.database["work_sessions"].insert_many(sessions())
    stage.database["queues"].insert_many(queues())
    stage.publish(list(outside.pair(0, writes=0)))
    worker = stage.worker()
    stage.wait_drained(within_s=60)
    api = ApiProcess.on(stage, tmp_path, API_REQUESTS_PER_SECOND="100000")
    api.wait_ready()
    checked = subprocess.run(
        [
            *(SCHEMATHESIS, "--config-file", str(Path(__file__).parent / "schemathesis.toml")),
            *("run", f"{api.url}/openapi.json", "--header", f"Authorization: Bearer {TOKEN}"),
            *("--checks", "all", "--max-examples", "20", "--seed", str(SEED), "--no-color"),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout[-8_000:]
    assert api.terminate()[0] == 0
    assert not any(line["level"] >= 50 for line in api.lines())
    # What was written is announced, and the worker has read every event of it.
    stage.wait_drained(within_s=60)
    assert stage.dead_letters() == []
    assert worker.terminate()[0] == 0
    assert half_written(stage.database) == []
    assert misplaced(stage.database) == {}


def test_updates_beside_syncs_lose_nothing(stage: Stage, tmp_path: Path) -> None:
    """Clients update the very work-items that the worker syncs: every write has a revision of its own."""
    outside = Outside(SEED)
    stage.database["work_sessions"].insert_many(sessions())
    stage.database["queues"].insert_many(queues())
    pairs = [list(outside.pair(number, WRITES)) for number in range(PAIRS)]
    creates, writes = [each for pair in pairs for each in pair[:2]], [each for pair in pairs for each in pair[2:]]
    # A heartbeat that SNS delivers after the stop would stay in the queue.
    worker = stage.worker(HEARTBEAT_SECONDS="0")
    api = ApiProcess.on(stage, tmp_path)
    worker.wait_ready()
    api.wait_ready()
    ledger = Ledger(stage.database)
    stage.publish(creates)
    stage.wait_drained(within_s=60)
    items = stage.database["work_items"]
    wait_until(lambda: items.count_documents({}) == PAIRS, within_s=60, what=lambda: "all work-items are stored")
    updates = [
        (
            f"work-item-{number % PAIRS}",
            {"paused": number % 3 == 0} if number % 2 else {"assignedTo": f"user-{number % 6}"},
        )
        for number in range(8 * PAIRS)
    ]
    with ThreadPoolExecutor(max_workers=4) as clients:
        answers = clients.map(lambda update: api.put(*update), updates)
        stage.publish(writes)
        statuses = Counter(status for status, _ in answers)
    # Some work-items are completed.
    assert statuses[200] > len(updates) // 2, statuses
    assert set(statuses) <= {200, 409}, statuses
    stage.wait_drained(within_s=120)
    assert (api.terminate()[0], worker.terminate()[0]) == (0, 0)
    stage.wait_drained(within_s=60)
    assert stage.dead_letters() == []
    assert half_written(stage.database) == []
    assert misplaced(stage.database) == {}
    ledger.read()
    assert ledger.unannounced() == set()
    assert [each for each, times in Counter(ledger.announced_revisions()).items() if times > 1] == []
