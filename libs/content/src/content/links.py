"""The links of a mail by number, and the query parameters (UTM) added to them."""

from collections.abc import Mapping
from urllib.parse import quote

from content.model import CompiledMail, LinkTarget


class LinkTable:
    """Numbers URLs as they are found; the same URL keeps its number, in all variants."""

    def __init__(self, utm: Mapping[str, str], *, tracked: bool) -> None:
        self._numbers: dict[str, int] = {}
        self._utm = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in utm.items() if value)
        self._tracked = tracked

    def number(self, url: str) -> int:
        """The number of a URL, as its author wrote it."""
        return self._numbers.setdefault(url, len(self._numbers) + 1)

    def tagged(self, url: str) -> str:
        """The URL with the UTM parameters, unless it is no web page or names its own."""
        if not self._utm or not url.lower().startswith(("http://", "https://")) or "utm_" in url:
            return url
        address, hash_, fragment = url.partition("#")
        joint = "&" if "?" in address else "?"
        return f"{address}{joint}{self._utm}{hash_}{fragment}"

    def targets(self) -> tuple[LinkTarget, ...]:
        """All links, in the order of their numbers."""
        return tuple(LinkTarget(number=n, url=url, tracked=self._tracked) for url, n in self._numbers.items())


def tracked_links(mail: CompiledMail) -> dict[int, str]:
    """Number → URL of the links whose clicks are counted. Unsubscribe, preferences, mailto are never among them."""
    return {link.number: link.url for link in mail.links if link.tracked}
