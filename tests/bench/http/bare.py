"""FastAPI's bare endpoint, on the server that `routing-sync serve` runs on: what every request costs at least."""

import asyncio
import sys

from fastapi import FastAPI

from worker.api.server import ApiServer
from worker.telemetry.listening_sockets import listening_sockets

app = FastAPI()


@app.get("/bare")
async def bare() -> dict[str, str]:
    """Nothing but an answer."""
    return {"status": "alive"}


async def serve(port: int) -> None:
    """Serve until the process is killed."""
    sockets = await listening_sockets("127.0.0.1", port, setting="BENCH")
    await ApiServer(app, stop_within_s=1).run_until_stopped(sockets)


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
