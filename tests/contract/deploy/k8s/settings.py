"""Checks of what the workloads are: every process once, with its settings, its secrets and its image."""

import os
import re
from collections import Counter
from collections.abc import Iterator
from importlib import import_module
from unittest import mock

from barid.provision import SERVICES, VARIABLES
from common.consumer.process import chosen_of
from common.errors import Misconfigured
from common.health import NEEDS
from common.settings import load

from tests.contract.deploy.k8s.documents import Doc, Documents, container_of, files_of, labels, name_of, pod_of
from tests.contract.deploy.k8s.pods import known
from tests.contract.services import consumers_of
from tests.fixtures.inventory import processes, settings
from tools.k8s_secrets import documents as outside

IMAGE = re.compile(r"(?:[a-z0-9.:-]+/)*barid/(?P<name>[a-z]+):(?P<tag>[a-z0-9][a-z0-9._-]*)")
CA = ("barid-cluster-ca-cert", "ca.crt")
# Made by others: Strimzi (from each KafkaUser), cert-manager, whoever owns the bucket.
ELSEWHERE = {"barid-tls": {"tls.crt", "tls.key"}, "barid-backups": {"access_key_id", "secret_access_key"}}
TOKENS = {"barid_token_keys", "barid_link_keys"}
# Beyond what every API needs.
OWN_KEYS = {
    "contacts-api": {"barid_pepper", "barid_sealing_keys"},
    "campaigns-api": {"barid_token_signing_key"},
    "delivery-api": {"barid_pepper", "barid_sealing_keys"},
    "delivery-worker": {"barid_pepper"},
    "delivery-mailer": {"barid_link_keys", "barid_sealing_keys", "barid_smtp_url"},
    "delivery-inbound": {
        "barid_link_keys",
        "barid_smtp_url",
        "barid_inbox_url",
        "barid_pepper",
        "barid_sealing_keys",
    },
    "delivery-tracker": {"barid_link_keys"},
}


def inventory(documents: Documents) -> Iterator[str]:
    """Every process of the code is one workload; a worker may be several, which share its consumers."""
    found = Counter((process.service, process.command) for _, process in known(documents))
    for process in processes():
        many = found[(process.service, process.command)]
        if not many or (many > 1 and process.command != "worker"):
            yield f"{process.service} {process.command}: {many} Deployments"
    for one in documents.processes():
        args = container_of(one).get("args") or [""]
        if one not in [workload for workload, _ in known(documents)]:
            yield f"{name_of(one)}: {args} is no process of {labels(one)['barid.dev/service']}"
        if args[0] != "worker" and len(args) > 1:
            yield f"{name_of(one)}: {args[0]} takes no {args[1:]}"
    for service in SERVICES:
        consumers = consumers_of(service)
        run = Counter(name for one in workers(documents, service) for name in consumed(one))
        for consumer in consumers:
            if run[consumer.name] != 1:
                yield f"{consumer.name}: consumed by {run[consumer.name]} workloads"
    jobs = {name_of(job): (container_of(job)["args"], image_of(job)) for job in documents.jobs()}
    wanted = {f"{service}-migrate": (["migrate"], service) for service in SERVICES}
    wanted["topics-apply"] = (["topics", "apply"], "cli")
    if jobs != wanted:
        yield f"the release's Jobs are {sorted(jobs)}, or do something else"


def workers(documents: Documents, service: str) -> list[Doc]:
    """A service's worker Deployments."""
    return [one for one, process in known(documents) if (process.service, process.command) == (service, "worker")]


def consumed(worker: Doc) -> list[str]:
    """The consumers that a worker runs; none when its --only is wrong."""
    args = container_of(worker)["args"]
    only = args[args.index("--only") + 1] if "--only" in args else None
    try:
        return [one.name for one in chosen_of(consumers_of(labels(worker)["barid.dev/service"]), only)]
    except Misconfigured:
        return []


