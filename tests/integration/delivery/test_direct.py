"""Direct routes: mail goes to the mail servers of recipients' domains, found in the DNS."""

import asyncio
import ssl
import time
from datetime import timedelta
from random import Random

import pytest
from common.ids import new_id
from common.testing.deliver import deliver
from delivery.db import forwards
from delivery.smtp.route import Route
from delivery.use_cases.forwarding import Forwarder
from delivery.use_cases.one_by_one import OneByOne
from delivery.use_cases.ways import Ways

from tests.fixtures.certificates import self_made
from tests.fixtures.direct import LOOPBACK, campaign_to, net, sent_by
from tests.fixtures.sending import (
    MAIN,
    PEPPER_BYTES,
    SEALER,
    add_direct_route,
    add_route,
    eventually,
    mailing,
    rows,
    until,
)

__all__ = ["net"]


async def test_each_domain_s_mail_goes_to_its_own_host(delivery_db, workspace_id, net):
    one, two = await net.host("mx.one.test"), await net.host("mx.two.test")
    net.dns.set("one.test", "MX", "10 mx.one.test.")
    net.dns.set("two.test", "MX", "10 mx.two.test.")
    route_id = await add_direct_route(delivery_db, workspace_id)
    at_one, at_two = [f"a{n}@one.test" for n in range(40)], [f"b{n}@two.test" for n in range(40)]
    found = await sent_by(delivery_db, net, workspace_id, at_one + at_two, sent=80)
    assert sorted(one.recipients) == sorted(at_one)
    assert sorted(two.recipients) == sorted(at_two)
    assert {row["route_id"] for row in found.values()} == {route_id}
    assert "EHLO mx1.sender.test" in one.commands
    assert max(one.connections, two.connections) <= 4, "one for each worker at most: they carry many messages"
    assert net.dns.asked.count(("one.test", "MX")) == 1, "an answer is kept for as long as it stands"


async def test_the_next_host_takes_what_the_first_does_not(delivery_db, workspace_id, net):
    backup, busy = await net.host("mx2.shop.test"), await net.host("mx1.shop.test")
    await net.host("mx0.shop.test", listens=False)
    busy.refuse = True
    net.dns.set("shop.test", "MX", "10 mx1.shop.test.", "20 mx2.shop.test.", "5 mx0.shop.test.")
    await add_direct_route(delivery_db, workspace_id)
    await sent_by(delivery_db, net, workspace_id, [f"a{n}@shop.test" for n in range(20)], sent=20)
    assert len(backup.recipients) == 20
    assert busy.recipients == []


async def test_a_domain_that_takes_no_mail_fails_at_once(delivery_db, workspace_id, net):
    server = await net.host("mx.ok.test")
    net.dns.set("ok.test", "MX", "10 mx.ok.test.")
    net.dns.set("null.test", "MX", "0 .")
    net.dns.set("nothing.test", "TXT", "no mail host, and no address")
    await add_direct_route(delivery_db, workspace_id)
    emails = ["a@ok.test", "b@null.test", "c@unknown.invalid", "d@nothing.test"]
    found = await sent_by(delivery_db, net, workspace_id, emails, sent=1, failed=3)
    told = {email: (row["class"], row["smtp_code"], row["smtp_enhanced"]) for email, row in found.items()}
    assert told["b@null.test"] == ("bad_mailbox", None, "5.1.10")
    assert told["c@unknown.invalid"] == told["d@nothing.test"] == ("bad_domain", None, "5.1.2")
    assert server.recipients == ["a@ok.test"]


@pytest.mark.parametrize("fault", ["broken", "silent"])
async def test_mail_waits_while_the_dns_does_not_answer_and_other_mail_does_not(delivery_db, workspace_id, net, fault):
    server = await net.host("mx.late.test")
    net.dns.set("late.test", "MX", "10 mx.late.test.")
    net.dns.set("fine.test", "MX", "10 mx.late.test.")
    getattr(net.dns, fault).add("late.test")
    await add_direct_route(delivery_db, workspace_id)
    campaign = campaign_to(workspace_id, "a@late.test", *(f"b{n}@fine.test" for n in range(10)))
    await deliver(delivery_db.worker, MAIN, campaign.events())
    async with mailing(delivery_db, 1, direct=net.direct()):
        await until(delivery_db, campaign.id, sent=10, deferred=1)
        getattr(net.dns, fault).clear()
        await until(delivery_db, campaign.id, sent=11)
    assert server.recipients.count("a@late.test") == 1


async def test_without_mail_hosts_a_domain_is_its_own(delivery_db, workspace_id, net):
    server = await net.host("plain.test")
    net.dns.set("alias.test", "CNAME", "plain.test.")
    await add_direct_route(delivery_db, workspace_id)
    await sent_by(delivery_db, net, workspace_id, ["a@plain.test", "b@alias.test"], sent=2)
    assert sorted(server.recipients) == ["a@plain.test", "b@alias.test"]


