"""Checks of pods: who they are, what they may, how they are watched and how they end."""

import re
from collections import Counter
from collections.abc import Iterator

from common.settings import SharedSettings
from common.web.server import DRAIN_S
from delivery.settings import Settings as DeliverySettings

from tests.contract.deploy.k8s.documents import (
    Doc,
    Documents,
    container_of,
    labels,
    matches,
    name_of,
    pod_labels,
    pod_of,
)
from tests.fixtures.inventory import Process, processes

GRACE_S = SharedSettings.model_fields["grace_s"].default
_LEAST_AFTER_GRACE_S = 3  # a process is cancelled after its grace, which takes it 2 s at most


def selectors(documents: Documents) -> Iterator[str]:
    """A Deployment's selector takes its own pods, and no other workload's."""
    for one in documents.of("Deployment"):
        selector = one["spec"]["selector"]
        taken = [name_of(other) for other in documents.workloads() if matches(selector, pod_labels(other))]
        if taken != [name_of(one)]:
            yield f"{name_of(one)}: its selector takes the pods of {taken or 'nobody'}"
    for one in documents.of("Service"):
        selector = {"matchLabels": one["spec"]["selector"]}
        taken = [other for other in documents.of("Deployment") if matches(selector, pod_labels(other))]
        if len(taken) != 1:
            yield f"Service {name_of(one)}: takes the pods of {len(taken)} workloads"
            continue
        ports = {port["name"] for port in container_of(taken[0])["ports"]}
        for port in one["spec"]["ports"]:
            if port["targetPort"] not in ports:
                yield f"Service {name_of(one)}: {name_of(taken[0])} has no port {port['targetPort']}"


