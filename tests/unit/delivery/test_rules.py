"""Pacing, machines, pages, providers."""

import pytest
from delivery.domain import pages
from delivery.domain.machines import machine_rule
from delivery.domain.pacing import FIRST_PAUSE_S, MOST_PAUSE_S, Pacing
from delivery.domain.providers import PROVIDERS, provider_of


class TestPacing:
    def test_everything_is_allowed_at_first(self):
        assert Pacing(64).quotas(("gmail", "other"), 10, 0) == {"gmail": 10, "other": 10}

    def test_a_provider_that_asks_for_less_is_paused_and_halved_and_others_are_not(self):
        pacing = Pacing(64)
        pacing.slow_down("gmail", 0)
        assert pacing.quotas(("gmail", "other"), 64, 1) == {"other": 64}
        assert pacing.quotas(("gmail",), 64, FIRST_PAUSE_S) == {"gmail": 32}
        assert pacing.next_change(1) == FIRST_PAUSE_S

    def test_replies_that_come_together_count_once(self):
        pacing = Pacing(64)
        for _ in range(10):
            pacing.slow_down("gmail", 1)
        assert pacing.quotas(("gmail",), 64, 100) == {"gmail": 32}

    def test_it_never_stops_for_good_and_the_pause_has_a_limit(self):
        pacing, now = Pacing(64), 0.0
        for _ in range(50):
            pacing.slow_down("gmail", now)
            now += MOST_PAUSE_S + 1
        assert pacing.quotas(("gmail",), 64, now) == {"gmail": 1}

    def test_success_grows_it_back(self):
        pacing = Pacing(8)
        pacing.slow_down("gmail", 0)
        for _ in range(20):
            pacing.accepted("gmail")
        assert pacing.quotas(("gmail",), 64, 100) == {"gmail": 8}

    def test_what_is_under_way_counts(self):
        pacing = Pacing(4)
        for _ in range(4):
            pacing.began("gmail")
        assert pacing.quotas(("gmail",), 64, 0) == {}
        pacing.ended("gmail")
        assert pacing.quotas(("gmail",), 64, 0) == {"gmail": 1}


@pytest.mark.parametrize(
    ("method", "agent", "purpose", "rule"),
    [
        ("GET", "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X)", "", None),
        ("HEAD", "Mozilla/5.0", "", "head"),
        ("GET", "Mozilla/5.0 (via ggpht.com GoogleImageProxy)", "", None),
        ("GET", "Mozilla/5.0 Mimecast", "", "scanner"),
        ("GET", "Microsoft Office/16.0 (Windows NT 10.0)", "", "scanner"),
        ("GET", "Googlebot/2.1 (+http://www.google.com/bot.html)", "", "bot"),
        ("GET", "facebookexternalhit/1.1", "", "bot"),
        ("GET", "Mozilla/5.0", "prefetch", "prefetch"),
        ("GET", "python-httpx/0.28", "", None),
        ("GET", "", "", None),
    ],
)
def test_machines_by_rules_without_state(method, agent, purpose, rule):
    assert machine_rule(method, agent, purpose) == rule


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("", "en"),
        ("de-DE,de;q=0.9", "en"),
        ("fa-IR,fa;q=0.9,en;q=0.8", "fa"),
        ("en;q=0.5,ar;q=0.9", "ar"),
        ("ar;q=x", "en"),
        ("*", "en"),
    ],
)
def test_language_of_a_page(header, language):
    assert pages.language_of(header) == language


@pytest.mark.parametrize("language", ["en", "ar", "fa"])
def test_pages_say_their_direction_and_hold_nothing_foreign(language):
    for page in (pages.ask(language), pages.done(language, everything=True), pages.tell(language, "later")):
        assert f'<html lang="{language}" dir="{"ltr" if language == "en" else "rtl"}">' in page
        assert "<script" not in page
        assert "http" not in page.replace("http-equiv", "")


def test_providers():
    assert provider_of("gmail.com") == "gmail"
    assert provider_of("hotmail.com") == "microsoft"
    assert provider_of("example.com") == "other"
    assert len(set(PROVIDERS)) == len(PROVIDERS)
