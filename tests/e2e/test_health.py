"""How a running stack says that it is well."""

import httpx

from tests.fixtures.outside import Outside
from tests.fixtures.stack import Stack

SERVICES = ("contacts", "campaigns", "delivery", "analytics")


def has_sample(url: str, wanted: str) -> None:
    Outside.until(lambda: httpx.get(f"{url}/metrics", timeout=5).text, lambda text: f"\n{wanted}" in text, 20)


def test_every_process_of_a_stack_answers_for_its_health(stack: Stack) -> None:
    health = stack.info()["health"]
    assert set(health) == {"all", "mailer"}
    with httpx.Client(timeout=5) as client:
        for url in health.values():
            assert client.get(f"{url}/healthz").json() == {"status": "alive"}
            assert client.get(f"{url}/readyz").json() == {"status": "ready"}
    ages = [f'barid_outbox_age_seconds{{service="{service}"}} ' for service in SERVICES]
    polls = [f'barid_consumer_last_poll_timestamp_seconds{{consumer="{service}.access"}} ' for service in SERVICES]
    for wanted in ages + polls:  # the first poll of a quiet bus takes a second
        has_sample(health["all"], wanted)


def test_the_health_port_survives_the_death_of_its_process(stack: Stack) -> None:
    before = stack.info()["health"]
    stack.kill("mailer")
    assert stack.info()["health"] == before
    transport = httpx.HTTPTransport(retries=8)  # with backoff: about a minute
    with httpx.Client(transport=transport, timeout=5) as client:
        assert client.get(f"{before['mailer']}/readyz").status_code == 200
