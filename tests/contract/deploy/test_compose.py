"""docker-compose.yml and its proxy are what the code needs; and the checks see what is planted."""

import re
import subprocess
import sys
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from tests.contract.deploy.compose import Document, faults, of_processes, proxy_faults
from tests.contract.services import ROOT
from tools import compose, compose_secrets
from tools.images import IMAGES

CONF = (ROOT / "deploy/proxy/nginx.conf").read_text(encoding="utf-8")
TOOLS = Path(sys.executable).parent


def test_compose_is_as_the_code_needs_it() -> None:
    assert faults(compose.document()) == []


def test_the_proxy_routes_as_the_gateway_does() -> None:
    assert proxy_faults(CONF) == []


def edited(change: Callable[[Document], Any]) -> Document:
    document = deepcopy(compose.document())
    services = document["services"]
    for name, service in services.items():  # anchors made them one object
        services[name] = deepcopy(service)
    change(services)
    return document


PLANTED: dict[str, tuple[Callable[[Any], Any], str]] = {
    "an unknown variable": (
        lambda s: s["contacts-api"]["environment"].update(BARID_PEPER="x"),
        "contacts-api: nobody reads BARID_PEPER",
    ),
    "a secret in the environment": (
        lambda s: s["contacts-api"]["environment"].update(BARID_PEPPER="x"),
        "contacts-api: BARID_PEPPER is a secret",
    ),
    "a list of its own of what is signed": (
        lambda s: s["campaigns-jobs"]["environment"].update(BARID_DKIM_DOMAINS="shop.example"),
        "BARID_DKIM_DOMAINS is not the same for all",
    ),
    "no health check": (lambda s: s["delivery-mailer"].pop("healthcheck"), "delivery-mailer: no health check"),
    "another port": (
        lambda s: s["delivery-tracker"]["healthcheck"]["test"].__setitem__(
            3, s["delivery-tracker"]["healthcheck"]["test"][3].replace("8000", "8090")
        ),
        "delivery-tracker: the health check asks",
    ),
    "another path": (
        lambda s: s["contacts-jobs"]["healthcheck"]["test"].__setitem__(
            3, s["contacts-jobs"]["healthcheck"]["test"][3].replace("/readyz", "/ready")
        ),
        "contacts-jobs: the health check asks",
    ),
    "a missing process": (lambda s: s.pop("delivery-relay"), "delivery-relay is missing"),
    "a process of nobody": (lambda s: s.update({"contacts-mailer": s["contacts-jobs"]}), "contacts-mailer is nobody's"),
    "a second port": (lambda s: s["mailpit"].update(ports=["8025:8025"]), "published: "),
    "postgres before the proxy": (
        lambda s: s["postgres"].update(networks=["front", "back"]),
        "in the proxy's network: ['postgres']",
    ),
    "a writable root": (lambda s: s["kafka"].update(read_only=False), "kafka: not read-only"),
    "a capability": (lambda s: s["proxy"].update(cap_add=["NET_BIND_SERVICE"]), "proxy: has capabilities"),
    "root": (lambda s: s["prometheus"].update(user="0:0"), "prometheus: runs as 0:0"),
    "the user of the image": (lambda s: s["postgres"].pop("user"), "postgres: runs as whoever"),
    "another service's image": (
        lambda s: s["contacts-api"].update(image="barid/campaigns:${BARID_VERSION:-dev}"),
        "contacts-api: barid/campaigns",
    ),
    "another command": (lambda s: s["contacts-relay"].update(command=["jobs"]), "contacts-relay: the command is"),
    "an image of any version": (lambda s: s["kafka"].update(image="apache/kafka:latest"), "names no version"),
    "a consumer that nobody runs": (
        lambda s: s["analytics-worker"].update(command=["worker", "--only", "ingest"]),
        "the workers of analytics run",
    ),
    "a consumer that runs twice": (
        lambda s: s["analytics-worker"].update(command=["worker"]),
        "the workers of analytics run",
    ),
    "a killer that does not wait": (
        lambda s: s["contacts-worker"].update(stop_grace_period="20s"),
        "contacts-worker: killed while it drains",
    ),
    "a mailer that does not wait": (
        lambda s: s["delivery-mailer"]["environment"].pop("BARID_GRACE_S"),
        "delivery-mailer: a server may think",
    ),
    "the owner's URL in a worker": (
        lambda s: s["contacts-worker"]["secrets"].append("contacts_database_url"),
        "contacts-worker: has",
    ),
    "an undeclared secret": (lambda s: s["contacts-api"]["secrets"].append("nothing"), "the secret nothing is not"),
    "a process before its schema": (lambda s: s["contacts-api"].pop("depends_on"), "contacts-api: waits for None"),
    "no limit": (lambda s: s["campaigns-jobs"].pop("deploy"), "campaigns-jobs: no limit of memory"),
}


