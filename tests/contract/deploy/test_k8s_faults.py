"""A fault planted in the rendered manifests is found by the check that is there for it."""

import pytest

from tests.contract.deploy.k8s import data, network, pods, scaling, schemas, settings
from tests.contract.deploy.k8s.documents import Check, documents, pod_of
from tests.contract.deploy.k8s.spoil import (
    Spoil,
    acl,
    backend,
    config,
    deployment,
    env,
    gone,
    inside,
    more,
    one,
    published_triggers,
    trigger,
)

# The schemas are fetched and made once per machine, in about a minute (`make k8s-schemas`).
pytestmark = pytest.mark.timeout(600)

TOPIC = {"apiVersion": "kafka.strimzi.io/v1", "kind": "KafkaTopic", "metadata": {"name": "lead.made-up"}, "spec": {}}
FAULTS: dict[str, tuple[Check, Spoil]] = {
    # The pod
    "a dropped probe": (pods.probes, inside("contacts-worker", lambda c: c.pop("livenessProbe"))),
    "no startup probe": (pods.probes, inside("delivery-mailer", lambda c: c.pop("startupProbe"))),
    "liveness that looks at the database": (
        pods.probes,
        inside("contacts-api", lambda c: c["livenessProbe"]["httpGet"].update(path="/readyz")),
    ),
    "a probe of a port that is not there": (
        pods.probes,
        inside("contacts-api", lambda c: c["readinessProbe"]["httpGet"].update(port="web")),
    ),
    "a start that is cut off": (pods.probes, config("BARID_START_WAIT_S", "600")),
    "a wrong port": (pods.ports, inside("delivery-tracker", lambda c: c["ports"][0].update(containerPort=8090))),
    "another port in the settings": (pods.ports, config("BARID_HEALTH_PORT", "9000")),
    "a process that listens to itself": (pods.ports, config("CONTACTS_HOST", "127.0.0.1")),
    "a Service for a port that is not there": (
        pods.selectors,
        one("Service", "contacts-api", lambda s: s["spec"]["ports"][0].update(targetPort="web")),
    ),
    "a selector of other labels": (
        pods.selectors,
        deployment("contacts-api", lambda d: d["spec"]["template"]["metadata"]["labels"].pop("app.kubernetes.io/name")),
    ),
    "a selector that takes another's pods": (
        pods.selectors,
        deployment(
            "contacts-api", lambda d: d["spec"].update(selector={"matchLabels": {"barid.dev/service": "contacts"}})
        ),
    ),
    "root": (pods.restricted, deployment("delivery-jobs", lambda d: pod_of(d)["securityContext"].pop("runAsNonRoot"))),
    "a root that can be written": (
        pods.restricted,
        inside("analytics-api", lambda c: c["securityContext"].update(readOnlyRootFilesystem=False)),
    ),
    "a capability": (
        pods.restricted,
        inside("contacts-migrate", lambda c: c["securityContext"]["capabilities"].update(add=["NET_ADMIN"]), "Job"),
    ),
    "a namespace that allows more": (
        pods.restricted,
        one(
            "Namespace",
            "barid",
            lambda n: n["metadata"]["labels"].update({"pod-security.kubernetes.io/enforce": "baseline"}),
        ),
    ),
    "an account shared": (
        pods.accounts,
        deployment("contacts-jobs", lambda d: pod_of(d).update(serviceAccountName="contacts-api")),
    ),
    "a token mounted": (
        pods.accounts,
        deployment("contacts-jobs", lambda d: pod_of(d).update(automountServiceAccountToken=True)),
    ),
    "no limit of memory": (pods.resources, inside("contacts-api", lambda c: c["resources"]["limits"].pop("memory"))),
    "no request": (pods.resources, inside("analytics-scoring", lambda c: c["resources"].pop("requests"))),
    "a mount without a volume": (
        pods.volumes,
        inside("contacts-api", lambda c: c["volumeMounts"].append({"name": "data", "mountPath": "/data"})),
    ),
    "a mailer killed while it waits": (
        pods.ending,
        deployment("delivery-mailer", lambda d: pod_of(d).update(terminationGracePeriodSeconds=30)),
    ),
    "a mailer that ends before the answer": (pods.ending, inside("delivery-mailer", env("BARID_GRACE_S", "25"))),
    "a longer wait than the grace": (pods.ending, inside("delivery-mailer", env("BARID_SMTP_DOT_TIMEOUT_S", "900"))),
    "an API that stops at once": (pods.ending, inside("campaigns-api", lambda c: c.pop("lifecycle"))),
    "an API taken away by its roll-out": (
        pods.updates,
        deployment("contacts-api", lambda d: d["spec"]["strategy"]["rollingUpdate"].update(maxUnavailable=1)),
    ),
    "all pods on one node": (
        pods.spread,
        deployment("contacts-api", lambda d: pod_of(d)["topologySpreadConstraints"].pop()),
    ),
    "metrics at a port that is not there": (
        pods.scraped,
        one("PodMonitor", "barid", lambda m: m["spec"]["podMetricsEndpoints"][0].update(port="metrics")),
    ),
    "a process that nobody scrapes": (
        pods.scraped,
        deployment(
            "delivery-jobs",
            lambda d: d["spec"]["template"]["metadata"]["labels"].pop("app.kubernetes.io/part-of"),
        ),
    ),
    # Settings, secrets, images
    "an unknown environment key": (settings.environment, config("BARID_KAFKA_BOOTSTRAPS", "kafka:9092")),
    "a key misspelled in a Deployment": (
        settings.environment,
        inside("delivery-mailer", env("BARID_SMTP_DOT_TIMEOUT", "5")),
    ),
    "a value that the settings refuse": (settings.environment, inside("delivery-mailer", env("BARID_GRACE_S", "long"))),
    "a secret in the environment": (
        settings.environment,
        inside("delivery-mailer", env("BARID_SMTP_URL", "smtp://relay.example:587")),
    ),
    "a list of its own of what is signed": (
        settings.environment,
        inside("delivery-mailer", env("BARID_DKIM_DOMAINS", "shop.example")),
    ),
    "a static member": (settings.environment, inside("contacts-worker", env("BARID_INSTANCE", "contacts-worker"))),
    "a broker without passwords": (settings.environment, config("BARID_KAFKA_SECURITY", "PLAINTEXT")),
    "Jobs that speak to another broker": (settings.environment, config("BARID_KAFKA_BOOTSTRAP", "other:9093")),
    "a Secret that nobody makes": (
        settings.secrets,
        deployment(
            "contacts-jobs",
            lambda d: pod_of(d)["volumes"][0 if "projected" in pod_of(d)["volumes"][0] else 1]["projected"]["sources"][
                0
            ]["secret"].update(name="contacts-jobs-role"),
        ),
    ),
    "a secret that is not needed": (
        settings.secrets,
        deployment(
            "contacts-jobs",
            lambda d: next(v for v in pod_of(d)["volumes"] if "projected" in v)["projected"]["sources"].append(
                {"secret": {"name": "barid-smtp", "items": [{"key": "url", "path": "barid_smtp_url"}]}}
            ),
        ),
    ),
    "another's name at the broker": (settings.secrets, inside("contacts-relay", env("BARID_KAFKA_USERNAME", "keda"))),
    "a Secret in the manifests": (
        settings.secrets,
        more({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "barid-keys"}, "data": {}}),
    ),
    "another service's image": (
        settings.images,
        inside("contacts-api", lambda c: c.update(image="barid/campaigns:0.1.0")),
    ),
    "an image of another release": (
        settings.images,
        inside("contacts-api", lambda c: c.update(image="barid/contacts:old")),
    ),
    "a process that is missing": (settings.inventory, gone("Deployment", "analytics-relay")),
    "a process that there is not": (settings.inventory, inside("delivery-jobs", lambda c: c.update(args=["webhooks"]))),
    "a consumer that nobody runs": (
        settings.inventory,
        inside("analytics-worker", lambda c: c.update(args=["worker", "--only", "ingest"])),
    ),
    "a consumer that two run": (
        settings.inventory,
        inside("analytics-worker", lambda c: c.update(args=["worker"])),
    ),
    "no migration": (settings.inventory, gone("Job", "delivery-migrate")),
    "a Job of a fixed name": (
        settings.configs,
        one("Job", "delivery-migrate", lambda j: j["metadata"].update(name="delivery-migrate")),
    ),
    "a ConfigMap that is not there": (
        settings.configs,
        inside("contacts-api", lambda c: c.update(envFrom=[{"configMapRef": {"name": "barid-settings"}}])),
    ),
    "a Job that stays for ever": (
        settings.jobs,
        one("Job", "delivery-migrate", lambda j: j["spec"].pop("ttlSecondsAfterFinished")),
    ),
    "another namespace": (
        settings.namespaces,
        deployment("contacts-api", lambda d: d["metadata"].update(namespace="default")),
    ),
    # Replicas
    "a budget that lets nobody go": (
        scaling.budgets,
        one("PodDisruptionBudget", "contacts-api", lambda b: b["spec"].update(minAvailable=2, maxUnavailable=None)),
    ),
    "no budget": (scaling.budgets, gone("PodDisruptionBudget", "contacts-relay")),
    "a scaler of nobody": (
        scaling.targets,
        one("HorizontalPodAutoscaler", "contacts-api", lambda h: h["spec"]["scaleTargetRef"].update(name="contacts")),
    ),
    "two scalers of one": (
        scaling.targets,
        one("ScaledObject", "contacts-worker", lambda s: s["spec"]["scaleTargetRef"].update(name="contacts-api")),
    ),
    "a number beside a scaler": (scaling.targets, deployment("contacts-api", lambda d: d["spec"].update(replicas=3))),
    "a single relay": (scaling.targets, deployment("contacts-relay", lambda d: d["spec"].update(replicas=1))),
    "a group that nobody is in": (scaling.lag, trigger(lambda m: m.update(consumerGroup="analytics.score"))),
    "lag of a topic that nobody declares": (scaling.lag, trigger(lambda m: m.update(topic="email.open"))),
    "lane 0 without its group": (
        scaling.lag,
        one("ScaledObject", "contacts-worker", lambda s: s["spec"]["triggers"].pop()),
    ),
    "persistent lag counted": (scaling.lag, trigger(lambda m: m.update(excludePersistentLag="false"))),
    "more pods than partitions": (
        scaling.lag,
        one("ScaledObject", "analytics-scoring", lambda s: s["spec"].update(maxReplicaCount=8)),
    ),
    "down at once": (
        scaling.lag,
        one("ScaledObject", "delivery-worker", lambda s: s["spec"].update(cooldownPeriod=30)),
    ),
    "mailers past the cap": (
        scaling.caps,
        one("ScaledObject", "delivery-mailer", lambda s: s["spec"].update(maxReplicaCount=20)),
    ),
    "more connections for each mailer": (scaling.caps, inside("delivery-mailer", env("BARID_SMTP_CONNECTIONS", "16"))),
    "a parameter that the scaler has not": (published_triggers, trigger(lambda m: m.update(lagTreshold="10"))),
    "a parameter that the scaler needs": (published_triggers, trigger(lambda m: m.pop("bootstrapServers"))),
    # The network
    "no default": (network.default_deny, gone("NetworkPolicy", "default-deny")),
    "a needed edge missing": (network.edges, gone("NetworkPolicy", "contacts-to-database")),
    "an edge to a wrong port": (
        network.edges,
        one("NetworkPolicy", "to-kafka", lambda n: n["spec"]["egress"][0]["ports"][0].update(port=9092)),
    ),
    "an edge too many": (
        network.edges,
        one("NetworkPolicy", "from-ingress", lambda n: n["spec"].update(podSelector={})),
    ),
    "everybody to every database": (
        network.edges,
        one("NetworkPolicy", "contacts-database", lambda n: n["spec"]["ingress"].append({})),
    ),
    "mail to addresses inside": (
        network.edges,
        one("NetworkPolicy", "to-smtp", lambda n: n["spec"]["egress"][0]["to"][0]["ipBlock"].pop("except")),
    ),
    "a listener for everybody": (
        network.listener,
        one("Kafka", "barid", lambda k: k["spec"]["kafka"]["listeners"][0].pop("networkPolicyPeers")),
    ),
    "a path to another service": (network.ingress, one("Ingress", "barid", backend("/v1/leads", "contacts-api"))),
    "metrics for everybody": (
        network.ingress,
        one(
            "Ingress",
            "barid",
            lambda i: i["spec"]["rules"][0]["http"]["paths"].append(
                {
                    "path": "/metrics",
                    "pathType": "Prefix",
                    "backend": {"service": {"name": "contacts-api", "port": {"name": "http"}}},
                }
            ),
        ),
    ),
    "no TLS": (network.ingress, one("Ingress", "barid", lambda i: i["spec"].pop("tls"))),
    # Kafka and PostgreSQL
    "a topic nobody declares": (data.topics, more(TOPIC)),
    "a topic that is missing": (data.topics, gone("KafkaTopic", "email.sent")),
    "too few partitions": (data.topics, one("KafkaTopic", "email.sent", lambda t: t["spec"].update(partitions=2))),
    "kept too short": (
        data.topics,
        one("KafkaTopic", "email.sent", lambda t: t["spec"]["config"].update({"retention.ms": 3600000})),
    ),
    "more copies than brokers": (
        data.cluster,
        one("KafkaNodePool", "kafka", lambda p: p["spec"].update(replicas=1)),
    ),
    "a broker that asks nobody": (
        data.cluster,
        one("Kafka", "barid", lambda k: k["spec"]["kafka"]["listeners"][0].pop("authentication")),
    ),
    "a user who writes what its service does not own": (
        data.users,
        one("KafkaUser", "contacts-relay", acl("topic", "email.sent", "Write")),
    ),
    "a user who may not read": (
        data.users,
        one("KafkaUser", "delivery-worker", lambda u: u["spec"]["authorization"]["acls"].pop(1)),
    ),
    "rights on a topic nobody declares": (
        data.users,
        one("KafkaUser", "keda", acl("topic", "lead.made-up", "Describe")),
    ),
    "a worker without a user": (data.users, gone("KafkaUser", "analytics-scoring")),
    "a role that may everything": (
        data.databases,
        one("Cluster", "contacts-db", lambda c: c["spec"]["managed"]["roles"][0].update(superuser=True)),
    ),
    "a database without backup": (data.databases, gone("ScheduledBackup", "contacts-db")),
    "a single instance": (data.databases, one("Cluster", "delivery-db", lambda c: c["spec"].update(instances=1))),
    # Published schemas
    "a misspelled field": (
        schemas.built_in,
        inside("contacts-api", lambda c: c.update(livenesProbe=c.pop("livenessProbe"))),
    ),
    "a kind that there is not": (
        schemas.built_in,
        more({"apiVersion": "apps/v1beta1", "kind": "Deployment", "metadata": {"name": "x"}}),
    ),
    "a misspelled field of Strimzi": (
        schemas.custom,
        one("KafkaTopic", "email.sent", lambda t: t["spec"].update(partition=4)),
    ),
    "a field of Strimzi that version v1 has not": (
        schemas.custom,
        one("KafkaUser", "keda", lambda u: u["spec"]["authorization"]["acls"][0].update(operation="Read")),
    ),
    "an operation that Kafka has not": (
        schemas.custom,
        one("KafkaUser", "keda", lambda u: u["spec"]["authorization"]["acls"][0].update(operations=["Reed"])),
    ),
    "a misspelled field of CloudNativePG": (
        schemas.custom,
        one("Cluster", "contacts-db", lambda c: c["spec"].update(instance=3)),
    ),
    "a wrong type for CloudNativePG": (
        schemas.custom,
        one("Cluster", "contacts-db", lambda c: c["spec"].update(instances="three")),
    ),
    "a misspelled field of KEDA": (
        schemas.custom,
        one("ScaledObject", "delivery-mailer", lambda s: s["spec"].update(maxReplicas=4)),
    ),
    "a misspelled field of the Prometheus operator": (
        schemas.custom,
        one("PodMonitor", "barid", lambda m: m["spec"]["podMetricsEndpoints"][0].update(honourLabels=True)),
    ),
    "a misspelled field of Barman": (
        schemas.custom,
        one("ObjectStore", "barid", lambda o: o["spec"]["configuration"].update(destination="s3://x")),
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_found(fault):
    check, spoil = FAULTS[fault]
    spoiled = documents("prod")
    spoil(spoiled)
    assert list(check(spoiled)) != []
