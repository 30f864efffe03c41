"""Which message of ours something that came back may be about: by what only the message carried, or by its name."""

import re
from dataclasses import dataclass
from uuid import UUID

from common.link_tokens import BadToken, TokenKeys

from delivery.domain.bounces.fields import ADDRESS
from delivery.domain.return_path import WORKSPACE_TAIL, Claim, ReturnPaths

MOST = 5
# Ours are UUIDv5, named by the send key; with or without the brackets.
_MESSAGE_ID = re.compile(r"(?<![\w.-])([0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12})@", re.I)
_LEAVE = re.compile(r"/u/([\w-]{100,1000})")


@dataclass(frozen=True, slots=True)
class Matcher:
    """Reads claims by the keys that signed them."""

    paths: ReturnPaths
    links: TokenKeys

    def by_address(self, text: str) -> list[Claim]:
        """Signed: a text with the address that a message's bounces go to."""
        return [claim for one in ADDRESS.findall(text)[:MOST] if (claim := self.paths.claim(one)) is not None]

    def by_link(self, text: str) -> list[Claim]:
        """Signed: a List-Unsubscribe header with a link of ours."""
        return [claim for token in _LEAVE.findall(text)[:2] if (claim := self._link(token)) is not None]

    def by_message_id(self, text: str) -> list[Claim]:
        """Not signed: Message-IDs of the form that ours have, the last ones."""
        return [Claim(UUID(found)) for found in _MESSAGE_ID.findall(text)[-MOST:]]

    def _link(self, token: str) -> Claim | None:
        try:
            link = self.links.verify(token, "u")
        except BadToken:
            return None
        return Claim(link.message_id, link.workspace_id.bytes[-WORKSPACE_TAIL:], "link")
