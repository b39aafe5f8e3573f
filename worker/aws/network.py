"""How AWS is reached from here without its library: through which proxy, and whose certificates are trusted.

Both are told as the library is told them, and mean the same. They are read once, at start: aiohttp by itself would look
for the proxy at every request, in another thread, which takes longer than the request. What is no good is found then;
later it would look like AWS being away.
"""

import ssl

from aiobotocore.session import get_session
from botocore.utils import get_environ_proxies
from yarl import URL

from worker.aws.clients import ca_bundle
from worker.errors import Misconfigured


def proxy_for(url: str) -> URL | None:
    """The proxy for that address, by HTTPS_PROXY or HTTP_PROXY and NO_PROXY. Raises Misconfigured."""
    scheme = URL(url).scheme
    told = get_environ_proxies(url).get(scheme)
    if not told:
        return None
    # The line leaves out what is set: it may hold a password.
    line = f"{scheme.upper()}_PROXY: it must be the address of an HTTP proxy, http://HOST:PORT"
    try:
        proxy = URL(told if "://" in told else f"http://{told.removeprefix('//')}")
    except ValueError as error:
        raise Misconfigured(line) from error
    if proxy.scheme not in {"http", "https"} or not proxy.host:
        raise Misconfigured(line)
    return proxy


def trusted_certificates() -> ssl.SSLContext | bool:
    """Certificates of the file that is set; True: the system's. Raises Misconfigured."""
    bundle = ca_bundle(get_session())
    return True if bundle is None else ssl.create_default_context(cafile=bundle)
