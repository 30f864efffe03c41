"""Which secrets production refuses, and that it takes what we make ourselves."""

import base64
import json
import random
import re
import subprocess
from pathlib import Path

import pytest
from barid import keys
from barid.provision import VARIABLES, password
from barid.settings import stack_settings
from campaigns.main import create_app as campaigns_app
from campaigns.settings import Settings as CampaignsSettings
from common.errors import Misconfigured
from common.production import no_default_secrets, why_known
from common.settings import load
from contacts.main import create_app as contacts_app
from contacts.settings import Settings as ContactsSettings

from tests.fixtures.access import LINK_KEYS, PEPPER

ROOT = Path(__file__).resolve().parents[3]


def b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


@pytest.fixture
def production(monkeypatch):
    """Sets what an installation sets, all of it sound; then what is given."""

    def make(**given: str):
        made = keys.make()
        good = {
            "BARID_ENV": "production",
            "BARID_PEPPER": made.pepper,
            "BARID_LINK_KEYS": made.link_keys,
            "BARID_SEALING_KEYS": made.sealing_keys,
            "BARID_TOKEN_KEYS": made.token_keys,
            "BARID_TOKEN_SIGNING_KEY": made.token_signing_key,
            "CAMPAIGNS_API_DATABASE_URL": f"postgresql://campaigns_api:{password(made.database, 'x')}@db/campaigns",
            "CONTACTS_API_DATABASE_URL": f"postgresql://contacts_api:{password(made.database, 'y')}@db/contacts",
        }
        for name, value in {**good, **given}.items():
            monkeypatch.setenv(name, value)
        return load(CampaignsSettings)

    return make


def test_what_we_make_is_taken(production):
    settings = production(BARID_KAFKA_SECURITY="SASL_SSL", BARID_KAFKA_USERNAME="barid", BARID_KAFKA_PASSWORD="t7Qm-v")
    no_default_secrets(settings)
    campaigns_app(settings)
    contacts_app(load(ContactsSettings))


EQUAL, COUNTED, TYPED = b64(b"\0" * 32), b64(bytes(range(32))), b64(b"correct horse battery staple 123")
RFC_8037 = {
    "kty": "OKP",
    "crv": "Ed25519",
    "d": "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
    "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
}
URL = "postgresql://campaigns_worker:{}@db.internal/campaigns"


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("BARID_PEPPER", EQUAL, "is a pattern"),
        ("BARID_PEPPER", COUNTED, "is a pattern"),
        ("BARID_PEPPER", b64(b"ab" * 16), "is a pattern"),
        ("BARID_PEPPER", TYPED, "is typed text"),
        ("BARID_PEPPER", PEPPER, "is typed text"),
        ("BARID_PEPPER", "c2hvcnQ=", "must be the base64 of at least 32 bytes"),
        ("BARID_LINK_KEYS", f"k1:{b64(b'x' * 32)}", "is a pattern"),
        ("BARID_LINK_KEYS", LINK_KEYS, "is typed text"),
        ("BARID_TOKEN_SIGNING_KEY", json.dumps(RFC_8037), "is a published example"),
        ("BARID_TOKEN_KEYS", json.dumps({"keys": [{**RFC_8037, "d": None}]}), "is a published example"),
        ("CAMPAIGNS_WORKER_DATABASE_URL", URL.format("postgres"), "is a default"),
        ("CAMPAIGNS_WORKER_DATABASE_URL", URL.format("Barid"), "is a default"),
        ("CAMPAIGNS_WORKER_DATABASE_URL", URL.format("p%61ssword"), "is a default"),
        ("CAMPAIGNS_WORKER_DATABASE_URL", URL.format("change-me-please"), "is a default"),
        ("CAMPAIGNS_WORKER_DATABASE_URL", URL.format("campaigns_worker"), "is the name beside it"),
        ("CAMPAIGNS_WORKER_DATABASE_URL", URL.format("campaigns"), "is the name beside it"),
        ("CAMPAIGNS_WORKER_DATABASE_URL", URL.format(""), "is empty"),
        ("CAMPAIGNS_WORKER_DATABASE_URL", URL.format("xxxxxxxx"), "is empty or nearly so"),
        ("CAMPAIGNS_DATABASE_URL", URL.format("secret"), "is a default"),
        ("BUS_DATABASE_URL", "postgresql://bus_client:bus_client@db/bus", "is the name beside it"),
        ("BARID_KAFKA_PASSWORD", "let me in", "is a default"),
        ("BARID_KAFKA_PASSWORD", "barid-worker", "is the name beside it"),
    ],
)  # fmt: skip
def test_secrets_that_others_know_are_one_line_that_names_the_setting(production, name, value, why):
    settings = production(
        **{"BARID_KAFKA_SECURITY": "SASL_SSL", "BARID_KAFKA_USERNAME": "barid-worker", "BARID_KAFKA_PASSWORD": "t7Qm-v"}
        | {name: value}
    )
    with pytest.raises(Misconfigured) as refused:
        no_default_secrets(settings)
    assert name in refused.value.message
    assert why in refused.value.message
    assert "\n" not in refused.value.message
    assert len(value) < 8 or value not in refused.value.message
    settings = production(**{name: value, "BARID_ENV": "local"})
    no_default_secrets(settings)