def restricted(documents: Documents) -> Iterator[str]:
    """The `restricted` profile of Pod Security, field by field, and a root that is read-only."""
    for one in documents.workloads():
        pod, name = pod_of(one), name_of(one)
        yield from _wrong(name, pod.get("securityContext") or {}, {"runAsNonRoot": True}, ("runAsUser", "runAsGroup"))
        if (pod.get("securityContext") or {}).get("seccompProfile") != {"type": "RuntimeDefault"}:
            yield f"{name}: seccompProfile is not RuntimeDefault"
        if any(pod.get(field) for field in ("hostNetwork", "hostPID", "hostIPC")):
            yield f"{name}: shares a namespace of its host"
        for volume in pod.get("volumes", []):
            if not volume.keys() & {"emptyDir", "projected", "configMap", "secret", "persistentVolumeClaim"}:
                yield f"{name}: a volume of a kind that is not allowed: {volume}"
        for container in [*pod["containers"], *pod.get("initContainers", [])]:
            context = container.get("securityContext") or {}
            wanted = {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            yield from _wrong(name, context, wanted)
            if context.get("privileged") or "hostPort" in str(container.get("ports")):
                yield f"{name}: privileged, or a port of its host"
    namespace = documents.of("Namespace")
    level = labels(namespace[0]).get("pod-security.kubernetes.io/enforce") if namespace else None
    if level != "restricted":
        yield f"the namespace enforces {level}, not restricted"


def _wrong(name: str, context: Doc, wanted: Doc, present: tuple[str, ...] = ()) -> Iterator[str]:
    for field, value in wanted.items():
        if context.get(field) != value:
            yield f"{name}: {field} is {context.get(field)}"
    for field in present:
        if not context.get(field):
            yield f"{name}: {field} is not set, or root's"


def accounts(documents: Documents) -> Iterator[str]:
    """Each workload has an account of its own, without a token and without rights."""
    used = Counter(pod_of(one).get("serviceAccountName") for one in documents.workloads())
    for one in documents.workloads():
        account = pod_of(one).get("serviceAccountName")
        there = documents.named("ServiceAccount", account or "")
        if there is None or used[account] > 1:
            yield f"{name_of(one)}: no ServiceAccount of its own ({account})"
        elif there.get("automountServiceAccountToken") is not False:
            yield f"{name_of(one)}: its ServiceAccount mounts a token"
        if pod_of(one).get("automountServiceAccountToken") is not False:
            yield f"{name_of(one)}: mounts a token"
    if documents.of("Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding"):
        yield "somebody is given rights in the cluster"


def probes(documents: Documents) -> Iterator[str]:
    """Startup and liveness ask /healthz, which looks at nothing else, readiness asks /readyz: at a port there is."""
    for one in documents.of("Deployment"):
        container, name = container_of(one), name_of(one)
        ports = {port["name"] for port in container.get("ports", [])}
        ours = one in documents.processes()
        for probe, path in (("startupProbe", "/healthz"), ("readinessProbe", "/readyz"), ("livenessProbe", "/healthz")):
            asked = (container.get(probe) or {}).get("httpGet")
            if asked is None:
                yield f"{name}: no {probe}"
                continue
            if ours and asked["path"] != path:
                yield f"{name}: {probe} asks {asked['path']}, not {path}"
            if asked["port"] not in ports:
                yield f"{name}: {probe} asks port {asked['port']}, which it has not"
        alive, ready = container.get("livenessProbe") or {}, container.get("readinessProbe") or {}
        if ours and alive.get("failureThreshold", 3) * alive.get("periodSeconds", 10) < 30:
            yield f"{name}: is killed after less than 30 s without an answer"
        start = container.get("startupProbe") or {}
        patience = start.get("failureThreshold", 3) * start.get("periodSeconds", 10)
        if ours and patience <= float(documents.environment(one).get("BARID_START_WAIT_S", 0)):
            yield f"{name}: is killed after {patience} s, while it still waits for its schema"
        if ours and ready.get("timeoutSeconds", 1) < 3:
            yield f"{name}: readiness is given up before /readyz answers, which takes it 2 s at most"


def ports(documents: Documents) -> Iterator[str]:
    """The port of the container is the one that the process is told to listen on, on every address of the pod."""
    for one, process in known(documents):
        environment = documents.environment(one)
        told = environment.get(process.port_setting)
        host = environment.get(process.port_setting.replace("_PORT", "_HOST"))
        have = [str(port["containerPort"]) for port in container_of(one).get("ports", []) if port["name"] == "http"]
        if have != [told]:
            yield f"{name_of(one)}: port http is {have}, {process.port_setting} says {told}"
        if host != "0.0.0.0":
            yield f"{name_of(one)}: listens on {host}"


def resources(documents: Documents) -> Iterator[str]:
    """Requests of CPU and memory, a limit of memory; what is written has a limit too."""
    for one in documents.workloads():
        given = container_of(one).get("resources") or {}
        for part, names in (("requests", ("cpu", "memory")), ("limits", ("memory", "ephemeral-storage"))):
            for name in names:
                if not (given.get(part) or {}).get(name):
                    yield f"{name_of(one)}: no {part} of {name}"
        for volume in pod_of(one).get("volumes", []):
            if "emptyDir" in volume and not volume["emptyDir"].get("sizeLimit"):
                yield f"{name_of(one)}: the volume {volume['name']} has no limit"


def volumes(documents: Documents) -> Iterator[str]:
    """Every mount has its volume, every volume its mount; /tmp is the one place to write."""
    for one in documents.workloads():
        mounts = container_of(one).get("volumeMounts", [])
        there = [volume["name"] for volume in pod_of(one).get("volumes", [])]
        if sorted(mount["name"] for mount in mounts) != sorted(there):
            yield f"{name_of(one)}: mounts {[mount['name'] for mount in mounts]}, has {there}"
        for mount in mounts:
            if mount["mountPath"] != "/tmp" and not mount.get("readOnly"):
                yield f"{name_of(one)}: {mount['mountPath']} can be written"


def ending(documents: Documents) -> Iterator[str]:
    """A process has its whole grace before it is killed; who serves goes on until nobody is sent there any more."""
    for one, process in known(documents):
        environment = documents.environment(one)
        pre_stop = ((container_of(one).get("lifecycle") or {}).get("preStop") or {}).get("sleep", {}).get("seconds", 0)
        grace = float(environment.get("BARID_GRACE_S", GRACE_S))
        killed = pod_of(one).get("terminationGracePeriodSeconds", 30)
        if killed < pre_stop + grace + _LEAST_AFTER_GRACE_S:
            yield f"{name_of(one)}: killed after {killed} s; preStop {pre_stop} s and its grace {grace:.0f} s are more"
        if process.http and not 5 <= pre_stop <= 30:
            yield f"{name_of(one)}: serves requests, and waits {pre_stop} s before it stops"
        if process.http and grace <= DRAIN_S:
            yield f"{name_of(one)}: cannot drain its requests in {grace:.0f} s"
        if process.command == "mailer":
            default = DeliverySettings.model_fields["smtp_dot_timeout_s"].default
            wait = float(environment.get("BARID_SMTP_DOT_TIMEOUT_S", default))
            if grace <= wait:
                yield f"{name_of(one)}: waits {wait:.0f} s after the dot, and has {grace:.0f} s to end"


def updates(documents: Documents) -> Iterator[str]:
    """A roll-out takes no API away, and no more than one relay."""
    for one, process in known(documents):
        strategy = one["spec"].get("strategy", {})
        rolling = strategy.get("rollingUpdate") or {}
        most = 1 if process.command in {"relay", "mailer"} else 0
        if strategy.get("type") != "RollingUpdate" or rolling.get("maxUnavailable", "25%") not in range(most + 1):
            yield f"{name_of(one)}: a roll-out may take {rolling.get('maxUnavailable', '25%')} pods away"
        if rolling.get("maxUnavailable") == 0 and rolling.get("maxSurge") == 0:
            yield f"{name_of(one)}: a roll-out cannot begin"


def spread(documents: Documents) -> Iterator[str]:
    """Pods of a workload go to different zones and nodes, counted among themselves."""
    for one in documents.processes():
        constraints = pod_of(one).get("topologySpreadConstraints", [])
        keys = {constraint["topologyKey"] for constraint in constraints}
        for key in {"topology.kubernetes.io/zone", "kubernetes.io/hostname"} - keys:
            yield f"{name_of(one)}: not spread over {key}"
        for constraint in constraints:
            if not matches(constraint["labelSelector"], pod_labels(one)):
                yield f"{name_of(one)}: the spread does not count its own pods"
            if "app.kubernetes.io/name" not in constraint.get("matchLabelKeys", []):
                yield f"{name_of(one)}: the spread counts other workloads' pods"


def scraped(documents: Documents) -> Iterator[str]:
    """In production Prometheus reads every process, with the labels that rules and dashboards ask for."""
    if documents.overlay != "prod":
        return
    monitors = documents.of("PodMonitor")
    for one, process in known(documents):
        given = pod_labels(one)
        mine = [m["spec"] for m in monitors if matches(m["spec"]["selector"], given)]
        if len(mine) != 1:
            yield f"{name_of(one)}: scraped by {len(mine)} PodMonitors"
            continue
        (spec,) = mine
        (endpoint,) = spec["podMetricsEndpoints"]
        found = {"job": given.get(spec["jobLabel"])}
        for rule in endpoint["relabelings"]:
            source = {re.sub(r"[^a-z0-9_]", "_", f"__meta_kubernetes_pod_label_{k}"): v for k, v in given.items()}
            found[rule["targetLabel"]] = source.get(rule["sourceLabels"][0])
        if found != {"job": "barid", "service": process.service, "process": process.command}:
            yield f"{name_of(one)}: scraped as {found}"
        if endpoint["port"] not in {port["name"] for port in container_of(one)["ports"]}:
            yield f"{name_of(one)}: scraped at the port {endpoint['port']}, which it has not"


def known(documents: Documents) -> Iterator[tuple[Doc, Process]]:
    """The workloads that are a process of the inventory, with it."""
    by_command = {(process.service, process.command): process for process in processes()}
    for one in documents.processes():
        command = (container_of(one).get("args") or [None])[0]
        process = by_command.get((labels(one)["barid.dev/service"], command))
        if process is not None:
            yield one, process


CHECKS = (
    selectors,
    restricted,
    accounts,
    probes,
    ports,
    resources,
    volumes,
    ending,
    updates,
    spread,
    scraped,
)
