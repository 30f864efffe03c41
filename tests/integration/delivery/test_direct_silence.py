"""Direct routes where mail hosts or the DNS say nothing."""

import asyncio
import socket
import time
from collections import Counter
from contextlib import ExitStack, asynccontextmanager

import pytest
from common.testing.deliver import deliver
from delivery.dns.exchangers import Exchangers
from delivery.dns.resolver import DnsUnavailable, Resolver
from delivery.use_cases.direct import Unreachable

from tests.fixtures.direct import campaign_to, net, sent_by
from tests.fixtures.sending import (
    MAIN,
    add_direct_route,
    eventually,
    mailing,
    until,
)
from tests.fixtures.smtp import scripted_smtp

__all__ = ["net"]


@asynccontextmanager
async def nothing_said(port, how="silent"):
    """A server at 127.0.0.200 that takes connections and says nothing, or answers no SYN; who is connected."""
    talking = []

    async def say_nothing(reader, writer):
        talking.append(writer)
        await reader.read()

    if how == "silent":
        server = await asyncio.start_server(say_nothing, "127.0.0.200", port)
        try:
            yield talking
        finally:
            server.close()
            for writer in talking:
                writer.close()
        return
    with ExitStack() as stack:
        server = stack.enter_context(socket.socket())
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(("127.0.0.200", port))
        server.listen(0)
        for _ in range(4):  # nobody accepts them: there is no room for another
            client = stack.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(("127.0.0.200", port))
        yield talking


async def test_hosts_that_say_nothing_hold_up_neither_workers_nor_the_window(delivery_db, workspace_id, net):
    """Ten domains whose servers take connections and are silent, each with more mail than the window."""
    server = await net.host("mx.up.test")
    net.dns.set("up.test", "MX", "10 mx.up.test.")
    for n in range(10):
        net.dns.set(f"mx.silent{n}.test", "A", "127.0.0.200")
        net.dns.set(f"silent{n}.test", "MX", f"10 mx.silent{n}.test.")
    await add_direct_route(delivery_db, workspace_id)
    dead = campaign_to(workspace_id, *(f"a{i}@silent{i % 10}.test" for i in range(700)))
    await deliver(delivery_db.worker, MAIN, dead.events())
    async with mailing(delivery_db, 1, direct=net.direct()):
        async with nothing_said(net.port) as talking:
            await eventually(lambda: len(talking) == 10)
            alive = campaign_to(workspace_id, *(f"b{i}@up.test" for i in range(20)))
            await deliver(delivery_db.worker, MAIN, alive.events())
            await until(delivery_db, alive.id, sent=20, timeout_s=10)
            assert len(talking) == 10, "each is tried once, beside the workers"
        async with scripted_smtp("127.0.0.200", net.port) as risen:
            await until(delivery_db, dead.id, sent=700, timeout_s=40)
    assert sorted(server.recipients) == sorted(one.email for one in alive.recipients)
    assert sorted(risen.recipients) == sorted(one.email for one in dead.recipients)


async def test_many_domains_of_which_nothing_is_known_have_their_mail_soon(delivery_db, workspace_id, net):
    server = await net.host("mx.up.test")
    for n in range(200):
        net.dns.set(f"mx.shop{n}.test", "A", "127.0.0.2")
        net.dns.set(f"shop{n}.test", "MX", f"10 mx.shop{n}.test.")
    await add_direct_route(delivery_db, workspace_id)
    found = await sent_by(delivery_db, net, workspace_id, [f"a@shop{n}.test" for n in range(200)], sent=200)
    assert sorted(server.recipients) == sorted(found)
    assert sum(row["attempt"] for row in found.values()) <= 2 * 200, "few are marked in vain"


async def test_silence_keeps_half_of_a_limited_number_of_connections_at_most(delivery_db, workspace_id, net):
    server = await net.host("mx.up.test")
    net.dns.set("up.test", "MX", "10 mx.up.test.")
    for n in range(5):
        net.dns.set(f"mx.silent{n}.test", "A", "127.0.0.200")
        net.dns.set(f"silent{n}.test", "MX", f"10 mx.silent{n}.test.")
    await add_direct_route(delivery_db, workspace_id, limits={"*": {"connections": 2}})
    alive = campaign_to(workspace_id, *(f"b{i}@up.test" for i in range(20)))
    async with nothing_said(net.port) as talking, mailing(delivery_db, 1, direct=net.direct()):
        await deliver(delivery_db.worker, MAIN, campaign_to(workspace_id, "first@up.test").events())
        await eventually(lambda: server.recipients)
        dead = campaign_to(workspace_id, *(f"a{i}@silent{i % 5}.test" for i in range(50)))
        await deliver(delivery_db.worker, MAIN, dead.events())
        await eventually(lambda: talking)
        await deliver(delivery_db.worker, MAIN, alive.events())
        await until(delivery_db, alive.id, sent=20, timeout_s=10)
        assert len(talking) == 1
    assert len(server.recipients) == 21


