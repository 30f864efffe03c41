"""SPF (RFC 7208): who may send, what a receiver cannot judge, and the record that lets our way out send."""

import pytest
from delivery.domain.spf import MOST_LOOKUPS, authorising, check_host, records
from hypothesis import given
from hypothesis import strategies as st


class Zone:
    """Names out of a table."""

    def __init__(self, texts, hosts=(), addresses=(), called=()):
        self.texts, self.hosts, self.there, self.called = texts, dict(hosts), dict(addresses), dict(called)

    async def txt(self, name):
        given = self.texts.get(name, [])
        return [given] if isinstance(given, str) else given

    async def mail_hosts(self, name):
        return self.hosts.get(name, [])

    async def addresses(self, name):
        return self.there.get(name, [])

    async def names_of(self, address):
        return self.called.get(address, [])


MANY = {f"s{n}.test": f"v=spf1 include:s{n + 1}.test -all" for n in range(11)} | {"s11.test": "v=spf1 +all"}


@pytest.mark.parametrize(
    ("text", "address", "result"),
    [
        ("v=spf1 ip4:192.0.2.0/24 -all", "192.0.2.77", "pass"),
        ("v=spf1 ip4:192.0.2.0/24 -all", "198.51.100.1", "fail"),
        ("v=spf1 ip4:192.0.2.1 ~all", "192.0.2.2", "softfail"),
        ("v=spf1 ip4:192.0.2.1 ?all", "192.0.2.2", "neutral"),
        ("v=spf1 ip4:192.0.2.1", "192.0.2.2", "neutral"),
        ("v=spf1 -ip4:192.0.2.1 +all", "192.0.2.1", "fail"),
        ("v=spf1 ip6:2001:db8::/32 -all", "2001:db8:1::2", "pass"),
        ("v=spf1 ip6:2001:db8::/32 -all", "192.0.2.1", "fail"),
        ("V=SPF1 IP4:192.0.2.1 -ALL", "192.0.2.1", "pass"),
        ("v=spf1 a -all", "203.0.113.5", "pass"),
        ("v=spf1 a:other.test/24 -all", "198.51.100.200", "pass"),
        ("v=spf1 a//64 -all", "2001:db8::ffff", "pass"),
        ("v=spf1 mx -all", "203.0.113.9", "pass"),
        ("v=spf1 include:relay.test -all", "203.0.113.66", "pass"),
        ("v=spf1 include:relay.test ~all", "192.0.2.1", "softfail"),  # the included -all only does not match
        ("v=spf1 redirect=relay.test", "192.0.2.1", "fail"),
        ("v=spf1 exists:other.test -all", "192.0.2.1", "pass"),
        ("v=spf1 ptr -all", "192.0.2.1", "fail"),
        ("v=spf1 exp=why.test x-new=1 ip4:192.0.2.1 -all", "192.0.2.1", "pass"),
        ("v=spf1 include:nothing.test -all", "192.0.2.1", "permerror"),
        ("v=spf1 include:shop.test -all", "192.0.2.1", "permerror"),
        ("v=spf1 ip4:192.0.2.300 -all", "192.0.2.1", "permerror"),
        ("v=spf1 ipv4:192.0.2.1 -all", "192.0.2.1", "permerror"),
        ("v=spf1 ptr -all", "203.0.113.5", "pass"),
        ("v=spf1 ptr:hop.test -all", "203.0.113.5", "fail"),
        ("v=spf1 exists:%{i}._spf.%{d} -all", "203.0.113.7", "pass"),
        ("v=spf1 exists:%{i}._spf.%{d} -all", "203.0.113.8", "fail"),
        ("v=spf1 exists:%{i}._spf.%{d} -all", "2001:db8::1", "pass"),  # by an A record all the same
        ("v=spf1 exists:six.test -all", "2001:db8::1", "fail"),
        ("v=spf1 include:_spf.%{d2} -all", "203.0.113.66", "pass"),
        ("v=spf1 redirect=_spf.%{d}", "203.0.113.66", "pass"),
        ("v=spf1 a:%{p} -all", "203.0.113.5", "pass"),
        ("v=spf1 a:%{d/}/24 -all", "203.0.113.99", "pass"),
        ("v=spf1 include:here.%{o} -all", "203.0.113.7", "pass"),  # %{d} within is here.shop.test, %{o} stays
        ("v=spf1 exists:%{x}.test -all", "192.0.2.1", "permerror"),
        ("v=spf1 exists:%{i.test -all", "192.0.2.1", "permerror"),
        ("v=spf1 exists:%i.test -all", "192.0.2.1", "permerror"),
        ("v=spf1 exists:%{d0}.test -all", "192.0.2.1", "permerror"),
        ("v=spf1 exists:%{c}.test -all", "192.0.2.1", "permerror"),  # in explanations alone
        ("v=spf1 exists: -all", "192.0.2.1", "permerror"),
        ("v=spf1 exists -all", "192.0.2.1", "permerror"),
        ("v=spf1 a:192.0.2.1 -all", "192.0.2.1", "permerror"),
        ("v=spf1 a:localhost -all", "192.0.2.1", "permerror"),
        ("v=spf1 a/33 -all", "192.0.2.1", "permerror"),
        ("v=spf1 a:shop.test/08 -all", "192.0.2.1", "permerror"),
        ("v=spf1 include:relay.test/24 -all", "203.0.113.66", "permerror"),
        ("v=spf1 a:n1.test a:n2.test a ip4:192.0.2.1 -all", "192.0.2.1", "pass"),
        (
            "v=spf1 a:n1.test exists:n2.test mx:n3.test ip4:192.0.2.1 -all",
            "192.0.2.1",
            "permerror",
        ),  # three find nothing
        ("v=spf1 a:n1.test a:n2.test include:void.test -all", "192.0.2.1", "permerror"),
        ("v=spf1 a:six.test a:six.test a:six.test ip6:2001:db8::1 -all", "2001:db8::1", "pass"),
        ("v=spf1 mx:big.test -all", "203.0.113.9", "permerror"),  # eleven hosts
        ("v=spf1 include:s0.test -all", "192.0.2.1", "permerror"),  # eleven lookups
        ("v=spf1 include:s2.test -all", "192.0.2.1", "pass"),  # ten
        ("v=spf10 -all", "192.0.2.1", "none"),
        (["v=spf1 -all", "v=spf1 ~all"], "192.0.2.1", "permerror"),
        ([], "192.0.2.1", "none"),
    ],
    ids=str,
)
async def test_what_a_receiver_makes_of_it(text, address, result):
    zone = Zone(
        {
            "shop.test": text,
            "relay.test": "v=spf1 ip4:203.0.113.64/26 -all",
            "_spf.shop.test": "v=spf1 ip4:203.0.113.64/26 -all",
            "here.shop.test": "v=spf1 -exists:no.%{o} exists:%{i}._spf.%{o} -exists:%{d1r}.test -all",
            "void.test": "v=spf1 a -all",
            **MANY,
        },
        {"shop.test": ["mx.shop.test"], "big.test": ["mx.shop.test"] * 11},
        {
            "shop.test": ["203.0.113.5", "2001:db8::1"],
            "mx.shop.test": ["203.0.113.9"],
            "other.test": ["198.51.100.1"],
            "six.test": ["2001:db8::1"],
            "203.0.113.7._spf.shop.test": ["127.0.0.2"],
            "2.0.0.1.0.d.b.8." + "0." * 23 + "1._spf.shop.test": ["127.0.0.2"],
        },
        {"203.0.113.5": ["x.hop.example", "shop.test"]},
    )
    verdict = await check_host(zone, address, "shop.test")
    assert verdict.result == result, verdict
    assert bool(verdict.why) == (result == "permerror")


