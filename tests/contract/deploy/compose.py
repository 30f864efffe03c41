"""What docker-compose.yml and the proxy's configuration must be, as the code has it: each check names what is wrong."""

import re
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

from barid.provision import ROLES, SERVICES, VARIABLES
from barid.routing import PUBLIC, RESOURCES, TRACKER, service_of
from common.consumer.process import chosen_of
from common.process import GRACE_S
from common.web.app import MAX_BODY
from common.web.openapi import operations
from pydantic import SecretStr
from pydantic_settings import BaseSettings

from tests.fixtures.inventory import groups, processes, settings
from tools import docs
from tools.compose_secrets import make

INFRASTRUCTURE = {"proxy", "postgres", "kafka", "mailpit", "otel-collector", "prometheus"}
ONCE = {"provision", "topics", *(f"{service}-migrate" for service in SERVICES)}
BY_HAND = {"cli"}
# Its image has no program that could ask.
UNASKED = {"otel-collector"}
PORT = 8000
COMMANDS = {
    "provision": ["provision"],
    "topics": ["topics", "apply"],
    **{f"{service}-migrate": ["migrate"] for service in SERVICES},
}

Document = dict[str, Any]
Check = Callable[[Document], Iterator[str]]


def service_and_command(name: str) -> tuple[str, str]:
    """`analytics-scoring` is a second worker; every other name says what it runs."""
    service, _, command = name.partition("-")
    return service, "worker" if command == "scoring" else command


def of_processes(document: Document) -> dict[str, Any]:
    """The containers that run a process of a service."""
    return {n: s for n, s in document["services"].items() if n not in INFRASTRUCTURE | ONCE | BY_HAND}


def every_process_once(document: Document) -> Iterator[str]:
    """One container a process; analytics' worker is two."""
    wanted = {f"{one.service}-{one.command}" for one in processes()} | {"analytics-scoring"} | INFRASTRUCTURE | ONCE
    there = document["services"].keys() - BY_HAND
    yield from (f"{name} is missing" for name in sorted(wanted - there))
    yield from (f"{name} is nobody's" for name in sorted(there - wanted))


def images_and_commands(document: Document) -> Iterator[str]:
    """The image of the service, the entry point of the image, the command of the name."""
    for name, one in document["services"].items():
        if name in INFRASTRUCTURE:
            if re.search(r":(latest)?$", one["image"]) or ":" not in one["image"]:
                yield f"{name}: {one['image']} names no version"
            continue
        service = "cli" if name in {"provision", "topics", "cli"} else name.partition("-")[0]
        if one["image"] != f"barid/{service}:${{BARID_VERSION:-dev}}":
            yield f"{name}: {one['image']} is not its image"
        if "entrypoint" in one:
            yield f"{name}: the image has the entry point"
        wanted = COMMANDS.get(name, [service_and_command(name)[1]])
        if name not in BY_HAND and one["command"][: len(wanted)] != wanted:
            yield f"{name}: the command is {one['command']}"


def consumers_covered(document: Document) -> Iterator[str]:
    """The workers of a service together run all its consumers, and none runs twice."""
    for service in SERVICES:
        ran: list[str] = []
        for name, one in of_processes(document).items():
            if service_and_command(name) == (service, "worker"):
                only = one["command"][2] if one["command"][1:2] == ["--only"] else None
                ran += [consumer.name for consumer in chosen_of(_consumers(service), only)]
        if sorted(ran) != sorted(groups(service)):
            yield f"the workers of {service} run {sorted(ran)}, and its consumers are {sorted(groups(service))}"


def _consumers(service: str) -> Any:
    made = import_module(f"{service}.consumers.subscriptions").consumers
    words = {"analytics": (3.0,), "delivery": (bytes(32),)}.get(service, ())
    return made(*words)


