"""The people behind the mailbox: who opens, who clicks, who leaves, and a scanner that only looks."""

import asyncio
import random
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from html import unescape
from typing import Any
from urllib.parse import urlsplit

import aiohttp

_PIXEL = re.compile(r'<img[^>]+src="([^"]*/o/[^"]+)"')
_HREF = re.compile(r'<a[^>]+href="([^"]*/c/[^"]+)"')
_BROWSER = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"}
_AT_ONCE = 8
# Nobody reads and clicks sooner, so that sooner clicks count as machines'.
READS_AFTER_S = 2.0


@dataclass
class Played:
    """What was done, by recipient: the report must say the same."""

    opened: set[str] = field(default_factory=set)
    clicked: set[str] = field(default_factory=set)
    left: set[str] = field(default_factory=set)
    scanned: set[str] = field(default_factory=set)
    mails: int = 0
    arrived: int = 0
    imported: dict[str, int] = field(default_factory=dict)


class Mailbox:
    """The sink's mailbox."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._http = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30))

    async def close(self) -> None:
        """Close the connections."""
        await self._http.close()

    async def last_id(self) -> int:
        """The id of the newest mail, 0 in an empty mailbox."""
        found = await self.mails(0, limit=1)
        return int(found[-1]["id"]) if found else 0

    async def mails(self, after: int, limit: int = 0) -> list[dict[str, Any]]:
        """Mails newer than `after`."""
        async with self._http.get(self.url, params={"after": after, "limit": limit}) as answer:
            answer.raise_for_status()
            return list((await answer.json())["items"])

    async def refuse(self, addresses: Iterable[str]) -> None:
        """Answer these with 550 from now on."""
        replies = dict.fromkeys(addresses, "550 5.1.1 no such user here")
        async with self._http.put(f"{self.url}replies", json=replies) as answer:
            answer.raise_for_status()

    async def play(self, mails: list[dict[str, Any]], seed: int, done: Callable[[], None]) -> Played:
        """Open, click, scan and leave as people do; the same choice for the same mails."""
        await asyncio.sleep(READS_AFTER_S)
        chance = random.Random(seed)  # noqa: S311
        played, gate = Played(), asyncio.Semaphore(_AT_ONCE)
        dice = [(mail, chance.random(), chance.random()) for mail in sorted(mails, key=lambda mail: mail["to"])]

        async def one(mail: dict[str, Any], opens: float, clicks: float) -> None:
            async with gate:
                await self._read(mail, opens, clicks, played)
            done()

        await asyncio.gather(*(one(*each) for each in dice))
        return played

    async def _read(self, mail: dict[str, Any], opens: float, clicks: float, played: Played) -> None:
        (recipient,) = mail["to"]
        async with self._http.get(mail["url"]) as answer:
            whole = await answer.json()
        html = whole["html"] or ""
        links = [unescape(link) for link in _HREF.findall(html)]
        if opens > 0.97 and links:  # a scanner asks for the headers of every link, and nobody is behind it
            for link in links:
                await self._ask("HEAD", link)
            played.scanned.add(recipient)
            return
        if opens > 0.6:
            return
        pixel = _PIXEL.search(html)
        if pixel:
            await self._ask("GET", unescape(pixel[1]))
            played.opened.add(recipient)
        if clicks < 0.35 and links:
            for link in links[: 2 if clicks < 0.08 else 1]:  # three at once are a machine's
                await self._ask("GET", link)
            played.clicked.add(recipient)
        if clicks > 0.985:
            headers = {name.lower(): value for name, value in whole["headers"]}
            await self._ask("POST", headers["list-unsubscribe"].strip("<>").split(">")[0], "List-Unsubscribe=One-Click")
            played.left.add(recipient)

    async def _ask(self, method: str, url: str, body: str | None = None) -> None:
        headers = {**_BROWSER, **({"Content-Type": "application/x-www-form-urlencoded"} if body else {})}
        async with self._http.request(method, url, data=body, headers=headers, allow_redirects=False) as answer:
            if answer.status >= 400:
                raise RuntimeError(f"{method} {urlsplit(url).path[:3]}… answered {answer.status}")
