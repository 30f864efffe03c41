"""Connections to hosts that a user named: only to the internet, unless the operator allows a network (CWE-918).

A name is looked up once, every address is judged, and the connection goes to an address that was judged: a second
lookup could answer something else.
"""

import asyncio
import socket
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from common.errors import Misconfigured

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address

_NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052: an IPv4 address in other clothes
_TRY_NEXT_S = 5.0


class ForbiddenHost(Exception):
    """The host is not on the internet, and in no network that the operator allows. The message says which."""


class UnknownHost(Exception):
    """The name has no address."""


def networks(setting: str, text: str) -> tuple[Network, ...]:
    """Networks by commas, such as 10.0.0.0/8. Raises Misconfigured, naming the setting."""
    try:
        return tuple(ip_network(part.strip()) for part in text.split(",") if part.strip())
    except ValueError as error:
        raise Misconfigured(f"{setting}: {error}; networks look like 10.0.0.0/8") from error


def is_public(address: Address) -> bool:
    """Whether an address is somebody's on the internet, whatever it is wrapped in."""
    bare = unwrapped(address)
    return bare.is_global and not bare.is_multicast


def unwrapped(address: Address) -> Address:
    """The IPv4 address within one that is mapped (RFC 4291), 6to4 (RFC 3056) or NAT64; else the address."""
    if isinstance(address, IPv6Address):
        if address in _NAT64:
            return IPv4Address(int(address) & 0xFFFFFFFF)
        return address.ipv4_mapped or address.sixtofour or address
    return address


async def addresses_of(host: str, port: int, allowed: Sequence[Network]) -> list[Address]:
    """Where a host is. Raises UnknownHost; ForbiddenHost when any of its addresses is private and not allowed."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise UnknownHost(f"{host} has no address") from error
    addresses = list(dict.fromkeys(ip_address(entry[4][0]) for entry in found))
    judge(host, addresses, allowed)
    return addresses


def judge(host: str, addresses: Sequence[Address], allowed: Sequence[Network]) -> None:
    """Raises ForbiddenHost when any address of a host is private and not allowed."""
    for address in addresses:
        bare = unwrapped(address)
        if not is_public(bare) and not any(bare in network for network in allowed):
            raise ForbiddenHost(f"{host} is {bare}, which is not an address on the internet")


async def connect(addresses: Sequence[Address], port: int) -> socket.socket:
    """A connected socket to the first address that answers. Raises OSError, and TimeoutError, which is one."""
    failure: OSError = OSError("no address to connect to")
    loop = asyncio.get_running_loop()
    for address in addresses:
        family = socket.AF_INET if address.version == 4 else socket.AF_INET6
        made = socket.socket(family, socket.SOCK_STREAM)
        made.setblocking(False)
        try:
            await asyncio.wait_for(loop.sock_connect(made, (str(address), port)), _TRY_NEXT_S)
        except OSError as error:
            made.close()
            failure = error
        except BaseException:
            made.close()
            raise
        else:
            return made
    raise failure
