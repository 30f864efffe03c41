"""Checks of how many pods there are: budgets, replicas by need, and what bounds them."""

from collections.abc import Iterator

from common.bus.kafka import groups_of
from common.contracts.topics import BY_NAME, TOPICS
from delivery.settings import Settings as DeliverySettings

from tests.contract.deploy.k8s.documents import Doc, Documents, matches, name_of, pod_labels
from tests.contract.deploy.k8s.pods import known
from tests.contract.deploy.k8s.settings import consumed, workers
from tools.crds import Published

COOLDOWN_S = 300
CONNECTIONS_CAP = "barid.dev/smtp-connections-cap"


def budgets(documents: Documents) -> Iterator[str]:
    """Every process has a budget, which always lets one pod go."""
    for one in documents.processes():
        mine = [b for b in documents.of("PodDisruptionBudget") if matches(b["spec"]["selector"], pod_labels(one))]
        if len(mine) != 1:
            yield f"{name_of(one)}: {len(mine)} PodDisruptionBudgets"
            continue
        spec = mine[0]["spec"]
        if spec.get("maxUnavailable") != 1 and not 0 < spec.get("minAvailable", 0) < least(documents, one):
            yield f"{name_of(one)}: its PodDisruptionBudget lets no pod go: {spec}"
    for budget in documents.of("PodDisruptionBudget"):
        if not any(matches(budget["spec"]["selector"], pod_labels(one)) for one in documents.workloads()):
            yield f"PodDisruptionBudget {name_of(budget)}: for nobody"


def least(documents: Documents, workload: Doc) -> int:
    """The fewest pods that a workload has."""
    for scaler in scalers(documents):
        if target(scaler) == name_of(workload):
            found: int = scaler["spec"].get("minReplicas", scaler["spec"].get("minReplicaCount", 0))
            return found
    replicas: int = workload["spec"].get("replicas", 1)
    return replicas


def scalers(documents: Documents) -> list[Doc]:
    """HPAs and ScaledObjects."""
    return documents.of("HorizontalPodAutoscaler", "ScaledObject")


def target(scaler: Doc) -> str:
    """What it scales."""
    name: str = scaler["spec"]["scaleTargetRef"]["name"]
    return name


def targets(documents: Documents) -> Iterator[str]:
    """A workload has one scaler or a number of replicas, never both; in production, one where its need changes."""
    seen: set[str] = set()
    for scaler in scalers(documents):
        name, spec = target(scaler), scaler["spec"]
        workload = documents.named("Deployment", name)
        if workload is None:
            yield f"{name_of(scaler)}: there is no Deployment {name}"
        elif "replicas" in workload["spec"]:
            yield f"{name}: scaled, and has a number of replicas, which each deployment would set back"
        if name in seen:
            yield f"{name}: scaled by two"
        seen.add(name)
        fewest = spec.get("minReplicas", spec.get("minReplicaCount", 0))
        most = spec.get("maxReplicas", spec.get("maxReplicaCount", 100))
        if not 1 <= fewest <= most:
            yield f"{name}: between {fewest} and {most} replicas"
    if documents.overlay == "prod":
        for one, process in known(documents):
            by_need = process.http or process.command in {"worker", "mailer"}
            kind = {"HorizontalPodAutoscaler"} if process.http else {"ScaledObject"}
            mine = {scaler["kind"] for scaler in scalers(documents) if target(scaler) == name_of(one)}
            if mine != (kind if by_need else set()):
                yield f"{name_of(one)}: scaled by {mine or 'nobody'}"
            if (process.http or process.command == "relay") and least(documents, one) < 2:
                yield f"{name_of(one)}: a single pod in production"


