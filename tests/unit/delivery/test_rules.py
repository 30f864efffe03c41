"""Machines, pages, providers."""

import pytest
from delivery.domain import pages
from delivery.domain.machines import machine_rule
from delivery.domain.providers import PROVIDERS, provider_of


@pytest.mark.parametrize(
    ("method", "agent", "purpose", "rule"),
    [
        ("GET", "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X)", "", None),
        ("HEAD", "Mozilla/5.0", "", "head"),
        ("GET", "Mozilla/5.0 (via ggpht.com GoogleImageProxy)", "", None),
        ("GET", "Mozilla/5.0 Mimecast", "", "scanner"),
        ("GET", "Microsoft Office/16.0 (Windows NT 10.0; Microsoft Outlook 16.0.5071; Pro)", "", None),
        ("GET", "Mozilla/4.0 (compatible; ms-office; MSOffice 16)", "", None),
        ("GET", "Microsoft Office Existence Discovery", "", "scanner"),
        ("GET", "Mozilla/5.0 (Linux; Android 12; CUBOT X30) Mobile Safari/537.36", "", None),
        ("GET", "ExampleBot/1.0", "", "bot"),
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
