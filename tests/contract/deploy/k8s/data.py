"""Checks of what the processes stand on: topics, users and their rights, databases, backups."""

from collections.abc import Iterator
from typing import Any

from barid.provision import ROLES, SERVICES
from common.bus.kafka import KafkaOptions, groups_of
from common.bus.kafka.topics import wanted
from common.contracts.topics import BY_NAME, TOPICS

from tests.contract.deploy.k8s.documents import Doc, Documents, labels, name_of
from tests.contract.deploy.k8s.pods import known
from tests.contract.deploy.k8s.scaling import all_groups, bootstrap, read_by
from tests.contract.deploy.k8s.settings import consumed

READS, WRITES = {"Read", "DescribeConfigs"}, {"Write", "DescribeConfigs"}
CHANGES = {"Create", "Describe", "DescribeConfigs", "Alter", "AlterConfigs"}

Rights = set[tuple[str, str | None, str]]


def topics(documents: Documents) -> Iterator[str]:
    """A topic for each contract, as `barid topics apply` would make it, and no other."""
    found = {name_of(one): one["spec"] for one in documents.of("KafkaTopic")}
    for name in found.keys() - BY_NAME.keys():
        yield f"nobody declares the topic {name}"
    job = next(documents.environment(one) for one in documents.jobs() if name_of(one) == "topics-apply")
    replication, in_sync = int(job["BARID_KAFKA_REPLICATION"]), int(job["BARID_KAFKA_MIN_INSYNC"])
    options = KafkaOptions("", replication=replication, min_insync=in_sync)
    for topic in TOPICS:
        spec = found.get(topic.name)
        if spec is None:
            yield f"there is no topic {topic.name}"
            continue
        config = {name: str(value) for name, value in spec["config"].items()}
        if (spec["partitions"], spec["replicas"]) != (topic.partitions, replication):
            yield f"{topic.name}: {spec['partitions']} partitions × {spec['replicas']}"
        if config != wanted(topic, options):
            yield f"{topic.name}: {config}"


def cluster(documents: Documents) -> Iterator[str]:
    """Enough brokers for the copies; in production one may be lost, and writes go on."""
    pools = documents.of("KafkaNodePool")
    brokers = sum(one["spec"]["replicas"] for one in pools if "broker" in one["spec"]["roles"])
    controllers = sum(one["spec"]["replicas"] for one in pools if "controller" in one["spec"]["roles"])
    least = 3 if documents.overlay == "prod" else 1
    if brokers < least or controllers < least or controllers % 2 == 0:
        yield f"{brokers} brokers, {controllers} controllers"
    for one in documents.of("Kafka"):
        config, name = one["spec"]["kafka"]["config"], name_of(one)
        if f"{name}-kafka-bootstrap" != bootstrap(documents):
            yield f"the processes go to {bootstrap(documents)}, Kafka is {name}"
        if config.get("auto.create.topics.enable") is not False:
            yield f"{name}: makes topics that nobody declared"
        if one["spec"]["kafka"].get("authorization") != {"type": "simple"}:
            yield f"{name}: lets everybody do everything"
        told = documents.environment(documents.processes()[0])["BARID_KAFKA_BOOTSTRAP"].rpartition(":")[2]
        ports = {str(listener["port"]): listener for listener in one["spec"]["kafka"]["listeners"]}
        if not (ports.get(told, {}).get("tls") and ports[told].get("authentication") == {"type": "scram-sha-512"}):
            yield f"{name}: no listener with TLS and SCRAM at {told}"
        for listener in ports.values():
            if not listener.get("authentication"):
                yield f"{name}: the listener {listener['name']} asks nobody who they are"
        copies = int(config["offsets.topic.replication.factor"])
        if copies > brokers or (documents.overlay == "prod" and (copies, config["min.insync.replicas"]) != (3, 2)):
            yield f"{name}: {copies} copies of offsets, {config['min.insync.replicas']} in sync"
    for topic in documents.of("KafkaTopic"):
        spec = topic["spec"]
        if not (spec["config"]["min.insync.replicas"] < spec["replicas"] or spec["replicas"] == 1):
            yield f"{name_of(topic)}: cannot lose a broker"
        if spec["replicas"] > brokers or (documents.overlay == "prod" and spec["replicas"] != 3):
            yield f"{name_of(topic)}: {spec['replicas']} copies on {brokers} brokers"
    for one in documents.of("KafkaTopic", "KafkaUser", "KafkaNodePool"):
        if documents.named("Kafka", labels(one).get("strimzi.io/cluster", "")) is None:
            yield f"{one['kind']} {name_of(one)}: of no cluster"


def rights(user: Doc) -> Rights:
    """What a KafkaUser may do: (kind, name, operation)."""
    return {
        (acl["resource"]["type"], acl["resource"].get("name"), operation)
        for acl in user["spec"]["authorization"]["acls"]
        for operation in acl["operations"]
    }


