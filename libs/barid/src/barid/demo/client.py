"""Barid over HTTP, as a front end would use it."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any

import aiohttp
from common.errors import BaridError

_AGAIN = frozenset({429, 502, 503})


class Refused(BaridError):
    """Barid refused what the demo asked."""

    code = "refused"


class Late(BaridError):
    """Something did not happen in time."""

    code = "late"


class Client:
    """One workspace's API, with a token."""

    def __init__(self, url: str, token: str) -> None:
        self.url = url
        self._http = aiohttp.ClientSession(
            headers={"Authorization": f"Bearer {token}"}, timeout=aiohttp.ClientTimeout(total=30)
        )

    async def __aenter__(self) -> "Client":
        """Open."""
        return self

    async def __aexit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        """Close the connections."""
        await self._http.close()

    async def get(self, path: str, **query: Any) -> Any:
        """GET. Raises Refused."""
        return await self._call("GET", path, params=query)

    async def post(self, path: str, body: Any) -> Any:
        """POST of JSON. Raises Refused."""
        return await self._call("POST", path, json=body)

    async def upload(self, path: str, name: str, content: bytes, options: dict[str, Any]) -> Any:
        """POST of a file with options. Raises Refused."""
        form = aiohttp.FormData()
        form.add_field("file", content, filename=name, content_type="text/csv")
        form.add_field("options", json.dumps(options))
        return await self._call("POST", path, data=form)

    async def _call(self, method: str, path: str, **kwargs: Any) -> Any:
        for attempt in range(20):
            async with self._http.request(method, self.url + path, **kwargs) as answer:
                text = await answer.text()
                if answer.ok:
                    return json.loads(text) if text else None
                if answer.status not in _AGAIN or attempt == 19 or "data" in kwargs:
                    raise Refused(f"{method} {path}: {answer.status} {text[:500]}")
            await asyncio.sleep(0.25)
        return None


async def until(read: Callable[[], Awaitable[Any]], good: Callable[[Any], bool], what: str, within_s: float) -> Any:
    """Read until the answer is good. Raises Late, saying what was waited for and what was last seen."""
    deadline = time.monotonic() + within_s
    while True:
        found = await read()
        if good(found):
            return found
        if time.monotonic() > deadline:
            raise Late(f"{what}: not within {within_s:.0f} s; the last answer was {str(found)[:600]}")
        await asyncio.sleep(0.1)