def known_settings(document: Document) -> Iterator[str]:
    """Every variable is read by somebody, and no secret is among them."""
    for name, one in document["services"].items():
        if name in INFRASTRUCTURE:
            continue
        for variable in one.get("environment", {}):
            if variable not in settings():
                yield f"{name}: nobody reads {variable}"
            if variable in secret_settings():
                yield f"{name}: {variable} is a secret, and belongs into a file"
        environment = one.get("environment", {})
        if (environment.get("BARID_BUS"), environment.get("BARID_ENV")) != ("kafka", "production"):
            yield f"{name}: not on Kafka in production"
        if environment.get("BARID_SECRETS_DIR") != "/run/secrets":
            yield f"{name}: the secrets are in /run/secrets"


def one_list_of_signed_domains(document: Document) -> Iterator[str]:
    """Campaigns, which has no keys, is told of the same domains as the mailers, which check them."""
    told = {name: one["environment"].get("BARID_DKIM_DOMAINS") for name, one in of_processes(document).items()}
    if None in told.values() or len(set(told.values())) != 1:
        yield f"BARID_DKIM_DOMAINS is not the same for all: {told}"


def secret_settings() -> set[str]:
    """The variables of which the code says that they are secret."""
    from barid.settings import StackSettings
    from common.settings import variable

    models: list[type[BaseSettings]] = [StackSettings]
    models += [import_module(f"{service}.settings").Settings for service in SERVICES]
    return {
        variable(model, name)
        for model in models
        for name, field in model.model_fields.items()
        if SecretStr in (field.annotation, *getattr(field.annotation, "__args__", ()))
    }


def secrets_from_files(document: Document) -> Iterator[str]:
    """Every secret is a setting, is declared, is made by `make secrets`, and only who needs a database's URL has it."""
    made = make().keys()
    own = {"postgres_password"}  # PostgreSQL's
    known = {name.lower() for name in secret_settings()} | {"barid_token_keys"} | own
    declared = document["secrets"]
    for name, source in declared.items():
        if source != {"file": f"./var/compose/secrets/{name}"}:
            yield f"the secret {name} comes from {source}"
        if name not in known:
            yield f"nobody reads the secret {name}"
    if made != declared.keys():
        yield f"`make secrets` makes others: {sorted(made ^ declared.keys())}"
    for name, one in document["services"].items():
        given = set(one.get("secrets", ()))
        yield from (f"{name}: the secret {secret} is not declared" for secret in sorted(given - declared.keys()))
        urls = {secret for secret in given if secret.endswith("database_url")}
        if name not in BY_HAND and urls != _urls(name):
            yield f"{name}: has {sorted(urls)}, needs {sorted(_urls(name))}"


def _urls(name: str) -> set[str]:
    if name in INFRASTRUCTURE or name == "topics":
        return set()
    roles = {service: [VARIABLES[role].lower() for role in ROLES[service]] for service in SERVICES}
    if name == "provision":
        return {"database_url", *(url for urls in roles.values() for url in urls)}
    service, command = service_and_command(name)
    owner, api, worker = roles[service]
    return {owner if command == "migrate" else api if command in {"api", "tracker"} else worker}


def health_checked(document: Document) -> Iterator[str]:
    """Everything that stays says how it is; a process on its own /readyz."""
    for name, one in document["services"].items():
        if name in ONCE | BY_HAND | UNASKED:
            continue
        if "test" not in one.get("healthcheck", {}):
            yield f"{name}: no health check"
        elif name not in INFRASTRUCTURE:
            text = " ".join(one["healthcheck"]["test"])
            asked = re.search(r'HTTPConnection\("127\.0\.0\.1", (\d+).*request\("GET", "([^"]+)"\)', text, re.DOTALL)
            if asked is None or (int(asked[1]), asked[2]) != (PORT, "/readyz"):
                yield f"{name}: the health check asks {asked and asked.groups()}, not /readyz on {PORT}"


