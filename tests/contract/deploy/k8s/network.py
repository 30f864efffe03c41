"""Checks of who speaks to whom: the connections that the code has are allowed, and every other one is not."""

import ipaddress
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

from barid.provision import SERVICES
from barid.routing import PUBLIC, RESOURCES, TRACKER, service_of
from common.health import NEEDS

from tests.contract.deploy.k8s.documents import (
    NAMESPACE,
    Doc,
    Documents,
    container_of,
    labels,
    matches,
    name_of,
    pod_labels,
)

LISTENS = 8000
LMTP = 2424
CLOSED = ("/metrics", "/healthz", "/readyz", "/", "/v1", "/v2/contacts", "/v1/contactsx", "/docs", "/openapi.json")


@dataclass(frozen=True)
class Peer:
    """A pod, in this namespace or another; or, with an address, somebody outside."""

    name: str
    labels: Mapping[str, str] | None = None
    namespace: str = NAMESPACE
    address: str | None = None

    def __hash__(self) -> int:
        return hash(self.name)

    @property
    def elsewhere(self) -> bool:
        """Not a pod of this namespace: our policies say nothing of its side."""
        return self.namespace != NAMESPACE or self.address is not None


Connection = tuple[Peer, Peer, int]

DNS = Peer("dns", {"k8s-app": "kube-dns"}, "kube-system")
INGRESS = Peer("ingress controller", {"app.kubernetes.io/name": "ingress-nginx"}, "ingress-nginx")
PROMETHEUS = Peer("prometheus", {"app.kubernetes.io/name": "prometheus"}, "observability")
COLLECTOR = Peer("collector", {"app.kubernetes.io/name": "opentelemetry-collector"}, "observability")
KEDA = Peer("keda", {"app.kubernetes.io/name": "keda-operator"}, "keda")
CNPG = Peer("cloudnative-pg", {"app.kubernetes.io/name": "cloudnative-pg"}, "cnpg-system")
STRIMZI = Peer("strimzi", {"strimzi.io/kind": "cluster-operator"}, "strimzi")
BROKER = Peer("kafka", {"strimzi.io/name": "barid-kafka"})
OPERATOR = Peer("entity operator", {"strimzi.io/name": "barid-entity-operator"})
MAILPIT = Peer("mailpit", {"app.kubernetes.io/name": "mailpit"})
MAIL_SERVER = Peer("a mail server in the cluster", {"barid.dev/lmtp": "delivers"}, "mail")
STRANGER = Peer("a pod of somebody else", {"app": "stranger"}, "default")
INTRUDER = Peer("a pod of nobody", {"app": "intruder"})
WORLD = Peer("a mail server", address="203.0.113.25")
INSIDE = Peer("an address inside", address="10.1.2.3")
METADATA = Peer("the cloud's metadata", address="169.254.169.254")
DATABASES = {service: Peer(f"{service} database", {"cnpg.io/cluster": f"{service}-db"}) for service in SERVICES}
PORTS = (53, 25, 465, 587, 993, 1025, LMTP, 443, 4318, 5432, LISTENS, 8443, 9090, 9091, 9093)


def connections(documents: Documents) -> Iterator[Connection]:
    """Those that the code has: by a process's needs, its way out for mail, its health, and who serves people."""
    for one in [*documents.processes(), *documents.jobs()]:
        peer, service = peer_of(one), labels(one).get("barid.dev/service")
        command = container_of(one)["args"][0]
        yield peer, DNS, 53
        yield PROMETHEUS, peer, LISTENS
        yield peer, COLLECTOR, 4318
        if service:
            yield peer, DATABASES[service], 5432
        if "bus" in NEEDS.get(command, ()) or service is None:
            yield peer, BROKER, 9093
        if command in {"api", "tracker"}:
            yield INGRESS, peer, LISTENS
        if (service, command) == ("delivery", "api"):
            yield peer, WORLD, 443
        if command == "inbound":
            yield from ((MAIL_SERVER, peer, LMTP), (peer, WORLD, 993))
        # The API tries routes out.
        if command in {"mailer", "inbound"} or (service, command) == ("delivery", "api"):
            for port in (1025,) if documents.overlay == "dev" else (25, 465, 587):
                yield peer, MAILPIT if documents.overlay == "dev" else WORLD, port
    for database in DATABASES.values():
        yield from ((database, database, 5432), (database, database, 8000), (CNPG, database, 8000))
        yield from ((CNPG, database, 5432), (database, DNS, 53))
        yield from ((database, other, 443) for other in (WORLD, INSIDE))
    yield from ((BROKER, BROKER, 9090), (BROKER, BROKER, 9091), (OPERATOR, BROKER, 9091), (OPERATOR, INSIDE, 443))
    yield from ((STRIMZI, BROKER, port) for port in (9090, 9091, 8443))
    yield from ((BROKER, DNS, 53), (OPERATOR, DNS, 53), (OPERATOR, WORLD, 443))
    if documents.of("ScaledObject"):
        yield from ((KEDA, BROKER, 9093), (KEDA, DATABASES["delivery"], 5432))