def lag(documents: Documents) -> Iterator[str]:
    """Workers by the lag of all their groups at the broker, as far as partitions go and persistent lag left out."""
    for scaler in documents.of("ScaledObject"):
        name = name_of(scaler)
        behaviour = scaler["spec"].get("advanced", {}).get("horizontalPodAutoscalerConfig", {}).get("behavior", {})
        window = behaviour.get("scaleDown", {}).get("stabilizationWindowSeconds", 0)
        if min(scaler["spec"].get("cooldownPeriod", 0), window) < COOLDOWN_S:
            yield f"{name}: goes down after less than {COOLDOWN_S} s"
        for trigger in of_type(scaler, "kafka"):
            metadata = trigger["metadata"]
            for field, value in {"excludePersistentLag": "true", "allowIdleConsumers": "false"}.items():
                if metadata.get(field) != value:
                    yield f"{name}: {field} is {metadata.get(field)}"
            known_groups = all_groups()
            if metadata["consumerGroup"] not in known_groups:
                yield f"{name}: nobody consumes as {metadata['consumerGroup']}"
            if (topic := metadata.get("topic")) and topic not in BY_NAME:
                yield f"{name}: nobody declares the topic {topic}"
            if not metadata["bootstrapServers"].startswith(f"{bootstrap(documents)}.barid.svc:"):
                yield f"{name}: asks {metadata['bootstrapServers']}, which is not where the processes go"
    if not documents.of("ScaledObject"):
        return
    for service in ("contacts", "campaigns", "delivery", "analytics"):
        for worker in workers(documents, service):
            scaler = documents.named("ScaledObject", name_of(worker))
            watched = {t["metadata"]["consumerGroup"] for t in of_type(scaler, "kafka")} if scaler else set()
            mine = {
                group: topics
                for consumer in consumed(worker)
                for group, topics in groups_of(consumer, read_by(consumer)).items()
            }
            # Revocations are few, and in one partition: no second pod would help.
            wanted = {group for group in mine if not group.startswith(f"{service}.access")}
            if watched != wanted:
                yield f"{name_of(worker)}: scaled by the lag of {sorted(watched)}, it reads {sorted(wanted)}"
            most = max(BY_NAME[topic].partitions for topics in mine.values() for topic in topics)
            if scaler and scaler["spec"]["maxReplicaCount"] > most:
                yield f"{name_of(worker)}: {scaler['spec']['maxReplicaCount']} pods cannot share {most} partitions"


def of_type(scaler: Doc, kind: str) -> list[Doc]:
    """A ScaledObject's triggers of a type."""
    return [trigger for trigger in scaler["spec"]["triggers"] if trigger["type"] == kind]


def read_by(consumer: str) -> list[str]:
    """The topics of a consumer, by the contracts."""
    return [topic.name for topic in TOPICS if consumer in topic.consumers]


def all_groups() -> set[str]:
    """Every group at the broker."""
    consumers = {consumer for topic in TOPICS for consumer in topic.consumers}
    return {group for consumer in consumers for group in groups_of(consumer, read_by(consumer))}


def bootstrap(documents: Documents) -> str:
    """The host of the brokers that the processes are told."""
    return documents.environment(documents.processes()[0])["BARID_KAFKA_BOOTSTRAP"].partition(":")[0]


def caps(documents: Documents) -> Iterator[str]:
    """Mailers open no more connections than the way out allows, also while they are rolled out."""
    for one, process in known(documents):
        scaler = documents.named("ScaledObject", name_of(one))
        if process.command != "mailer" or scaler is None:
            continue
        default = DeliverySettings.model_fields["smtp_connections"].default
        connections = int(documents.environment(one).get("BARID_SMTP_CONNECTIONS", default))
        cap = int(scaler["metadata"].get("annotations", {}).get(CONNECTIONS_CAP, 0))
        surge = one["spec"]["strategy"]["rollingUpdate"]["maxSurge"]
        most = (scaler["spec"]["maxReplicaCount"] + surge) * connections
        if most > cap:
            yield f"{name_of(one)}: up to {most} connections, the way out allows {cap}"
        if [trigger["type"] for trigger in scaler["spec"]["triggers"]] != ["postgresql"]:
            yield f"{name_of(one)}: not scaled by the ledger"


def triggers(documents: Documents, published: Published) -> Iterator[str]:
    """A trigger's parameters are those of the published scaler, with what it asks for."""
    for scaler in documents.of("ScaledObject"):
        for trigger in scaler["spec"]["triggers"]:
            parameters = {one["name"]: one for one in published.scalers.get(trigger["type"], [])}
            for name, value in trigger["metadata"].items():
                parameter = parameters.get(name, {})
                if not parameter.get("metadataVariableReadable"):
                    yield f"{name_of(scaler)}: {trigger['type']} has no parameter {name}"
                elif value not in parameter.get("allowedValue", [value]):
                    yield f"{name_of(scaler)}: {name} of {trigger['type']} cannot be {value}"
            authentication = documents.named("TriggerAuthentication", trigger["authenticationRef"]["name"])
            if authentication is None:
                yield f"{name_of(scaler)}: there is no TriggerAuthentication {trigger['authenticationRef']['name']}"
                continue
            spec = authentication["spec"]
            given = [*spec.get("secretTargetRef", []), *spec.get("configMapTargetRef", [])]
            for one in given:
                if not parameters.get(one["parameter"], {}).get("triggerAuthenticationVariableReadable"):
                    yield f"{name_of(authentication)}: {trigger['type']} takes no {one['parameter']} from there"
            have = trigger["metadata"].keys() | {one["parameter"] for one in given}
            for name, one in parameters.items():
                if not one.get("optional") and "default" not in one and name not in have:
                    yield f"{name_of(scaler)}: {trigger['type']} needs {name}"


CHECKS = (budgets, targets, lag, caps)
