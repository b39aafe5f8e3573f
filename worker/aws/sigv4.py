"""AWS Signature Version 4 for a POST to `/` ("Signing AWS API requests", IAM User Guide)."""

import hashlib
import hmac
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Protocol


class AccessKeys(Protocol):
    """One set of credentials (botocore's `ReadOnlyCredentials`)."""

    @property
    def access_key(self) -> str | None:
        """The access key's id."""
        ...

    @property
    def secret_key(self) -> str | None:
        """The secret that signs."""
        ...

    @property
    def token(self) -> str | None:
        """The session token of temporary credentials, else None."""
        ...


class CredentialSource(Protocol):
    """A source that renews its credentials before they expire (`SharedCredentials`)."""

    async def get_frozen_credentials(self) -> AccessKeys:
        """The credentials that are valid now."""
        ...

    def discard(self, access_key: str | None) -> None:
        """Forget the credentials with this access key, which AWS has refused. Others stay."""
        ...


FindCredentials = Callable[[], Awaitable[CredentialSource]]


class Signer:
    """Signs requests to one service in one region. The signing key holds for a day, so it is derived once a day."""

    def __init__(self, *, region: str, service: str) -> None:
        self._region = region
        self._service = service
        self._key_for: tuple[str, str] | None = None
        self._key = hmac.new(b"", digestmod="sha256")

    def headers(self, fixed: Mapping[str, str], *, body: bytes, keys: AccessKeys, at: datetime) -> dict[str, str]:
        """All headers of the request, `authorization` among them. `fixed` are the others, with lower-case names."""
        # `strftime` takes ten times as long.
        timestamp = at.isoformat(timespec="seconds")[:19].replace("-", "").replace(":", "") + "Z"
        unsorted = {**fixed, "x-amz-date": timestamp}
        if keys.token:
            unsorted["x-amz-security-token"] = keys.token
        headers = dict(sorted(unsorted.items()))
        names = ";".join(headers)
        lines = "\n".join(f"{name}:{value}" for name, value in headers.items())
        request = f"POST\n/\n\n{lines}\n\n{names}\n{hashlib.sha256(body).hexdigest()}"
        scope = f"{timestamp[:8]}/{self._region}/{self._service}/aws4_request"
        to_sign = f"AWS4-HMAC-SHA256\n{timestamp}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
        # The copy of a keyed hash takes half of the time of keying one.
        keyed = self._keyed(timestamp[:8], keys.secret_key or "").copy()
        keyed.update(to_sign.encode())
        signature = keyed.hexdigest()
        headers["authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={keys.access_key}/{scope}, SignedHeaders={names}, Signature={signature}"
        )
        return headers

    def _keyed(self, day: str, secret: str) -> hmac.HMAC:
        """The hash with the signing key, of nothing yet."""
        if self._key_for != (day, secret):
            key = b"AWS4" + secret.encode()
            for part in (day, self._region, self._service, "aws4_request"):
                key = hmac.digest(key, part.encode(), "sha256")
            self._key_for, self._key = (day, secret), hmac.new(key, digestmod="sha256")
        return self._key