# Beyond what is needed: every pod may ask for names; the Kubernetes API and an object store have no selector, so who
# needs them goes anywhere by these ports; and KEDA is let in also where it does not run.
TOLERATED_PORTS = {443, 6443}


def peer_of(workload: Doc) -> Peer:
    """A workload's pods."""
    return Peer(name_of(workload), pod_labels(workload))


def default_deny(documents: Documents) -> Iterator[str]:
    """Nothing in and nothing out, for every pod."""
    for one in documents.of("NetworkPolicy"):
        spec = one["spec"]
        opens = spec.get("ingress") or spec.get("egress")
        if spec["podSelector"] == {} and set(spec["policyTypes"]) == {"Ingress", "Egress"} and not opens:
            return
    yield "no NetworkPolicy denies everything that is not allowed"


def edges(documents: Documents) -> Iterator[str]:
    """Every connection is allowed at both ends, and no other one between any two of all there are."""
    needed = set(connections(documents))
    ours = [peer_of(one) for one in [*documents.processes(), *documents.jobs()]]
    peers = [*ours, *DATABASES.values(), BROKER, OPERATOR, MAILPIT, DNS, INGRESS, PROMETHEUS, COLLECTOR, KEDA, CNPG]
    peers += [STRIMZI, MAIL_SERVER, STRANGER, INTRUDER, WORLD, INSIDE, METADATA]
    policies = documents.of("NetworkPolicy")
    for source, target, port in product(peers, peers, PORTS):
        if source.elsewhere and target.elsewhere:
            continue
        open_ = allowed(policies, source, target, port)
        if (source, target, port) in needed:
            if not open_:
                yield f"{source.name} → {target.name}:{port} is needed, and not allowed"
        elif open_ and not tolerated(source, target, port):
            yield f"{source.name} → {target.name}:{port} is allowed, and nobody needs it"


def tolerated(source: Peer, target: Peer, port: int) -> bool:
    """What is open beyond need, and why is said at TOLERATED_PORTS."""
    if target is DNS and port == 53:
        return True
    if port in TOLERATED_PORTS:
        return source in DATABASES.values() or source is OPERATOR
    return source is KEDA and (target, port) in {(BROKER, 9093), (DATABASES["delivery"], 5432)}


def allowed(policies: list[Doc], source: Peer, target: Peer, port: int) -> bool:
    """Whether the policies let it out of the one and into the other, as the specification of NetworkPolicy says."""
    protocol = "UDP" if port == 53 else "TCP"
    out = _side(policies, source, "Egress", "egress", "to", target, port, protocol)
    return out and _side(policies, target, "Ingress", "ingress", "from", source, port, protocol)


def _side(
    policies: list[Doc], pod: Peer, kind: str, rules: str, ends: str, other: Peer, port: int, protocol: str
) -> bool:
    if pod.elsewhere:
        return True
    mine = [one["spec"] for one in policies if _selects(one["spec"]["podSelector"], pod) and kind in _types(one)]
    return not mine or any(
        (not rule.get(ends) or any(_is(peer, other) for peer in rule[ends]))
        and (not rule.get("ports") or {"port": port, "protocol": protocol} in rule["ports"])
        for spec in mine
        for rule in spec.get(rules) or []
    )


