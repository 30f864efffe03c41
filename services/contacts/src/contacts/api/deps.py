"""What the routes of contacts share."""

from datetime import UTC, datetime
from typing import Annotated

from common.web.pages import parse_time
from common.web.route import Caller
from common.web.tokens import Principal
from fastapi import Depends, Request

from contacts.domain.addresses import Addresses
from contacts.use_cases.consents import Actor


async def _pepper(request: Request) -> bytes:
    pepper: bytes = request.app.state.settings.pepper_bytes()
    return pepper


Pepper = Annotated[bytes, Depends(_pepper)]


async def _addresses(caller: Caller, pepper: Pepper) -> Addresses:
    return Addresses(pepper, caller.workspace_id)


def moment(text: str) -> datetime:
    """A time from a cursor, in UTC. Raises ValueError, OverflowError for what is before the year 1 there."""
    return parse_time(text).astimezone(UTC)


def only_of(caller: Principal) -> str | None:
    """Whose lists alone the caller may see and change; None: all of the workspace's."""
    return str(caller.subject_id) if caller.role == "contributor" else None


async def _actor(caller: Caller) -> Actor:
    return Actor(f"{caller.kind}:{caller.subject_id}")


AddressReader = Annotated[Addresses, Depends(_addresses)]
ActingCaller = Annotated[Actor, Depends(_actor)]
