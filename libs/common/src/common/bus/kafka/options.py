"""How to reach the cluster, and the client's times."""

import ssl
from dataclasses import dataclass
from typing import Any

from common.errors import Misconfigured
from common.settings import SharedSettings


@dataclass(frozen=True, slots=True)
class Timing:
    """A member's times, in seconds.

    `session_s`: how long the group waits for a member with an instance name that says nothing; a restart within it
    moves nothing. `unnamed_session_s`: one without a name comes back as a stranger, so nothing is gained by waiting.
    `rebalance_s`: aiokafka's default is the session's 10 s (consumer.py), too short to drain a batch.
    `max_poll_s` is only watched by the client itself (aiokafka #848): batches stay far below it.
    `metadata_s`: how soon new partitions, and a topic that was made again, are seen.
    `fetch_wait_s`: a new position waits for the long poll that is under way.
    """

    session_s: float = 45.0
    unnamed_session_s: float = 12.0
    heartbeat_s: float = 3.0
    rebalance_s: float = 60.0
    drain_s: float = 25.0
    max_poll_s: float = 300.0
    fetch_wait_s: float = 0.2
    mirror_s: float = 2.0
    metadata_s: float = 30.0

    def session(self, instance: str) -> float:
        """The session of a member with this instance name, or without one."""
        return self.session_s if instance else self.unnamed_session_s


@dataclass(frozen=True, slots=True)
class KafkaOptions:
    """The settings of the transport. `instance` makes static members: a restart moves no partitions."""

    bootstrap: str
    prefix: str = ""
    instance: str = ""
    security: str = "PLAINTEXT"
    mechanism: str = "SCRAM-SHA-512"
    username: str = ""
    password: str = ""
    ca_file: str = ""
    replication: int = 1
    min_insync: int = 1

    @classmethod
    def of(cls, settings: SharedSettings) -> "KafkaOptions":
        """From the environment."""
        return cls(
            bootstrap=settings.kafka_bootstrap,
            prefix=settings.kafka_prefix,
            instance=settings.instance,
            security=settings.kafka_security,
            mechanism=settings.kafka_mechanism,
            username=settings.kafka_username,
            password=settings.kafka_password.get_secret_value(),
            ca_file=settings.kafka_ca_file,
            replication=settings.kafka_replication,
            min_insync=settings.kafka_min_insync,
        )

    def client(self) -> dict[str, Any]:
        """What every kind of client takes. Raises Misconfigured."""
        servers = [server.strip() for server in self.bootstrap.split(",") if server.strip()]
        for server in servers:
            if not server.rpartition(":")[2].isdigit():
                raise Misconfigured(f"BARID_KAFKA_BOOTSTRAP: {server!r} is not <host>:<port>")
        if not servers:
            raise Misconfigured("BARID_KAFKA_BOOTSTRAP is empty")
        made: dict[str, Any] = {
            "bootstrap_servers": servers,
            "client_id": self.instance or "barid",
            "request_timeout_ms": 10_000,
            "metadata_max_age_ms": 60_000,
            "security_protocol": self.security,
        }
        if self.security.endswith("SSL"):
            try:
                made["ssl_context"] = ssl.create_default_context(cafile=self.ca_file or None)
            except (OSError, ssl.SSLError) as error:
                raise Misconfigured(f"BARID_KAFKA_CA_FILE={self.ca_file} cannot be used: {error}") from error
        if self.security.startswith("SASL"):
            if not (self.username and self.password):
                raise Misconfigured(
                    f"BARID_KAFKA_SECURITY={self.security} needs BARID_KAFKA_USERNAME and BARID_KAFKA_PASSWORD"
                )
            made |= {
                "sasl_mechanism": self.mechanism,
                "sasl_plain_username": self.username,
                "sasl_plain_password": self.password,
            }
        return made
