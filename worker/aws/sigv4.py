"""NEW FILE."""

import hashlib
import hmac
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Protocol


class Keys(Protocol):
    """One set of credentials (the library's `ReadOnlyCredentials`)."""

    @property
    def access_key(self) -> str | None:
        """Whose it is."""
        ...

    @property
    def secret_key(self) -> str | None:
        """What signs."""
        ...

    @property
    def token(self) -> str | None:
        """The session's, for those that expire."""
        ...


class Credentials(Protocol):
    """Where they come from, renewed when they are about to expire (the library's)."""

    async def get_frozen_credentials(self) -> Keys:
        """Those that hold now."""
        ...


FindCredentials = Callable[[], Awaitable[Credentials | None]]


class Signer:
    """Signs requests to one service in one region (AWS Signature Version 4). The day's key is kept."""

    def __init__(self, *, region: str, service: str) -> None:
        self._region = region
        self._service = service
        self._day: tuple[str, str] | None = None
        self._key = b""

    def headers(self, fixed: Mapping[str, str], *, body: bytes, keys: Keys, at: datetime) -> dict[str, str]:
        """The headers of a POST to `/`, its signature among them. `fixed`: the others, with lower-case names."""
        stamp = at.strftime("%Y%m%dT%H%M%SZ")
        unsorted = {**fixed, "x-amz-date": stamp}
        if keys.token:
            unsorted["x-amz-security-token"] = keys.token
        headers = dict(sorted(unsorted.items()))
        names = ";".join(headers)
        lines = "\n".join(f"{name}:{value}" for name, value in headers.items())
        request = f"POST\n/\n\n{lines}\n\n{names}\n{hashlib.sha256(body).hexdigest()}"
        scope = f"{stamp[:8]}/{self._region}/{self._service}/aws4_request"
        to_sign = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
        signature = hmac.digest(self._key_of(stamp[:8], keys.secret_key or ""), to_sign.encode(), "sha256").hex()
        headers["authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={keys.access_key}/{scope}, SignedHeaders={names}, Signature={signature}"
        )
        return headers

    def _key_of(self, day: str, secret: str) -> bytes:
        if self._day != (day, secret):
            key = b"AWS4" + secret.encode()
            for part in (day, self._region, self._service, "aws4_request"):
                key = hmac.digest(key, part.encode(), "sha256")
            self._day, self._key = (day, secret), key
        return self._key