def locked_down(document: Document) -> Iterator[str]:
    """Read-only, without capabilities or new privileges, not root, limited, and with time to drain."""
    for name, one in document["services"].items():
        if one.get("read_only") is not True:
            yield f"{name}: not read-only"
        if one.get("cap_drop") != ["ALL"] or one.get("cap_add") or one.get("privileged"):
            yield f"{name}: has capabilities"
        if "no-new-privileges:true" not in one.get("security_opt", ()):
            yield f"{name}: may gain privileges"
        if not re.fullmatch(r"[1-9]\d*:[1-9]\d*", str(one.get("user", ""))):
            yield f"{name}: runs as {one.get('user', 'whoever the image says')}"
        if name not in INFRASTRUCTURE and one["user"] != "10001:10001":
            yield f"{name}: the image's user is 10001"
        if not any(str(place).split(":")[0] == "/tmp" for place in one.get("tmpfs", ())):
            yield f"{name}: no /tmp"
        if name not in BY_HAND and not one.get("deploy", {}).get("resources", {}).get("limits", {}).get("memory"):
            yield f"{name}: no limit of memory"
        if "restart" not in one:
            yield f"{name}: not started again"
    for name, one in of_processes(document).items():
        drains = float(one["environment"].get("BARID_GRACE_S", GRACE_S))
        if float(one.get("stop_grace_period", "10s").removesuffix("s")) <= drains:
            yield f"{name}: killed while it drains, which may take {drains:.0f} s"
        if service_and_command(name)[1] == "mailer" and drains <= 600:
            yield f"{name}: a server may think for 600 s after the dot"


def in_order(document: Document) -> Iterator[str]:
    """Nothing starts before its schema; who talks to the bus not before its topics."""
    succeeded = {"condition": "service_completed_successfully"}
    for name, one in of_processes(document).items():
        service, command = service_and_command(name)
        wanted = {f"{service}-migrate": succeeded}
        if command in {"worker", "relay"}:
            wanted["topics"] = succeeded
        if one.get("depends_on") != wanted:
            yield f"{name}: waits for {one.get('depends_on')}"
    for service in SERVICES:
        if document["services"][f"{service}-migrate"].get("depends_on") != {"provision": succeeded}:
            yield f"{service}-migrate: does not wait for its database"
    for name, needs in {"provision": "postgres", "topics": "kafka"}.items():
        if document["services"][name].get("depends_on") != {needs: {"condition": "service_healthy"}}:
            yield f"{name}: does not wait for {needs}"


def one_address(document: Document) -> Iterator[str]:
    """One port is published, by the proxy, which reaches nothing but what serves people."""
    published = [(name, port) for name, one in document["services"].items() for port in one.get("ports", ())]
    if published != [("proxy", "${BARID_BIND:-127.0.0.1}:${BARID_PORT:-8080}:8080")]:
        yield f"published: {published}"
    public = {f"{service}-api" for service in SERVICES} | {"delivery-tracker", "proxy"}
    front = {name for name, one in document["services"].items() if "front" in one.get("networks", ("front",))}
    if front != public:
        yield f"in the proxy's network: {sorted(front ^ public)}"
    if any("network_mode" in one for one in document["services"].values()):
        yield "a container in the host's network"


CHECKS: tuple[Check, ...] = (
    every_process_once,
    images_and_commands,
    consumers_covered,
    known_settings,
    one_list_of_signed_domains,
    secrets_from_files,
    health_checked,
    locked_down,
    in_order,
    one_address,
)


def faults(document: Document) -> list[str]:
    """Everything that is wrong with a document."""
    return [fault for check in CHECKS for fault in check(document)]


def proxy_faults(conf: str) -> list[str]:
    """Everything that is wrong with the proxy's configuration."""
    return [*_routes(conf), *_bodies(conf), *_streams(conf), *_headers(conf)]


def origin_of(conf: str, path: str) -> str:
    """The container a path goes to, by the map, as nginx reads it: whole texts first, then patterns in their order."""
    found = re.search(r"map \$uri \$origin \{\n(.*?)\n\s*\}", conf, re.DOTALL)
    assert found is not None
    rules = [line.strip().rstrip(";").rsplit(" ", 1) for line in found[1].splitlines() if line.strip()]
    exact = {place: origin for place, origin in rules if not place.startswith("~") and place != "default"}
    if path in exact:
        return exact[path]
    return next((origin for place, origin in rules if place.startswith("~") and re.search(place[1:], path)), "")


