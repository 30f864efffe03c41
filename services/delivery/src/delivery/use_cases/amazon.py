"""What is fetched from Amazon: SNS's certificates, and the confirmation of a subscription. From its hosts alone."""

import asyncio
import ssl
import time
from collections import OrderedDict
from http.client import HTTPException, HTTPSConnection
from urllib.parse import urlsplit

KEPT = 16
KEPT_S = 24 * 3600.0
MOST_BYTES = 64 * 1024
TIMEOUT_S = 8.0


class Unfetched(Exception):
    """It did not answer, or with something else than 200."""


class Amazon:
    """Fetches over TLS, follows nothing, and keeps certificates for a day. The callers have judged the address."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, tuple[float, bytes]] = OrderedDict()
        self._context = ssl.create_default_context()

    async def certificate(self, url: str) -> bytes:
        """A certificate, as PEM. Raises Unfetched."""
        found = self._kept.get(url)
        if found is not None and time.monotonic() - found[0] < KEPT_S:
            return found[1]
        pem = await self.fetch(url)
        self._kept[url] = (time.monotonic(), pem)
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return pem

    async def fetch(self, url: str) -> bytes:
        """What is there. Raises Unfetched."""
        return await asyncio.to_thread(self._fetch, url)

    def _fetch(self, url: str) -> bytes:
        parts = urlsplit(url)
        connection = HTTPSConnection(parts.hostname or "", parts.port, timeout=TIMEOUT_S, context=self._context)
        try:
            connection.request("GET", f"{parts.path}?{parts.query}" if parts.query else parts.path)
            answer = connection.getresponse()
            if answer.status != 200:
                raise Unfetched(f"{parts.hostname} answered {answer.status}")
            return answer.read(MOST_BYTES)
        except (OSError, HTTPException) as error:
            raise Unfetched(f"{parts.hostname} does not answer") from error
        finally:
            connection.close()