def environment(documents: Documents) -> Iterator[str]:
    """Only settings that are read; each with a value that the service takes; never a secret."""
    readable = settings()
    secret = {path for one in documents.workloads() for _, _, path in files_of(one)}
    for one in [*documents.processes(), *documents.jobs()]:
        given = documents.environment(one)
        for variable in given.keys() - readable:
            yield f"{name_of(one)}: {variable} is no setting"
        for variable in given:
            if variable.lower() in secret:
                yield f"{name_of(one)}: {variable} is a secret, and in its environment"
        for variable in container_of(one).get("env", []):
            if "secretKeyRef" in (variable.get("valueFrom") or {}):
                yield f"{name_of(one)}: {variable['name']} comes from a Secret, and not as a file"
        if given.get("BARID_SECRETS_DIR") not in {m["mountPath"] for m in container_of(one)["volumeMounts"]}:
            yield f"{name_of(one)}: its secrets are not where BARID_SECRETS_DIR says"
        if given.get("BARID_INSTANCE"):
            yield f"{name_of(one)}: BARID_INSTANCE makes a static member, and pods' names change (docs/adr/0015)"
    # Campaigns, which has no keys, is told of the same domains as the mailers, which check them.
    if len(told := {documents.environment(one).get("BARID_DKIM_DOMAINS") for one in documents.processes()}) != 1:
        yield f"BARID_DKIM_DOMAINS is not the same for all: {told}"
    for one, process in known(documents):
        given = documents.environment(one) | values(one)
        given.pop("BARID_SECRETS_DIR", None)
        with mock.patch.dict(os.environ, given, clear=True):
            try:
                load(import_module(f"{process.service}.settings").Settings)
            except Misconfigured as error:
                yield f"{name_of(one)}: {error.message}"
        for name, value in {
            "BARID_ENV": "production",
            "BARID_BUS": "kafka",
            "BARID_KAFKA_SECURITY": "SASL_SSL",
        }.items():
            if given.get(name) != value:
                yield f"{name_of(one)}: {name} is {given.get(name)}"
    for one in documents.jobs():
        for name, value in documents.environment(one).items():
            told = {documents.environment(other).get(name, value) for other in documents.processes()}
            if told != {value} and name != "BARID_KAFKA_USERNAME":
                yield f"{name_of(one)}: {name} is {value}, and {told} elsewhere"
        for variable in container_of(one).get("env", []):
            reference = (variable.get("valueFrom") or {}).get("configMapKeyRef")
            if reference and not documents.environment(one).get(variable["name"]):
                yield f"{name_of(one)}: {reference['name']} has no {reference['key']}"


def values(workload: Doc) -> dict[str, str]:
    """What the files of a workload say, where its Secrets are as tools/k8s_secrets.py makes them."""
    made = {one["metadata"]["name"]: one["stringData"] for one in outside()}
    return {
        path.upper(): made.get(name, {}).get(key, "given by the operator") for name, key, path in files_of(workload)
    }


def secrets(documents: Documents) -> Iterator[str]:
    """Each process has the secrets it needs, from Secrets that there are, and no others."""
    there = {one["metadata"]["name"]: set(one["stringData"]) for one in outside()} | ELSEWHERE
    there |= {user["metadata"]["name"]: {"password"} for user in documents.of("KafkaUser")}
    there[CA[0]] = {CA[1]}
    for one in [*documents.processes(), *documents.jobs()]:
        files = files_of(one)
        for name, key, _ in files:
            if key not in there.get(name, set()):
                yield f"{name_of(one)}: there is no Secret {name} with {key}"
        have = {path for _, _, path in files}
        needed = needs(one)
        if have != needed:
            yield f"{name_of(one)}: has {sorted(have - needed)} too many, lacks {sorted(needed - have)}"
        if "barid_kafka_password" in needed:
            user = documents.environment(one).get("BARID_KAFKA_USERNAME")
            if (user, "password", "barid_kafka_password") not in files or user != name_of(one):
                yield f"{name_of(one)}: signs in at the broker as {user}, with another's password or name"
    for name, secret in references(documents):
        if secret not in there:
            yield f"{name}: there is no Secret {secret}"
    if documents.of("Secret"):
        yield "a Secret is in the manifests"


def references(documents: Documents) -> Iterator[tuple[str, str]]:
    """(document, Secret) for the custom resources and the Ingress."""
    for one in documents.of("Cluster"):
        yield name_of(one), one["spec"]["bootstrap"]["initdb"]["secret"]["name"]
        for role in one["spec"]["managed"]["roles"]:
            yield name_of(one), role["passwordSecret"]["name"]
    for one in documents.of("TriggerAuthentication"):
        for reference in one["spec"]["secretTargetRef"]:
            yield name_of(one), reference["name"]
    for one in documents.of("ObjectStore"):
        for reference in one["spec"]["configuration"]["s3Credentials"].values():
            yield name_of(one), reference["name"]
    for one in documents.of("Ingress"):
        for tls in one["spec"].get("tls", []):
            yield name_of(one), tls["secretName"]


