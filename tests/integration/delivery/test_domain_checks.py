"""Domains looked at by themselves, and a DNS in all its moods."""

from datetime import timedelta

import dns.resolver
import pytest
from common.errors import Misconfigured
from common.ids import new_id
from common.sealing import Sealer
from delivery.dns.resolver import DnsUnavailable, MailHost, Resolver
from delivery.domain.domain_checks import Facts, judge_dmarc
from delivery.settings import Settings
from delivery.use_cases import domains
from delivery.use_cases.domain_checks import look

FACTS = Facts(("include:spf.relay.test",))


@pytest.fixture
def resolver(dns_server):
    return Resolver(dns_server.address)


async def made(db, workspace_id, name):
    sealer = Sealer(Settings().sealing_key_ring())
    async with db.transaction() as tx:
        return (await domains.create(tx, sealer, FACTS, workspace_id, name, ed25519=False))["id"]


async def state(db):
    async with db.connection() as connection:
        rows = await connection.fetch("select name, verified, failing, check_at - checked_at as wait from domains")
    return {row["name"]: row for row in rows}


async def look_again(db):
    async with db.transaction() as tx:
        await tx.execute("update domains set check_at = now()")


async def test_domains_are_looked_at_by_themselves_new_ones_soon_sound_ones_seldom(delivery_db, dns_server, resolver):
    db = delivery_db.worker
    ids = {name: await made(db, new_id(), name) for name in ("one.test", "two.test", "three.test")}
    await domains.check_due(db, resolver, FACTS)
    found = await state(db)
    assert not any(row["verified"] for row in found.values())
    assert {row["wait"] for row in found.values()} == {timedelta(minutes=10)}
    asked = len(dns_server.asked)
    await domains.check_due(db, resolver, FACTS)
    assert len(dns_server.asked) == asked, "nobody is due"

    async with db.connection() as connection:
        [checks] = await connection.fetchrow("select checks from domains where id = $1", ids["one.test"])
        await connection.execute("update domains set created_at = now() - interval '4 days' where name = 'two.test'")
    for check in checks:
        for record in check["publish"]:
            dns_server.set(record["name"], record["type"], record["value"])
    dns_server.set("spf.relay.test", "TXT", "v=spf1 -all")
    dns_server.set("one.test", "MX", "10 mx.one.test.")
    await look_again(db)
    await domains.check_due(db, resolver, FACTS)
    found = await state(db)
    assert (found["one.test"]["verified"], found["one.test"]["failing"]) == (True, [])
    assert {name: row["wait"] for name, row in found.items()} == {
        "one.test": timedelta(hours=6), "two.test": timedelta(hours=1), "three.test": timedelta(minutes=10),
    }  # fmt: skip


async def test_an_answer_too_large_for_a_packet_comes_by_tcp(dns_server, resolver):
    dns_server.set("large.test", "TXT", *(f"{n} " + "x" * 200 for n in range(20)))
    assert len(await resolver.txt("large.test")) == 20


async def test_nothing_there_and_no_answer_are_two_things(dns_server, resolver):
    hasty = Resolver(dns_server.address, timeout_s=0.5)
    dns_server.set("a.test", "A", "192.0.2.1")
    assert await resolver.txt("a.test") == []
    assert await resolver.txt("nothing.example") == []
    assert await resolver.txt("a" * 64 + ".test") == []
    assert await resolver.cname("a.test") is None
    dns_server.broken.add("broken.test")
    dns_server.silent.add("silent.test")
    for name in ("broken.test", "silent.test"):
        with pytest.raises(DnsUnavailable, match=name):
            await hasty.txt(name)


async def test_what_the_dns_says_is_read(dns_server, resolver):
    dns_server.set("b.test", "MX", "20 second.b.test.", "10 First.B.test.")
    dns_server.set("null.test", "MX", "0 .")
    dns_server.set("b.test", "A", "192.0.2.1", "192.0.2.2")
    dns_server.set("b.test", "AAAA", "2001:db8::1")
    dns_server.set("1.2.0.192.in-addr.arpa", "PTR", "mail.b.test.")
    dns_server.set("alias.test", "CNAME", "b.test.")
    assert await resolver.mx("b.test") == [MailHost(10, "first.b.test"), MailHost(20, "second.b.test")]
    assert await resolver.mx("null.test") == [MailHost(0, "")]
    assert sorted(await resolver.addresses("alias.test")) == ["192.0.2.1", "192.0.2.2", "2001:db8::1"]
    assert await resolver.ptr("192.0.2.1") == ["mail.b.test"]
    assert await resolver.cname("alias.test") == "b.test"