def users(documents: Documents) -> Iterator[str]:
    """A user for each process at the broker, who writes what its service owns, or reads what it consumes: no more."""
    wanted_rights: dict[str, Rights] = {}
    for one, process in known(documents):
        if process.command == "relay":
            owned = [topic.name for topic in TOPICS if process.service in topic.owners]
            wanted_rights[name_of(one)] = {("topic", name, right) for name in owned for right in WRITES}
        elif process.command == "worker":
            groups = {g: t for consumer in consumed(one) for g, t in groups_of(consumer, read_by(consumer)).items()}
            read = {topic for names in groups.values() for topic in names}
            wanted_rights[name_of(one)] = {
                ("cluster", None, "IdempotentWrite"),
                *(("topic", name, right) for name in read for right in READS),
                *(("group", group, "Read") for group in groups),
            }
    wanted_rights["topics-apply"] = {("topic", topic.name, right) for topic in TOPICS for right in CHANGES}
    wanted_rights["keda"] = {
        *(("topic", topic.name, "Describe") for topic in TOPICS),
        *(("group", group, "Describe") for group in all_groups()),
    }
    found = {name_of(user): user for user in documents.of("KafkaUser")}
    for name in found.keys() ^ wanted_rights.keys():
        yield f"KafkaUser {name}: {'for nobody' if name in found else 'is not there'}"
    for name, user in found.items():
        have = rights(user)
        for kind, resource, _ in have:
            if (kind == "topic" and resource not in BY_NAME) or (kind == "group" and resource not in all_groups()):
                yield f"KafkaUser {name}: rights on the {kind} {resource}, which nobody declares"
        if extra := have - wanted_rights.get(name, have):
            yield f"KafkaUser {name}: may {sorted(map(str, extra))[:3]} and need not"
        if lacking := wanted_rights.get(name, set()) - have:
            yield f"KafkaUser {name}: may not {sorted(map(str, lacking))[:3]}"
        if user["spec"]["authentication"] != {"type": "scram-sha-512"}:
            yield f"KafkaUser {name}: signs in by {user['spec']['authentication']}"
        for acl in user["spec"]["authorization"]["acls"]:
            if acl.get("type", "allow") != "allow" or acl["resource"].get("patternType", "literal") != "literal":
                yield f"KafkaUser {name}: rights by pattern"


def databases(documents: Documents) -> Iterator[str]:
    """A cluster for each service, with its three roles as barid.provision names them."""
    found = {name_of(one): one["spec"] for one in documents.of("Cluster")}
    if found.keys() != {f"{service}-db" for service in SERVICES}:
        yield f"the databases are {sorted(found)}"
        return
    for service in SERVICES:
        spec, (owner, *others) = found[f"{service}-db"], ROLES[service]
        initdb = spec["bootstrap"]["initdb"]
        if (initdb["database"], initdb["owner"]) != (service, owner):
            yield f"{service}-db: {initdb['database']} of {initdb['owner']}"
        if initdb["secret"]["name"] != f"{service}-owner-role":
            yield f"{service}-db: its owner has the password of {initdb['secret']['name']}"
        roles = {role["name"]: role for role in spec["managed"]["roles"]}
        if roles.keys() != set(others):
            yield f"{service}-db: the roles {sorted(roles)}"
        for name, role in roles.items():
            if role.get("passwordSecret") != {"name": f"{name.replace('_', '-')}-role"} or not role.get("login"):
                yield f"{service}-db: {name} cannot sign in with its own password"
            if any(role.get(right) for right in ("superuser", "bypassrls", "createdb", "createrole", "inRoles")):
                yield f"{service}-db: {name} may more than a role of a service"
        if spec.get("enableSuperuserAccess"):
            yield f"{service}-db: a superuser may sign in"
        yield from _production(documents, service, spec)


def _production(documents: Documents, service: str, spec: dict[str, Any]) -> Iterator[str]:
    if documents.overlay != "prod":
        return
    synchronous = spec["postgresql"].get("synchronous", {})
    if spec["instances"] < 3 or synchronous.get("number", 0) < 1:
        yield f"{service}-db: {spec['instances']} instances, {synchronous.get('number', 0)} of them synchronous"
    stores = {name_of(one) for one in documents.of("ObjectStore")}
    plugins = [one for one in spec.get("plugins", []) if one.get("isWALArchiver")]
    if [one["parameters"]["barmanObjectName"] in stores for one in plugins] != [True]:
        yield f"{service}-db: its log is archived nowhere"
    backups = [one for one in documents.of("ScheduledBackup") if one["spec"]["cluster"]["name"] == f"{service}-db"]
    if [one["spec"]["method"] for one in backups] != ["plugin"]:
        yield f"{service}-db: no backup"


CHECKS = (topics, cluster, users, databases)