def needs(workload: Doc) -> set[str]:
    """The files that a process needs: by its role at the database, the bus, and its keys."""
    service, command = labels(workload).get("barid.dev/service"), container_of(workload)["args"][0]
    if service is None:
        return {"barid_kafka_password", "kafka_ca.crt"}
    role = {"migrate": "owner", "api": "api", "tracker": "api"}.get(command, "worker")
    found = {VARIABLES[f"{service}_{role}"].lower()}
    if "bus" in NEEDS.get(command, ()):
        found |= {"barid_kafka_password", "kafka_ca.crt"}
    return found | (TOKENS if command == "api" else set()) | OWN_KEYS.get(name_of(workload), set())


def image_of(workload: Doc) -> str | None:
    """Which of our images it runs."""
    match = IMAGE.fullmatch(container_of(workload)["image"])
    return match["name"] if match else None


def images(documents: Documents) -> Iterator[str]:
    """Each process runs its service's image, all of one release."""
    release = next(one["data"]["version"] for one in documents.of("ConfigMap") if is_named(one, "barid-release"))
    for one in documents.workloads():
        image = container_of(one)["image"]
        if len(pod_of(one)["containers"]) != 1:
            yield f"{name_of(one)}: more than one container"
        if one not in documents.processes() and one not in documents.jobs():
            if ":" not in image or image.endswith(":latest"):
                yield f"{name_of(one)}: the image {image} has no version"
            continue
        match = IMAGE.fullmatch(image)
        if match is None or match["name"] != labels(one).get("barid.dev/service", "cli"):
            yield f"{name_of(one)}: runs {image}"
        elif match["tag"] != release:
            yield f"{name_of(one)}: runs {match['tag']}, the release is {release}"


def is_named(config: Doc, name: str) -> bool:
    """Whether a ConfigMap is that one, with its hash."""
    return re.fullmatch(rf"{name}-[a-z0-9]{{10}}", config["metadata"]["name"]) is not None


def configs(documents: Documents) -> Iterator[str]:
    """ConfigMaps that pods read have a hash in their name, and are there; so have the names of the release's Jobs."""
    for one in documents.workloads():
        container = container_of(one)
        names = [source["configMapRef"]["name"] for source in container.get("envFrom", [])]
        names += [
            variable["valueFrom"]["configMapKeyRef"]["name"]
            for variable in container.get("env", [])
            if "configMapKeyRef" in (variable.get("valueFrom") or {})
        ]
        for name in names:
            if documents.named("ConfigMap", name) is None or not re.search(r"-[a-z0-9]{10}$", name):
                yield f"{name_of(one)}: reads the ConfigMap {name}, which is not there or has no hash"
    for job in documents.jobs():
        config = documents.named("ConfigMap", job["metadata"]["name"])
        if config is None or not is_named(config, name_of(job)):
            yield f"{name_of(job)}: its name does not change with the release ({job['metadata']['name']})"


def jobs(documents: Documents) -> Iterator[str]:
    """The release's Jobs are tried again, end, go away, and come before the processes where somebody orders."""
    for job in documents.jobs():
        spec = job["spec"]
        if pod_of(job).get("restartPolicy") != "Never" or spec.get("backoffLimit", 0) < 3:
            yield f"{name_of(job)}: is not tried again"
        for field in ("activeDeadlineSeconds", "ttlSecondsAfterFinished"):
            if not spec.get(field):
                yield f"{name_of(job)}: no {field}"
        if job["metadata"].get("annotations", {}).get("argocd.argoproj.io/sync-wave") != "-1":
            yield f"{name_of(job)}: does not come before the processes"


def namespaces(documents: Documents) -> Iterator[str]:
    """Everything is in the one namespace, and named once."""
    seen: Counter[tuple[str, str]] = Counter()
    for one in documents.all:
        seen[(one["kind"], one["metadata"]["name"])] += 1
        if one["kind"] != "Namespace" and one["metadata"].get("namespace") != "barid":
            yield f"{one['kind']} {name_of(one)}: in the namespace {one['metadata'].get('namespace')}"
    yield from (f"{kind} {name}: {many} times" for (kind, name), many in seen.items() if many > 1)


CHECKS = (inventory, environment, secrets, images, configs, jobs, namespaces)