def paths() -> Iterator[str]:
    """One of each resource and public path, with and without more behind it, and some that are nobody's."""
    for names in RESOURCES.values():
        for name in names:
            yield from (f"/v1/{name}", f"/v1/{name}/", f"/v1/{name}/x/y", f"/v1/{name}s", f"/{name}", f"/v2/{name}")
    for name in (*TRACKER, *(name for names in PUBLIC.values() for name in names)):
        yield from (f"/{name}", f"/{name}/", f"/{name}/token/x", f"/{name}x", f"/v1/{name}")
    yield from ("/", "/v1", "/v1/", "/metrics", "/readyz", "/v1/openapi.jsonx", "//v1/contacts", "/V1/contacts")


def _routes(conf: str) -> Iterator[str]:
    for path in paths():
        service = service_of(path)
        wanted = {None: "", "tracker": "delivery-tracker"}.get(service, f"{service}-api")
        if (found := origin_of(conf, path)) != wanted:
            yield f"{path} goes to {found or 'nobody'}, and belongs to {wanted or 'nobody'}"
    if origin_of(conf, "/v1/openapi.json") != "campaigns-api":
        yield "/v1/openapi.json is served by campaigns-api"
    targets = set(re.findall(r"proxy_pass ([^;]+);", conf))
    if targets != {f"http://$origin:{PORT}"}:
        yield f"passed on to {sorted(targets)}"
    if "merge_slashes off;" not in conf:
        yield "slashes are merged, which the gateway does not"


def locations(conf: str) -> dict[str, str]:
    """What stands behind each `location`."""
    return dict(re.findall(r"location ([^{]+?) \{\n(.*?)\n        \}", conf, re.DOTALL))


def _megabytes(text: str) -> int:
    found = re.search(r"client_max_body_size (\d+)m;", text)
    return int(found[1]) * 1024**2 if found else 0


def _bodies(conf: str) -> Iterator[str]:
    if _megabytes(conf) <= MAX_BODY:
        yield "the proxy refuses bodies that the services take"
    from contacts.api.imports import MAX_BYTES

    for path, limit in (("= /v1/imports", MAX_BYTES),):
        if _megabytes(locations(conf).get(path, "")) <= limit:
            yield f"{path} takes less than {limit} bytes"
        if "proxy_request_buffering off;" not in locations(conf).get(path, ""):
            yield f"{path} is stored before it is passed on"


def _streams(conf: str) -> Iterator[str]:
    for service in SERVICES:
        for path, _, operation in operations(docs.app(service).openapi()):
            if "text/event-stream" not in operation["responses"].get("200", {}).get("content", {}):
                continue
            asked = re.sub(r"\{\w+\}", "0198c0de", path)
            behind = [text for place, text in locations(conf).items() if re.search(place.removeprefix("~ "), asked)
                      and place.startswith("~")]  # fmt: skip
            if not any("proxy_buffering off;" in text for text in behind):
                yield f"{path} is a stream, and buffered"


def _headers(conf: str) -> Iterator[str]:
    for name, value in {
        "Host": "$http_host",
        "X-Forwarded-For": "$remote_addr",
        "X-Forwarded-Host": "$http_host",
        "X-Forwarded-Proto": "$scheme",
        "X-Request-Id": "$request_id",
    }.items():
        if f"proxy_set_header {name} {value};" not in conf:
            yield f"{name} is not passed on"
    # A location with a header of its own would lose all of the server's.
    if any("proxy_set_header" in text for text in locations(conf).values()):
        yield "a location sets headers of its own, and loses the others"
    if re.search(r"proxy_(set|hide)_header traceparent", conf, re.IGNORECASE):
        yield "traceparent is changed"
