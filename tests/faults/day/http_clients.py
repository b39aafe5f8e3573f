"""The clients of the HTTP face: each update, and its answer, is kept for the audit."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import aiohttp
from msgspec import Struct

ROUTER_TOKEN: Final = "the-routers-long-random-text"
CRM_TOKEN: Final = "the-crms-long-random-text"
TOKENS: Final = ",".join(
    f"{name}:{role}:{hashlib.sha256(token.encode()).hexdigest()}"
    for name, role, token in (("router", "router", ROUTER_TOKEN), ("crm", "write", CRM_TOKEN))
)
_TIMEOUT: Final = aiohttp.ClientTimeout(total=30)


class SentUpdate(Struct, frozen=True, kw_only=True):
    """An update that was sent. `status` None: no answer came, so the update may have been written.

    `code`: the error's code of a refusal. `after`: the work-item of the answer.
    """

    item: str
    update: Mapping[str, Any] | None
    status: int | None
    code: str | None = None
    after: Mapping[str, Any] | None = None


@dataclass(slots=True, kw_only=True)
class HttpClients:
    """Sends updates to the processes at `urls`, which may be killed and replaced meanwhile."""

    http: aiohttp.ClientSession
    urls: Callable[[], Sequence[str]]
    updates: list[SentUpdate] = field(default_factory=list)

    async def put(self, item: str, update: Mapping[str, Any] | None, *, process: int, token: str) -> SentUpdate:
        """Send the update; None: a body that is no JSON."""
        urls = self.urls()
        call = await self._put(urls[process % len(urls)], item, update, token)
        self.updates.append(call)
        return call

    async def _put(self, url: str, item: str, update: Mapping[str, Any] | None, token: str) -> SentUpdate:
        headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
        body = b"{not json" if update is None else json.dumps(update).encode()
        where = f"{url}/v1/routing/work-items/{item}"
        try:
            async with self.http.put(where, data=body, headers=headers, timeout=_TIMEOUT) as answer:
                said = await answer.json()
        except (aiohttp.ClientError, TimeoutError, ValueError):
            return SentUpdate(item=item, update=update, status=None)
        if answer.status == 200:
            return SentUpdate(item=item, update=update, status=200, after=said["data"])
        return SentUpdate(item=item, update=update, status=answer.status, code=said["errors"][0]["code"])