@pytest.mark.parametrize("text", ["resolver.test", "192.0.2.1:x", "192.0.2.1:0", "192.0.2.1:70000", "[::1"])
def test_a_resolver_that_is_no_address_ends_the_start(text):
    with pytest.raises(Misconfigured, match="BARID_DNS_RESOLVERS"):
        Resolver(text)


@pytest.mark.parametrize("text", ["192.0.2.1", "192.0.2.1:5353", "::1", "[::1]:53", "192.0.2.1, 192.0.2.2:53"])
def test_addresses_of_resolvers(text):
    Resolver(text)


@pytest.mark.parametrize(
    ("bounces", "zone", "status", "own"),
    [
        (None, {}, "not_applicable", False),
        ("b.relay.test", {}, "missing", False),
        ("b.relay.test", {("bounces.shop.test", "CNAME"): "b.relay.test."}, "ok", True),
        ("b.relay.test", {("bounces.shop.test", "MX"): "5 b.relay.test."}, "ok", True),
        ("b.relay.test", {("bounces.shop.test", "MX"): "5 mx.big.test.", ("b.relay.test", "MX"): "5 mx.big.test."},
         "wrong", False),
        ("b.relay.test", {("bounces.shop.test", "CNAME"): "other.test."}, "wrong", False),
        ("bounces.shop.test", {}, "missing", False),
        ("back.shop.test", {("back.shop.test", "MX"): "5 mx.shop.test."}, "ok", False),
        ("shop.test", {("shop.test", "MX"): "5 mx.shop.test."}, "ok", False),
        ("ownshop.test", {("ownshop.test", "MX"): "5 mx.shop.test."}, "missing", False),
    ],
    ids=["unset", "nothing", "an alias", "its host", "a provider that both use", "another's", "inside without a host",
         "inside", "the domain", "a name that ends alike"],
)  # fmt: skip
async def test_the_way_back(delivery_db, dns_server, resolver, bounces, zone, status, own):
    for (name, kind), value in zone.items():
        dns_server.set(name, kind, value)
    facts = Facts(("include:spf.relay.test",), bounce_domain=bounces)
    workspace_id = new_id()
    domain_id = await made(delivery_db.worker, workspace_id, "shop.test")
    row, _ = await domains.check(delivery_db.worker, resolver, facts, workspace_id, domain_id)
    [check] = [one for one in row["checks"] if one["check"] == "return_path"]
    assert (check["status"], row["returns"]) == (status, own), check
    wanted = [{"type": "CNAME", "name": "bounces.shop.test", "value": bounces}]
    inside = bounces is None or bounces in {"bounces.shop.test", "shop.test", "back.shop.test"}
    assert check["publish"] == ([] if inside or status == "ok" else wanted)


async def test_a_machine_without_a_resolver_starts_and_knows_nothing(monkeypatch):
    def nothing(*_args):
        raise dns.resolver.NoResolverConfiguration

    monkeypatch.setattr(dns.resolver.BaseResolver, "read_resolv_conf", nothing)
    with pytest.raises(DnsUnavailable):
        await Resolver().txt("shop.test")


async def test_an_spf_record_with_macros_is_judged_by_what_the_dns_says(dns_server, resolver):
    dns_server.set("macros.test", "TXT", "v=spf1 exists:%{ir}.%{v}._spf.%{d2} a:%{p} -all")
    dns_server.set("9.2.0.192.in-addr._spf.macros.test", "A", "127.0.0.2")
    dns_server.set("5.113.0.203.in-addr.arpa", "PTR", "mx.elsewhere.test.", "mx.macros.test.")
    dns_server.set("mx.macros.test", "A", "203.0.113.5")
    addresses = ("192.0.2.9", "203.0.113.5", "198.51.100.1")
    found = await look(resolver, "macros.test", (), Facts((), addresses))
    assert [found.verdicts[one].result for one in addresses] == ["pass", "pass", "fail"]


async def test_the_policy_of_a_domain_that_is_not_in_the_dns_yet_is_that_of_np(dns_server, resolver):
    dns_server.set("_dmarc.shop.test", "TXT", "v=DMARC1; p=none; sp=quarantine; np=reject")
    policies = []
    for _ in range(2):
        answers = await look(resolver, "news.shop.test", (), FACTS)
        policies.append(judge_dmarc("news.shop.test", answers.dmarc, exists=answers.exists).detail.split(" of ")[0])
        dns_server.set("key._domainkey.news.shop.test", "TXT", "v=DKIM1; p=")  # what has a name below it is there
    assert policies == ["The policy is reject: np", "The policy is quarantine: sp"]
