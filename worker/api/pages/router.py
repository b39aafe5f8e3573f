"""The pages' addresses.

| request | answer |
|---|---|
| `GET /` | the status page |
| `GET /conversations/{id}` | a pair's page |
| `GET /conversations?id=` | sends the browser to the pair's page: the form on every page |
| `GET /live/status`, `GET /live/conversations/{id}` | server-sent events, for as long as a page is looked at |
| `GET /assets/{name}` | the stylesheet, the script, the icon |

A page loads nothing from elsewhere and holds neither script nor style itself, and its policy says so to the browser.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, Final

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import HTMLResponse, PlainTextResponse, RedirectResponse, StreamingResponse
from msgspec.structs import replace
from starlette.types import Receive, Scope, Send

from worker.api.callers import caller_of
from worker.api.errors import ApiError, Fault
from worker.api.pages.live import INTERVAL_S, LiveStreams, Rendered, SharedRead
from worker.api.pages.pair_report import Standing
from worker.api.pages.pair_view import PairPageView, pair_page_view
from worker.api.pages.rendering import ASSETS, CONVERSATION_ID_MAX, pair_path, render
from worker.api.pages.status_view import PageSources, StatusView, status_view

_POLICY: Final = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS: Final = {
    "Content-Security-Policy": _POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_PAGE_HEADERS: Final = {**_HEADERS, "Cache-Control": "no-store"}
_ASSET_HEADERS: Final = {**_HEADERS, "Cache-Control": "public, max-age=86400"}
_READ_METHODS: Final = ["GET", "HEAD"]


def sees_every_org(request: Request) -> bool:
    """Whether the request's token is bound to no org, or there are no tokens."""
    return caller_of(request.scope).org is None


class Pages:
    """The pages of one process. `router` is included by the app; `close` ends the live updates when the server stops.

    The pages show the pairs of every org, so a client that may read those of one org only sees none.
    """

    def __init__(
        self,
        sources: PageSources,
        *,
        may_read: Callable[[Request], bool] = sees_every_org,
        interval_s: float = INTERVAL_S,
    ) -> None:
        """`may_read`: whether the request's client may read the documents of every org. `interval_s`: how often a page
        that is looked at reads the store."""
        self._sources = sources
        self._may_read = may_read
        self._away_since: datetime | None = None
        self._status = SharedRead(self._read_status, fresh_s=interval_s / 2, clock=sources.clock)
        self._streams = LiveStreams(sources.clock, interval_s=interval_s)
        self.router = APIRouter(include_in_schema=False, default_response_class=Response)
        for path, endpoint in (
            ("/", self._status_page),
            ("/conversations", self._find),
            ("/conversations/{conversation_id:path}", self._pair_page),
            ("/live/status", self._live_status),
            ("/live/conversations/{conversation_id:path}", self._live_pair),
        ):
            self._add(path, endpoint, dependencies=[Depends(self._check_caller)])
        self._add("/assets/{name}", self._asset)

    def _add(self, path: str, endpoint: Callable[..., Awaitable[Response]], **options: Any) -> None:
        methods = ["GET"] if path.startswith("/live/") else _READ_METHODS
        self.router.add_api_route(path, endpoint, methods=methods, response_model=None, **options)

    async def _check_caller(self, request: Request) -> None:
        if not self._may_read(request):
            detail = "the pages show the pairs of every org: use a token that is not bound to one"
            raise ApiError(403, Fault(parameter="header", detail=detail))

    @property
    def viewers(self) -> int:
        """The pages that are looked at."""
        return self._streams.open

    def close(self) -> None:
        """End the live updates, so that the server need not wait for their viewers."""
        self._streams.close()

    async def _read_status(self) -> StatusView:
        view = await status_view(self._sources)
        self._away_since = None if view.away is None else self._away_since or view.at
        return replace(view, away_since=self._away_since)

    async def _status_page(self) -> Response:
        view = await self._status.get()
        page = render("status.html", view=view, here="status", live="/live/status")
        return HTMLResponse(page, status_code=200 if view.away is None else 503, headers=_PAGE_HEADERS)

    async def _find(self, request: Request) -> Response:
        conversation_id = request.query_params.get("id", "").strip()
        if not conversation_id or len(conversation_id) > CONVERSATION_ID_MAX:
            return RedirectResponse("/", status_code=303, headers=_PAGE_HEADERS)
        return RedirectResponse(pair_path(conversation_id), status_code=303, headers=_PAGE_HEADERS)

    async def _pair_page(self, conversation_id: str) -> Response:
        if not conversation_id:
            return RedirectResponse("/", status_code=303, headers=_PAGE_HEADERS)
        if len(conversation_id) > CONVERSATION_ID_MAX:
            return PlainTextResponse("No id is that long.\n", status_code=404, headers=_PAGE_HEADERS)
        view = await pair_page_view(conversation_id, self._sources)
        page = render("pair.html", view=view, here="pair", live=f"/live{pair_path(conversation_id)}")
        return HTMLResponse(page, status_code=_status_of(view), headers=_PAGE_HEADERS)

    async def _live_status(self) -> Response:
        async def rendered() -> Rendered:
            view = await self._status.get()
            return Rendered(main=render("status_content.html", view=view), summary=view.summary)

        return self._stream(rendered)

    async def _live_pair(self, conversation_id: str) -> Response:
        async def rendered() -> Rendered:
            view = await pair_page_view(conversation_id, self._sources)
            return Rendered(main=render("pair_content.html", view=view), summary=view.summary)

        if len(conversation_id) > CONVERSATION_ID_MAX:
            return PlainTextResponse("No id is that long.\n", status_code=404, headers=_PAGE_HEADERS)
        return self._stream(rendered)

    def _stream(self, rendered: Callable[[], Awaitable[Rendered]]) -> Response:
        return _LiveResponse(self._streams, rendered)

    async def _asset(self, name: str) -> Response:
        asset = ASSETS.get(name)
        if asset is None:
            return PlainTextResponse("There is no such file.\n", status_code=404, headers=_PAGE_HEADERS)
        return Response(asset.content, media_type=asset.media_type, headers=_ASSET_HEADERS)


class _LiveResponse(Response):
    """A stream of a page's events. It takes its place among the viewers when it is sent, not when it is made: many
    requests that come at once are all made before the first is sent."""

    def __init__(self, streams: LiveStreams, rendered: Callable[[], Awaitable[Rendered]]) -> None:
        super().__init__()
        self._streams = streams
        self._rendered = rendered

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the stream, or a 503."""
        if self._streams.full:
            full = "Too many viewers, or the server stops.\n"
            await PlainTextResponse(full, status_code=503, headers=_PAGE_HEADERS)(scope, receive, send)
            return
        with self._streams.viewer():
            events = self._streams.stream(self._rendered)
            # A proxy must not collect the events.
            headers = {**_PAGE_HEADERS, "X-Accel-Buffering": "no"}
            await StreamingResponse(events, media_type="text/event-stream", headers=headers)(scope, receive, send)


def _status_of(view: PairPageView) -> int:
    if view.report is None:
        return 503
    return 404 if view.report.standing is Standing.NOT_STORED else 200
