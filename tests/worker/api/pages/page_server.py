"""The pages behind a real HTTP server on a free port of this machine."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import uvicorn
from fastapi import FastAPI, Request, Response

from worker.api.errors import ApiError
from worker.api.pages.router import Pages


async def _api_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    return error.answer()


@contextlib.asynccontextmanager
async def served(pages: Pages) -> AsyncIterator[str]:
    """The address of a server of these pages, and of nothing else."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.include_router(pages.router)
    app.add_exception_handler(ApiError, _api_error)
    config = uvicorn.Config(app, host="127.0.0.1", port=0, log_config=None, lifespan="off", timeout_graceful_shutdown=5)
    server = uvicorn.Server(config)
    running = asyncio.ensure_future(server._serve())
    try:
        while not server.started:
            assert not running.done(), "the server did not start"
            await asyncio.sleep(0)
        (listening,) = server.servers
        host, port = listening.sockets[0].getsockname()
        yield f"http://{host}:{port}"
    finally:
        pages.close()
        server.should_exit = True
        await running
