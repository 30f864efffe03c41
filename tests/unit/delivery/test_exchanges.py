"""Where a domain takes mail, and whose limits that counts against."""

from random import Random

import pytest
from delivery.domain.exchanges import TAKES_NONE, Exchange, Host, exchange_of, provider_behind
from delivery.domain.providers import OTHER, PROVIDERS, provider_of_exchange
from hypothesis import given
from hypothesis import strategies as st

NAMES = st.sampled_from(["a.test", "b.test", "c.test", "d.test", "aspmx.l.google.com", "alt1.aspmx.l.google.com"])
RECORDS = st.lists(st.tuples(st.integers(0, 65535), NAMES), min_size=1, max_size=8)


@given(RECORDS, st.integers())
def test_hosts_are_tried_by_preference_each_once(records, seed):
    exchange = exchange_of(records)
    assert isinstance(exchange, Exchange)
    order = exchange.order(Random(seed))
    assert sorted(order) == sorted({name for _, name in records})
    best = {name: min(preference for preference, other in records if other == name) for name in order}
    assert [best[name] for name in order] == sorted(best.values())


def test_hosts_of_one_preference_share_the_mail():
    exchange = exchange_of([(10, "a.test"), (10, "b.test"), (20, "c.test")])
    firsts = [exchange.order(Random(seed))[0] for seed in range(200)]
    assert 60 < firsts.count("a.test") < 140
    assert set(firsts) == {"a.test", "b.test"}


@given(RECORDS)
def test_the_null_mx_beside_others_means_nothing(records):
    assert exchange_of([*records, (0, "")]) == exchange_of(records)


def test_the_null_mx_alone_takes_no_mail_and_no_record_says_nothing():
    assert exchange_of([(0, "")]) is TAKES_NONE
    assert exchange_of([]) is None


@pytest.mark.parametrize(
    ("host", "provider"),
    [
        ("aspmx.l.google.com", "gmail"),
        ("smtp.google.com", "gmail"),
        ("shop-example.mail.protection.outlook.com", "microsoft"),
        ("shop-example.a-v1.mx.microsoft", "microsoft"),
        ("mta7.am0.yahoodns.net", "yahoo"),
        ("mx01.mail.icloud.com", "apple"),
        ("mailsec.protonmail.ch", "proton"),
        ("mx.yandex.net", "yandex"),
        ("emx.mail.ru", "mailru"),
        ("mx00.gmx.net", "gmx"),
        ("mx.shop.test", OTHER),
        ("notgoogle.com", OTHER),
        ("google.com.evil.test", OTHER),
        ("outlook.com", OTHER),
        ("", OTHER),
    ],
)
def test_a_host_is_the_providers_by_what_its_name_ends_in(host, provider):
    assert provider_of_exchange(host) == provider


@given(RECORDS)
def test_whose_limits_a_domain_counts_against_does_not_depend_on_the_order_of_records(records):
    forwards, backwards = exchange_of(records), exchange_of(records[::-1])
    provider = provider_behind("shop.test", forwards)
    assert provider == provider_behind("shop.test", backwards)
    assert provider in PROVIDERS


def test_a_domain_counts_by_its_name_first_then_by_its_preferred_hosts():
    google, filtered = Host(1, "aspmx.l.google.com"), Host(1, "in.filter.test")
    assert provider_behind("yahoo.com", Exchange((google,))) == "yahoo"
    assert provider_behind("shop.test", Exchange((google, Host(5, "backup.test")))) == "gmail"
    assert provider_behind("shop.test", Exchange((google, filtered))) == OTHER
    assert provider_behind("shop.test", Exchange((filtered, Host(5, "aspmx.l.google.com")))) == OTHER