async def test_a_domain_whose_hosts_are_down_waits_and_holds_up_nobody(delivery_db, workspace_id, net):
    server = await net.host("mx.up.test")
    await net.host("mx.down.test", listens=False)
    net.dns.set("up.test", "MX", "10 mx.up.test.")
    net.dns.set("down.test", "MX", "10 mx.down.test.")
    await add_direct_route(delivery_db, workspace_id)
    emails = [f"a{n}@down.test" for n in range(30)] + [f"b{n}@up.test" for n in range(30)]
    options = {"retry_first": timedelta(seconds=60)}
    found = await sent_by(delivery_db, net, workspace_id, emails, sent=30, deferred=30, options=options)
    assert len(server.recipients) == 30
    assert all(row["first_4xx_at"] for email, row in found.items() if email.endswith("@down.test"))


async def test_mail_goes_to_no_host_on_a_private_network(delivery_db, workspace_id, net):
    public = await net.host("mx.ok.test")
    net.dns.set("ok.test", "MX", "10 mx.ok.test.")
    net.dns.set("inside.test", "MX", "10 mx.inside.test.")
    net.dns.set("mx.inside.test", "A", "10.0.0.7")
    net.dns.set("mixed.test", "MX", "5 mx.inside.test.", "10 mx.ok.test.")
    await add_direct_route(delivery_db, workspace_id)
    emails = ["a@inside.test", "b@mixed.test", "c@ok.test"]
    found = await sent_by(delivery_db, net, workspace_id, emails, sent=2, failed=1)
    assert found["a@inside.test"]["class"] == "other"
    assert "10.0.0.7, which is not an address on the internet" in found["a@inside.test"]["smtp_text"]
    assert sorted(public.recipients) == ["b@mixed.test", "c@ok.test"]


async def test_loopback_is_private_too_unless_the_operator_allows_it(delivery_db, workspace_id, net):
    server = await net.host("mx.ok.test")
    net.dns.set("ok.test", "MX", "10 mx.ok.test.")
    await add_direct_route(delivery_db, workspace_id)
    campaign = campaign_to(workspace_id, "a@ok.test")
    await deliver(delivery_db.worker, MAIN, campaign.events())
    async with mailing(delivery_db, 1, direct=net.direct(allowed=())):
        await until(delivery_db, campaign.id, failed=1)
    assert server.connections == 0


@pytest.mark.parametrize("tls", ["offered", "broken", "none"])
async def test_mail_is_encrypted_where_the_server_can(delivery_db, workspace_id, net, tmp_path, tls):
    server = await net.host("mx.shop.test")
    net.dns.set("shop.test", "MX", "10 mx.shop.test.")
    if tls != "none":
        server.extensions += ("STARTTLS",)
        server.broken_tls = tls == "broken"
        server.tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        server.tls.load_cert_chain(*self_made(tmp_path))
    await add_direct_route(delivery_db, workspace_id)
    await sent_by(delivery_db, net, workspace_id, ["a@shop.test"], sent=1)
    assert len(server.recipients) == 1
    assert server.encrypted == (1 if tls == "offered" else 0)


