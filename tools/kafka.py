"""A real Kafka broker for development and tests: the one given, else Docker, else Maven Central's jars on Java.

`python -m tools.kafka` starts one, prints its address, and stops it on Ctrl-C.
"""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
POM = ROOT / "deploy" / "kafka" / "pom.xml"
AREA = ROOT / "var" / "kafka"
START_S = 120.0
USER, PASSWORD = "barid", "let me in"
STRANGER = "stranger"  # with the same password; may do what an ACL lets it

_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},SASL_PLAINTEXT://127.0.0.1:{sasl},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port},SASL_PLAINTEXT://127.0.0.1:{sasl}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT
sasl.enabled.mechanisms=PLAIN
listener.name.sasl_plaintext.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required \
{users};
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS;User:{boss}
log.dirs={data}
auto.create.topics.enable=false
delete.topic.enable=true
file.delete.delay.ms=1000
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
broker.session.timeout.ms=2000
broker.heartbeat.interval.ms=400
group.initial.rebalance.delay.ms={gather_ms}
group.min.session.timeout.ms=500
"""


class NoBroker(Exception):
    """No broker can be started here; the text says why."""


def free_ports() -> tuple[int, int, int]:
    """Three ports that were free just now."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(3)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports[0], ports[1], ports[2]


@dataclass
class Broker:
    """A broker of our own, on this machine, by Java. `users`: name → password; they may do what ACLs let them.

    `gather_ms`: how long a new group waits for more members before it shares out partitions. Kafka's own is 3000.
    """

    area: Path
    ports: tuple[int, int, int] = field(default_factory=free_ports)
    process: subprocess.Popen[bytes] | None = None
    users: Mapping[str, str] = field(default_factory=lambda: {STRANGER: PASSWORD})
    gather_ms: int = 0

    @property
    def address(self) -> str:
        """Where clients connect."""
        return f"127.0.0.1:{self.ports[0]}"

    @property
    def sasl_address(self) -> str:
        """Where clients connect that must say who they are."""
        return f"127.0.0.1:{self.ports[1]}"

    def start(self) -> None:
        """Start, and wait until it answers. Raises NoBroker."""
        _needs("java")
        self.area.mkdir(parents=True, exist_ok=True)
        port, sasl, controller = self.ports
        properties = self.area / "server.properties"
        passwords = {USER: PASSWORD, **self.users}
        users = " ".join(f'user_{name}="{password}"' for name, password in passwords.items())
        properties.write_text(
            _PROPERTIES.format(
                port=port,
                sasl=sasl,
                controller=controller,
                data=self.area / "data",
                boss=USER,
                users=users,
                gather_ms=self.gather_ms,
            )
        )
        java = ["java", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto", "-cp", f"{libraries()}/*"]
        if not (self.area / "data" / "meta.properties").exists():
            # A fixed cluster id: the data never meets another cluster.
            made = subprocess.run(
                [*java, "kafka.tools.StorageTool", "format", "-g", "-t", "YmFyaWQtdGVzdC1jbHVzdA", "-c", properties],
                capture_output=True,
                text=True,
                timeout=START_S,
                check=False,
            )
            if made.returncode:
                raise NoBroker(f"formatting {self.area} failed: {(made.stderr or made.stdout).strip()[-400:]}")
        with (self.area / "broker.log").open("ab") as told:
            self.process = subprocess.Popen(
                [*java[:1], "-Xms128m", "-Xmx512m", *java[1:], "kafka.Kafka", properties],
                stdin=subprocess.DEVNULL,
                stdout=told,
                stderr=told,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_S
        while not answers(self.address):
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop(signal.SIGKILL)
                raise NoBroker(f"the broker did not start: {(self.area / 'broker.log').read_text()[-600:]}")
            time.sleep(0.1)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End it, and wait for the end."""
        if self.process is None:
            return
        self.process.send_signal(how)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)
        self.process = None


def _needs(program: str) -> None:
    if shutil.which(program) is None:
        raise NoBroker(f"there is no {program} here (Java 17 and Maven fetch and run Apache Kafka)")


def libraries() -> Path:
    """The jars; fetched once. Raises NoBroker."""
    target = AREA / "libs"
    version = re.search(r"<kafka.version>([\d.]+)<", POM.read_text())
    assert version is not None
    if (target / f"kafka-clients-{version[1]}.jar").exists():
        return target
    _needs("java")
    _needs("mvn")
    shutil.rmtree(target, ignore_errors=True)
    partial = target.with_name(f"libs.{os.getpid()}")
    made = subprocess.run(
        [
            "mvn",
            "-q",
            "-f",
            POM,
            "dependency:copy-dependencies",
            "-DincludeScope=runtime",
            f"-DoutputDirectory={partial}",
        ],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    if made.returncode:
        shutil.rmtree(partial, ignore_errors=True)
        raise NoBroker(f"Maven could not fetch Apache Kafka: {made.stdout.strip()[-300:]}")
    partial.rename(target)
    return target


def version() -> str:
    """The version of the jars that `libraries` gives."""
    found = next((AREA / "libs").glob("kafka-clients-*.jar"), None)
    return found.stem.removeprefix("kafka-clients-") if found else "?"


def answers(address: str) -> bool:
    """Whether somebody listens there."""
    host, _, port = address.split(",", 1)[0].rpartition(":")
    try:
        socket.create_connection((host, int(port)), 1).close()
    except (OSError, ValueError):
        return False
    return True


def docker(port: int) -> str | None:
    """A container with the official image, if there is an engine; its id."""
    if (
        shutil.which("docker") is None
        or subprocess.run(["docker", "info"], capture_output=True, check=False).returncode
    ):
        return None
    found = re.search(r"<kafka.version>([\d.]+)<", POM.read_text())
    assert found is not None
    settings = {
        "KAFKA_NODE_ID": "1",
        "KAFKA_PROCESS_ROLES": "broker,controller",
        "KAFKA_CONTROLLER_QUORUM_VOTERS": "1@localhost:9093",
        "KAFKA_LISTENERS": "PLAINTEXT://:9092,CONTROLLER://:9093",
        "KAFKA_ADVERTISED_LISTENERS": f"PLAINTEXT://127.0.0.1:{port}",
        "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
        "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
        "KAFKA_AUTO_CREATE_TOPICS_ENABLE": "false",
        "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
        "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS": "0",
        "KAFKA_GROUP_MIN_SESSION_TIMEOUT_MS": "500",
        "KAFKA_HEAP_OPTS": "-Xms128m -Xmx512m",
    }
    options = [part for name, value in settings.items() for part in ("-e", f"{name}={value}")]
    made = subprocess.run(
        ["docker", "run", "-d", "--rm", "-p", f"127.0.0.1:{port}:9092", *options, f"apache/kafka:{found[1]}"],
        capture_output=True,
        text=True,
        check=False,
    )
    return made.stdout.strip() if made.returncode == 0 else None


def main() -> int:
    """Start a broker in the foreground and print its address."""
    given = os.environ.get("BARID_KAFKA_BOOTSTRAP", "")
    if given:
        print(given if answers(given) else f"BARID_KAFKA_BOOTSTRAP={given} does not answer")
        return 0 if answers(given) else 1
    port = int(os.environ.get("KAFKA_PORT", "9092"))
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    container, broker = docker(port), None
    try:
        if container is None:
            broker = Broker(AREA / "broker", (port, port + 2, port + 1))
            broker.start()
        print(f"Apache Kafka at 127.0.0.1:{port}; Ctrl-C stops it", flush=True)
        print(f"  BARID_BUS=kafka BARID_KAFKA_BOOTSTRAP=127.0.0.1:{port} make up", flush=True)
        while broker is None or (broker.process is not None and broker.process.poll() is None):
            time.sleep(1)
    except NoBroker as error:
        print(f"make kafka: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0
    finally:
        if broker is not None:
            broker.stop()
        if container is not None:
            subprocess.run(["docker", "stop", container], capture_output=True, check=False)
    return 1


if __name__ == "__main__":
    sys.exit(main())
