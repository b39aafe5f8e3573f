"""The way to AWS: the proxy, and the certificates that are trusted, for both transports.

The environment variables are those of AWS's library and mean the same. They are read once, at start: aiohttp would look
the proxy up at every request, in a thread, which takes longer than the request. A wrong value is a `Misconfigured` at
start; botocore would meet it at the first call, where it looks like AWS being away.
"""

import os
import ssl
from typing import Any

from aiobotocore.session import get_session
from botocore.exceptions import BotoCoreError
from botocore.utils import get_environ_proxies
from yarl import URL

from worker.errors import Misconfigured, first_line


def proxy_for(url: str) -> URL | None:
    """The proxy for that address (HTTPS_PROXY or HTTP_PROXY, NO_PROXY), or None. Raises Misconfigured."""
    scheme = URL(url).scheme
    setting = get_environ_proxies(url).get(scheme)
    if not setting:
        return None
    # The message leaves the value out: it may hold a password.
    line = f"{scheme.upper()}_PROXY: it must be the address of an HTTP proxy, http://HOST:PORT"
    try:
        proxy = URL(setting if "://" in setting else f"http://{setting.removeprefix('//')}")
    except ValueError as error:
        raise Misconfigured(line) from error
    if proxy.scheme not in {"http", "https"} or not proxy.host:
        raise Misconfigured(line)
    return proxy


def trusted_certificates() -> ssl.SSLContext | bool:
    """The certificates of the file that is set, or True for the system's. Raises Misconfigured."""
    bundle = ca_bundle(get_session())
    return True if bundle is None else ssl.create_default_context(cafile=bundle)


def ca_bundle(session: Any) -> str | None:
    """The file of trusted certificates (AWS_CA_BUNDLE, the profile's `ca_bundle`, REQUESTS_CA_BUNDLE), or None.

    Raises Misconfigured if the profile does not exist or the file holds no certificates.
    """
    # Botocore takes an empty variable for a file name; here it counts as not set.
    try:
        setting = session.get_config_variable("ca_bundle") or os.environ.get("REQUESTS_CA_BUNDLE") or ""
    except BotoCoreError as error:
        raise Misconfigured(
            f"AWS's configuration: {first_line(error)}: check AWS_PROFILE and AWS_CONFIG_FILE"
        ) from error
    path = str(setting).strip()
    if not path:
        return None
    try:
        ssl.create_default_context(cafile=path)
    except OSError as error:
        raise Misconfigured(
            f"AWS_CA_BUNDLE {path}: {first_line(error)}: it must be a file of PEM certificates"
        ) from error
    return path