def _types(policy: Doc) -> list[str]:
    found: list[str] = policy["spec"]["policyTypes"]
    return found


def _selects(selector: Doc, pod: Peer) -> bool:
    return pod.labels is not None and matches(selector, dict(pod.labels))


def _is(rule: dict[str, Any], peer: Peer) -> bool:
    if block := rule.get("ipBlock"):
        if peer.address is None:
            return False
        address = ipaddress.ip_address(peer.address)
        return address in ipaddress.ip_network(block["cidr"]) and not any(
            address in ipaddress.ip_network(one) for one in block.get("except", [])
        )
    namespaces = rule.get("namespaceSelector")
    if namespaces is None:
        if peer.namespace != NAMESPACE:
            return False
    elif not matches(namespaces, {"kubernetes.io/metadata.name": peer.namespace}):
        return False
    return _selects(rule.get("podSelector") or {}, peer)


def listener(documents: Documents) -> Iterator[str]:
    """Strimzi makes a policy of its own for its listener: it names the same peers as ours."""
    kafka, ours = documents.named("Kafka", "barid"), documents.named("NetworkPolicy", "kafka")
    if kafka is None or ours is None:
        yield "there is no Kafka barid, or no policy for it"
        return
    for one in kafka["spec"]["kafka"]["listeners"]:
        wanted = [r["from"] for r in ours["spec"]["ingress"] if {"port": one["port"], "protocol": "TCP"} in r["ports"]]
        if [one.get("networkPolicyPeers")] != wanted:
            yield f"the listener {one['name']} lets in others than the policy kafka"


def ingress(documents: Documents) -> Iterator[str]:
    """One host; each path goes where barid.routing sends it, and nothing else goes anywhere."""
    found = documents.of("Ingress")
    rules = [rule for one in found for rule in one["spec"]["rules"]]
    if len(rules) != 1 or any("defaultBackend" in one["spec"] for one in found):
        yield f"{len(rules)} hosts, or a backend for whatever is left"
        return
    paths = rules[0]["http"]["paths"]
    for path in paths:
        backend = path["backend"]["service"]
        service = documents.named("Service", backend["name"])
        if service is None or backend["port"]["name"] not in {port["name"] for port in service["spec"]["ports"]}:
            yield f"{path['path']}: there is no Service {backend['name']} with that port"
    asked = [f"/v1/{name}{rest}" for names in RESOURCES.values() for name in names for rest in ("", "/1", "/1/2")]
    asked += [f"/{name}/x" for names in PUBLIC.values() for name in names] + [f"/{name}/token" for name in TRACKER]
    for path in [*asked, "/v1/openapi.json", *CLOSED]:
        service = "campaigns" if path == "/v1/openapi.json" else service_of(path)
        wanted = None if service is None else "delivery-tracker" if service == "tracker" else f"{service}-api"
        if routed(paths, path) != wanted:
            yield f"{path} goes to {routed(paths, path)}, not {wanted}"
    public = documents.environment(documents.processes()[0])["BARID_PUBLIC_URL"]
    host = rules[0]["host"]
    if public.partition("://")[2] != host:
        yield f"BARID_PUBLIC_URL is {public}, the host is {host}"
    secured = [name for one in found for tls in one["spec"].get("tls", []) for name in tls["hosts"]]
    if documents.overlay == "prod" and (secured != [host] or not public.startswith("https://")):
        yield f"{host} without TLS"


def routed(paths: list[Doc], asked: str) -> str | None:
    """The service a path goes to: an exact match, else the longest prefix, by path elements."""
    best: tuple[int, str] | None = None
    for one in paths:
        name: str = one["backend"]["service"]["name"]
        if one["pathType"] == "Exact" and one["path"] == asked:
            return name
        prefix = one["path"].rstrip("/")
        if one["pathType"] == "Prefix" and (asked == prefix or asked.startswith(f"{prefix}/")):
            best = max(best or (-1, ""), (len(prefix), name))
    return best[1] if best else None


CHECKS = (default_deny, edges, listener, ingress)