async def test_a_domain_counts_against_the_provider_whose_hosts_take_its_mail(delivery_db, workspace_id, net):
    """Google Workspace's domains share Gmail's limits, and two mailers keep them together."""
    rate, n = 20, 60
    google, other = await net.host("aspmx.l.google.com"), await net.host("mx.shop.test")
    for domain in ("gmail.com", "one.test", "two.test"):
        net.dns.set(domain, "MX", "10 aspmx.l.google.com.")
    net.dns.set("shop.test", "MX", "10 mx.shop.test.")
    await add_direct_route(delivery_db, workspace_id, limits={"gmail": {"per_second": rate}})
    emails = [f"a{i}@{domain}" for i in range(n // 3) for domain in ("gmail.com", "one.test", "two.test")]
    campaign = campaign_to(workspace_id, *emails, *(f"b{i}@shop.test" for i in range(60)))
    await deliver(delivery_db.worker, MAIN, campaign.events())
    times = []

    async def watch():
        while True:
            times.extend([time.monotonic()] * (len(google.taken) - len(times)))
            await asyncio.sleep(0.002)

    watching = asyncio.create_task(watch())
    async with (
        mailing(delivery_db, 1, name="one", direct=net.direct()),
        mailing(delivery_db, 1, name="two", direct=net.direct()),
    ):
        await until(delivery_db, campaign.id, sent=n + 60, timeout_s=30)
    watching.cancel()
    found = await rows(delivery_db, campaign.id)
    assert {row["provider"] for row in found if not row["email"].endswith("@shop.test")} == {"gmail"}
    assert {row["provider"] for row in found if row["email"].endswith("@shop.test")} == {"other"}
    assert len(google.recipients) == len(set(google.recipients)) == n
    assert len(other.recipients) == 60
    most = max(sum(first <= at < first + 1 for at in times) for first in times)
    assert most <= rate * 1.2 + 1 + 1, most


async def test_connections_to_one_provider_s_hosts_stay_within_its_cap(delivery_db, workspace_id, net):
    servers = [await net.host(f"mx{n}.shop{n}.test") for n in range(3)]
    for n in range(3):
        net.dns.set(f"shop{n}.test", "MX", f"10 mx{n}.shop{n}.test.")
    await add_direct_route(delivery_db, workspace_id, limits={"*": {"connections": 2}})
    campaign = campaign_to(workspace_id, *(f"a{i}@shop{i % 3}.test" for i in range(90)))
    await deliver(delivery_db.worker, MAIN, campaign.events())
    most = 0

    async def watch():
        nonlocal most
        while True:
            most = max(most, sum(len(server.open) for server in servers))
            await asyncio.sleep(0.001)

    watching = asyncio.create_task(watch())
    async with mailing(delivery_db, 1, direct=net.direct()):
        await until(delivery_db, campaign.id, sent=90, timeout_s=30)
    watching.cancel()
    assert sum(len(server.recipients) for server in servers) == 90
    assert most <= 3, "one may be closing while the next is made"


async def test_what_a_host_says_is_for_the_message_and_never_for_the_route(delivery_db, workspace_id, net):
    server, strict = await net.host("mx.shop.test"), await net.host("mx.strict.test")
    net.dns.set("shop.test", "MX", "10 mx.shop.test.")
    net.dns.set("strict.test", "MX", "10 mx.strict.test.")
    server.replies["b@shop.test"] = {"rcpt": "550 5.1.1 nobody here"}
    server.drop["c@shop.test"] = "after_dot"
    strict.replies["d@strict.test"] = {"rcpt": "530 5.7.0 log in first"}
    route_id = await add_direct_route(delivery_db, workspace_id)
    emails = ["a@shop.test", "b@shop.test", "c@shop.test", "d@strict.test"]
    options = {"retry_first": timedelta(seconds=60)}
    found = await sent_by(
        delivery_db, net, workspace_id, emails, sent=1, failed=1, uncertain=1, deferred=1, options=options
    )
    assert found["b@shop.test"]["class"] == "bad_mailbox"
    assert found["c@shop.test"]["status"] == "uncertain"
    async with delivery_db.worker.connection() as connection:
        assert await connection.fetchval("select failing_since from routes where id = $1", route_id) is None


async def test_mail_of_direct_routes_waits_where_the_operator_turned_them_off(
    delivery_db, workspace_id, net, smtp_server
):
    server = await net.host("mx.shop.test")
    net.dns.set("shop.test", "MX", "10 mx.shop.test.")
    await add_direct_route(delivery_db, workspace_id)
    campaign = campaign_to(workspace_id, "a@shop.test")
    await deliver(delivery_db.worker, MAIN, campaign.events())
    async with mailing(delivery_db, smtp_server.port):
        await asyncio.sleep(1)
        await until(delivery_db, campaign.id, pending=1)
    async with mailing(delivery_db, smtp_server.port, direct=net.direct()):
        await until(delivery_db, campaign.id, sent=1)
    assert server.recipients == ["a@shop.test"]
    assert smtp_server.recipients == []


async def test_a_relay_takes_over_where_a_direct_route_is_disabled(delivery_db, workspace_id, net, smtp_server):
    await add_direct_route(delivery_db, workspace_id, enabled=False)
    await add_route(delivery_db, workspace_id, smtp_server.port)
    campaign = campaign_to(workspace_id, "a@shop.test")
    await deliver(delivery_db.worker, MAIN, campaign.events())
    async with mailing(delivery_db, 1):
        await until(delivery_db, campaign.id, sent=1)
        await eventually(lambda: smtp_server.recipients == ["a@shop.test"])


async def test_people_s_answers_go_on_over_direct_routes_too(delivery_db, workspace_id, net, smtp_server):
    server, other = await net.host("mx.shop.test"), await net.host("mx.other.test")
    net.dns.set("shop.test", "MX", "10 mx.shop.test.")
    net.dns.set("other.test", "MX", "10 mx.other.test.")
    net.dns.set("null.test", "MX", "0 .")
    await add_direct_route(delivery_db, workspace_id)
    recipients = ["help@shop.test", "help@other.test", "more@other.test", "nobody@null.test"]
    answer = b"From: ann@example.com\r\nSubject: Re: Hi\r\n\r\nblue?\r\n"
    async with delivery_db.worker.transaction() as tx:
        await forwards.add(tx, [(workspace_id, new_id(), one, answer) for one in recipients])
    platform = Route.parse(f"smtp://127.0.0.1:{smtp_server.port}")
    direct, stop = net.direct(), asyncio.Event()
    ways = Ways(delivery_db.worker, platform, SEALER, LOOPBACK, Random(3), direct=True)
    line = OneByOne(delivery_db.worker, ways, "inbound", 50)
    running = asyncio.create_task(Forwarder(delivery_db.worker, ways, line, PEPPER_BYTES, direct).run(stop))

    async def gone():
        async with delivery_db.worker.connection() as connection:
            return not await connection.fetchval("select count(*) from forwards")

    await eventually(gone)
    stop.set()
    await running
    assert server.recipients == ["help@shop.test"]
    assert sorted(other.recipients) == ["help@other.test", "more@other.test"]
    assert smtp_server.recipients == []
    async with delivery_db.worker.connection() as connection:
        assert await connection.fetchval("select count(*) from set_aside") == 1
