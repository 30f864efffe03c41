"""Where a host that a user named may be."""

from ipaddress import ip_address

import pytest
from common import egress
from common.errors import Misconfigured
from hypothesis import given
from hypothesis import strategies as st

PRIVATE = [
    "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1",
    "255.255.255.255", "::1", "::", "fe80::1", "fc00::1", "ff02::1", "::ffff:10.0.0.1", "::ffff:169.254.169.254",
    "64:ff9b::10.0.0.1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::", "2002:a9fe:a9fe::1",
]  # fmt: skip
PUBLIC = ["8.8.8.8", "1.1.1.1", "2606:4700::1111", "64:ff9b::8.8.8.8", "::ffff:8.8.8.8"]


@pytest.mark.parametrize("address", PRIVATE)
def test_private_in_any_clothes(address):
    assert not egress.is_public(ip_address(address))


@pytest.mark.parametrize("address", PUBLIC)
def test_public_in_any_clothes(address):
    assert egress.is_public(ip_address(address))


@given(st.ip_addresses(v=4))
def test_an_address_is_judged_alike_whatever_wraps_it(address):
    bare = egress.is_public(address)
    for prefix in (0xFFFF << 32, int(ip_address("64:ff9b::"))):
        assert egress.is_public(ip_address((prefix | int(address)).to_bytes(16, "big"))) is bare


async def test_a_name_is_judged_by_every_address_it_has(monkeypatch):
    async def two_addresses(*_args, **_options):
        return [(2, 1, 6, "", ("8.8.8.8", 25)), (2, 1, 6, "", ("10.0.0.1", 25))]

    import asyncio

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", two_addresses, raising=False)
    with pytest.raises(egress.ForbiddenHost, match=r"10\.0\.0\.1"):
        await egress.addresses_of("both.example", 25, ())
    allowed = egress.networks("X", "10.0.0.0/8")
    assert await egress.addresses_of("both.example", 25, allowed) == [ip_address("8.8.8.8"), ip_address("10.0.0.1")]


@pytest.mark.parametrize("host", ["127.0.0.1", "2130706433", "0x7f000001", "0177.0.0.1", "127.1", "localhost", "::1"])
async def test_however_loopback_is_written(host):
    with pytest.raises((egress.ForbiddenHost, egress.UnknownHost)):
        await egress.addresses_of(host, 25, ())


def test_networks_that_are_none_name_their_setting():
    assert egress.networks("BARID_X", " 10.0.0.0/8 , fc00::/7,") != ()
    with pytest.raises(Misconfigured, match="BARID_X"):
        egress.networks("BARID_X", "10.0.0.1/8")