@pytest.mark.parametrize(
    ("missing", "app"),
    [
        ("BARID_TOKEN_SIGNING_KEY", lambda: campaigns_app(load(CampaignsSettings))),
        ("BARID_TOKEN_KEYS", lambda: campaigns_app(load(CampaignsSettings))),
        ("BARID_LINK_KEYS", lambda: campaigns_app(load(CampaignsSettings))),
        ("BARID_LINK_KEYS", lambda: contacts_app(load(ContactsSettings))),
        ("BARID_PEPPER", lambda: contacts_app(load(ContactsSettings))),
    ],
)
def test_what_a_process_needs_and_has_not_is_told_at_its_start(production, missing, app):
    production(**{missing: ""})
    with pytest.raises(Misconfigured, match=missing):
        app()


@pytest.mark.parametrize("name", ["DATABASE_URL", *VARIABLES.values()])
def test_the_command_line_refuses_them_too(monkeypatch, name):
    monkeypatch.setenv(name, "postgresql://postgres:postgres@db/postgres")
    stack_settings()
    monkeypatch.setenv("BARID_ENV", "production")
    with pytest.raises(Misconfigured, match=f"{name} has a password that is a default"):
        stack_settings()


def test_random_secrets_are_never_taken_for_known_ones(production):
    chance = random.Random(7)
    for _ in range(3000):
        assert why_known(base64.urlsafe_b64encode(chance.randbytes(24)).decode(), "contacts_worker", "db") == ""
    for _ in range(100):
        no_default_secrets(production(BARID_PEPPER=b64(chance.randbytes(32))))


# Where a file of ours puts a value for a secret. What is generated, referred to or left out has none.
_SHIPPED = re.compile(
    r"(?i)(?:postgres(?:ql)?://[\w.-]+:([^@\s\"'$<{…]+)@)"
    r"|(?:(?:password|pepper)[\"']?\s*[:=]\s*[\"']?([\w!%-]{2,})[\"']?\s*$)",
    re.MULTILINE,
)


def test_no_password_that_a_file_of_ours_shows_is_taken_in_production():
    listed = subprocess.run(
        ["git", "ls-files", "deploy", "docker-compose.yml", "docs", "examples", "README.md", "SECURITY.md", "Makefile"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.splitlines()  # fmt: skip
    taken = []
    for name in listed:
        path = ROOT / name
        if path.suffix in {".yml", ".yaml", ".md", ".env", ".json", ".conf", ""} and path.is_file():
            for match in _SHIPPED.finditer(path.read_text(encoding="utf-8")):
                value = next(filter(None, match.groups()))
                if not why_known(value):
                    taken.append((name, value))
    assert taken == []