@pytest.mark.parametrize("how", ["silent", "no_answer"])
async def test_a_host_is_tried_beside_one_that_says_nothing(net, how):
    await net.host("mx2.shop.test")
    net.dns.set("mx1.shop.test", "A", "127.0.0.200")
    net.dns.set("shop.test", "MX", "10 mx1.shop.test.", "20 mx2.shop.test.")
    direct = net.direct()
    found = await direct.find("shop.test")
    async with nothing_said(net.port, how):
        assert not found.proven
        client = await found.connect(2.0)
        assert client.hostname == "mx2.shop.test"
        client.close()
        assert found.proven
        began = time.monotonic()
        (await found.connect(60.0)).close()
        assert time.monotonic() - began < 5.0, "nobody waits for it again"


@pytest.mark.parametrize("how", ["silent", "no_answer"])
async def test_hosts_that_say_nothing_rest_as_long_as_they_were_waited_for(net, how):
    await net.host("mx.up.test")
    for n in range(3):
        net.dns.set(f"mx{n}.shop.test", "A", "127.0.0.200")
    net.dns.set("shop.test", "MX", *(f"{n} mx{n}.shop.test." for n in range(3)))
    direct = net.direct()
    found = await direct.find("shop.test")
    async with nothing_said(net.port, how):
        began = time.monotonic()
        with pytest.raises(Unreachable, match="does not answer in time"):
            await found.connect(2.0)
        assert time.monotonic() - began < 2.5, "for all of them together"
        assert found.resting
        with pytest.raises(Unreachable, match="a moment ago"):
            await found.connect(0.01)
        await eventually(lambda: not found.resting)
        assert time.monotonic() - began > 2.0 + 1.0, "half of that, with the jitter"


async def test_a_preferred_host_that_works_again_has_its_mail_again(net, monkeypatch):
    first, second = await net.host("mx1.shop.test"), await net.host("mx2.shop.test")
    net.dns.set("shop.test", "MX", "10 mx1.shop.test.", "20 mx2.shop.test.")
    found = await net.direct().find("shop.test")

    async def reached():
        client = await found.connect(2.0)
        client.close()
        return client.hostname

    first.refuse = True
    assert await reached() == "mx2.shop.test"
    first.refuse = False
    await asyncio.sleep(1.1)  # it rests no longer
    assert await reached() == "mx2.shop.test", "whose mail hosts work waits for no other"
    monkeypatch.setattr("delivery.use_cases.direct.PROVEN_S", 0.0)
    assert not found.proven
    assert await reached() == "mx1.shop.test"
    assert second.connections == 2


async def test_an_answer_is_asked_for_once_and_kept(net):
    net.dns.set("shop.test", "MX", "10 mx.shop.test.")
    net.dns.set("mx.shop.test", "A", "192.0.2.1")
    net.dns.broken.add(("mx.shop.test", "AAAA"))
    exchangers = Exchangers(Resolver(net.dns.address, 1.0))
    found = await asyncio.gather(*(exchangers.exchange("shop.test") for _ in range(50)))
    assert len(set(found)) == 1
    assert [str(one) for one in await exchangers.addresses("mx.shop.test")] == ["192.0.2.1"], "one type is enough"
    await exchangers.addresses("mx.shop.test")
    assert Counter(net.dns.asked)["shop.test", "MX"] == Counter(net.dns.asked)["mx.shop.test", "A"] == 1


async def test_a_dns_that_fails_is_not_asked_again_at_once_for_every_message(net):
    net.dns.broken.add("shop.test")
    exchangers = Exchangers(Resolver(net.dns.address, 1.0))
    asked = []
    for _ in range(3):
        with pytest.raises(DnsUnavailable):
            await exchangers.exchange("shop.test")
        asked.append(len(net.dns.asked))
    assert asked[0] == asked[-1] > 0


async def test_domains_in_other_scripts_are_looked_up_as_the_dns_knows_them(delivery_db, workspace_id, net):
    server = await net.host("mx.shop.test")
    net.dns.set("xn--bcher-kva.test", "MX", "10 mx.shop.test.")
    await add_direct_route(delivery_db, workspace_id)
    await sent_by(delivery_db, net, workspace_id, ["ann@b\u00fccher.test"], sent=1)
    assert len(server.recipients) == 1