PIECES = st.sampled_from(
    ["%{", "}", "%", "%%", "%_", "%-", "s", "L", "o", "d", "I", "p", "v", "H", "c", "2", "0", "99999", "r", "-", "/",
     ".", "=", " ", "a:", "mx:", "include:", "exists:", "ptr:", "redirect=", "exp=", "shop.test", "é"]
)  # fmt: skip


@given(st.lists(PIECES, max_size=40).map("".join), st.sampled_from(["192.0.2.1", "2001:db8::1"]), st.text(max_size=30))
async def test_no_macro_breaks_the_judge(text, address, sender):
    verdict = await check_host(Zone({"shop.test": "v=spf1 " + text}), address, "shop.test", sender, sender)
    assert verdict.result in {"pass", "fail", "softfail", "neutral", "permerror"}


@given(st.text(st.characters(codec="utf-8"), max_size=120))
async def test_no_record_breaks_the_judge(text):
    verdict = await check_host(Zone({"shop.test": "v=spf1 " + text}), "192.0.2.1", "shop.test")
    assert verdict.result in {"pass", "fail", "softfail", "neutral", "permerror"}


@pytest.mark.parametrize(
    ("present", "wanted"),
    [
        (None, "v=spf1 include:relay.test ~all"),
        ("v=spf1 -all", "v=spf1 include:relay.test -all"),
        ("v=spf1 a mx ?all", "v=spf1 a mx include:relay.test ?all"),
        ("v=spf1 include:relay.test -all", "v=spf1 include:relay.test -all"),
        ("v=spf1 +Include:Relay.Test -all", "v=spf1 +Include:Relay.Test -all"),
        ("v=spf1 redirect=x.test", "v=spf1 include:relay.test redirect=x.test"),
        ("v=spf1", "v=spf1 include:relay.test"),
    ],
    ids=str,
)
def test_the_record_to_publish_keeps_what_is_there(present, wanted):
    assert authorising(present, ["include:relay.test"]) == wanted


TERMS = st.sampled_from(["a", "mx", "ip4:192.0.2.9", "include:x.test", "~all", "-all", "redirect=y.test"])


@given(st.lists(TERMS, max_size=MOST_LOOKUPS))  # with more lookups it was broken before
async def test_what_was_made_to_authorise_authorises(terms):
    made = authorising(" ".join(["v=spf1", *terms]), ["ip4:203.0.113.7"])
    assert records([made]) == [made]
    there = {"shop.test": ["192.0.2.4"], "mx.test": ["192.0.2.5"]}
    zone = Zone(
        {"shop.test": made, "x.test": "v=spf1 -all", "y.test": "v=spf1 -all"}, {"shop.test": ["mx.test"]}, there
    )
    assert (await check_host(zone, "203.0.113.7", "shop.test")).result == "pass"
    assert authorising(made, ["ip4:203.0.113.7"]) == made