@pytest.mark.parametrize("fault", PLANTED)
def test_a_planted_fault_is_seen(fault: str) -> None:
    change, told = PLANTED[fault]
    found = faults(edited(change))
    assert any(told in line for line in found), found


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("|segments|", "|", "/v1/segments goes to nobody, and belongs to contacts-api"),
        ("webhooks)(/|$) delivery-api", "webhooks)(/|$) analytics-api", "/v1/webhooks goes to analytics-api"),
        ("[bchou](/|$)", "[bcho](/|$)", "/u goes to nobody"),
        ("(f|in|p|t)(/|$)", "(f|in|p|t)", "/fx goes to contacts-api, and belongs to nobody"),
        ("openapi.json campaigns", "openapi.json contacts", "/v1/openapi.json is served by campaigns-api"),
        ("$origin:8000", "$origin:8001", "passed on to"),
        ("client_max_body_size 2049m;", "", "= /v1/imports takes less"),
        ("client_max_body_size 8m;", "client_max_body_size 1m;", "the proxy refuses bodies"),
        ("proxy_request_buffering off;", "", "is stored before"),
        ("proxy_buffering off;", "", "is a stream, and buffered"),
        ("merge_slashes off;", "", "slashes are merged"),
        ("proxy_set_header Host $http_host;", "", "Host is not passed on"),
        ("proxy_set_header X-Forwarded-For $remote_addr;", "", "X-Forwarded-For is not passed on"),
    ],
)
def test_a_planted_fault_of_the_proxy_is_seen(old: str, new: str, told: str) -> None:
    assert old in CONF
    found = proxy_faults(CONF.replace(old, new))
    assert any(told in line for line in found), found


def test_docker_compose_reads_it_as_well(tmp_path: Path) -> None:
    made = subprocess.run(
        [TOOLS / "docker-compose", "config", "--quiet"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (made.returncode, made.stderr) == (0, "")


def test_an_anchor_of_a_mutated_document_is_not_shared() -> None:
    services = edited(lambda s: s["contacts-api"]["environment"].update(X="y"))["services"]
    assert "X" not in services["contacts-worker"]["environment"]


def test_what_is_depended_on_comes_first() -> None:
    services = compose.document()["services"]
    order = [name for wave in compose.waves(services) for name in wave]
    assert "cli" not in order
    for name in order:
        assert all(order.index(needed) < order.index(name) for needed in services[name].get("depends_on", ()))
    with pytest.raises(ValueError, match="goes round in a, b"):
        compose.waves({"a": {"depends_on": ["b"]}, "b": {"depends_on": ["a"]}})


def test_secrets_are_made_once_for_their_owner_alone(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    names = compose_secrets.write(folder)
    before = {name: (folder / name).read_text() for name in names}
    assert folder.stat().st_mode & 0o777 == 0o700
    assert len(set(before.values())) == len(names)
    assert compose_secrets.write(folder) == []
    assert {name: (folder / name).read_text() for name in names} == before
    (folder / "barid_pepper").unlink()
    with pytest.raises(SystemExit, match="lacks barid_pepper: put them back"):
        compose_secrets.write(folder)


def test_generated_secrets_are_good_enough_for_production(monkeypatch: pytest.MonkeyPatch) -> None:
    from campaigns.settings import Settings as Campaigns
    from common.production import no_default_secrets

    for name, value in compose_secrets.make().items():
        monkeypatch.setenv(name.upper(), value)
    monkeypatch.setenv("BARID_ENV", "production")
    settings = Campaigns()
    no_default_secrets(settings)
    assert (len(settings.link_key_ring()), len(settings.pepper_bytes())) == (1, 32)
    assert settings.require_signing_key()


@pytest.mark.parametrize("image", IMAGES)
def test_a_dockerfile_is_as_the_others(image: str) -> None:
    text = IMAGES[image].read_text(encoding="utf-8")
    shared = re.search(
        r"^FROM python:3\.13-slim AS runtime.*?(?=^FROM common AS build)", text, re.DOTALL | re.MULTILINE
    )
    first = IMAGES["barid/cli"].read_text(encoding="utf-8")
    assert shared is not None
    assert shared[0] in first, "the shared stages differ, and are built and stored twice"
    package = "barid" if image == "barid/cli" else image.removeprefix("barid/")
    assert f'ENTRYPOINT ["python", "-m", "{package}"]' in text
    assert "\nUSER 10001:10001\n" in text
    assert f'org.opencontainers.image.title="{image}"' in text
    assert "--require-hashes" in text
    assert not re.search(r"https?://|--index-url|--extra-index-url", text)


@pytest.mark.parametrize("name", of_processes(compose.document()))
def test_the_image_listens_where_compose_asks(name: str) -> None:
    from tests.contract.deploy.compose import PORT, service_and_command
    from tests.fixtures.inventory import Process

    service, command = service_and_command(name)
    text = IMAGES[f"barid/{service}"].read_text(encoding="utf-8")
    setting = Process(service, command).port_setting
    assert f"{setting}={PORT}" in text
    assert f"{setting.removesuffix('PORT')}HOST=0.0.0.0" in text


def test_compose_has_the_kafka_that_the_tests_run_on() -> None:
    pom = (ROOT / "deploy/kafka/pom.xml").read_text(encoding="utf-8")
    version = re.search(r"<kafka.version>([\d.]+)<", pom)
    assert version is not None
    assert compose.document()["services"]["kafka"]["image"] == f"apache/kafka:{version[1]}"
