"""From the client's errors to ours: what passes by itself, and what somebody must set right."""

import structlog
from aiokafka import errors
from aiokafka.conn import create_conn

from common.bus.kafka.options import KafkaOptions
from common.bus.port import BusUnavailable
from common.errors import BaridError, Misconfigured
from common.exits import brief

log = structlog.get_logger(__name__)

_CREDENTIALS: tuple[type[Exception], ...] = (
    errors.AuthenticationFailedError,
    errors.AuthenticationMethodNotSupported,
    errors.SaslAuthenticationFailed,
    errors.UnsupportedSaslMechanismError,
    errors.IllegalSaslStateError,
)
_RIGHTS: tuple[type[Exception], ...] = (
    errors.TopicAuthorizationFailedError,
    errors.GroupAuthorizationFailedError,
    errors.ClusterAuthorizationFailedError,
)


async def reason(error: BaseException, options: KafkaOptions) -> BaseException:
    """Why it could not connect: aiokafka's bootstrap only logs that the credentials were refused."""
    if not isinstance(error, errors.KafkaConnectionError) or not options.security.startswith("SASL"):
        return error
    given = options.client()
    host, _, port = given.pop("bootstrap_servers")[0].rpartition(":")
    given.pop("metadata_max_age_ms")
    try:
        (await create_conn(host, int(port), **given)).close()
    except _CREDENTIALS as refused:
        error = refused
    except (errors.KafkaError, OSError) as other:
        log.debug("kafka_probe_failed", error=str(other))
    return error


def told(error: BaseException, options: KafkaOptions) -> BaridError:
    """The error to raise for one of the client's, in one line that names the setting."""
    if isinstance(error, BaridError):
        return error
    if isinstance(error, _CREDENTIALS):
        return Misconfigured(
            f"BARID_KAFKA_BOOTSTRAP={options.bootstrap} refuses BARID_KAFKA_USERNAME={options.username!r} and its"
            f" password (BARID_KAFKA_SECURITY={options.security}, BARID_KAFKA_MECHANISM={options.mechanism})"
        )
    if isinstance(error, _RIGHTS):
        return Misconfigured(
            f"BARID_KAFKA_USERNAME={options.username!r} may not do this at {options.bootstrap}:"
            f" {type(error).__name__} {brief(error)}"
        )
    if isinstance(error, errors.MessageSizeTooLargeError):
        return BusUnavailable(
            f"a topic at BARID_KAFKA_BOOTSTRAP={options.bootstrap} takes smaller messages than an event may be:"
            " run `barid topics apply`"
        )
    why = "no answer in time" if isinstance(error, TimeoutError) else f"{type(error).__name__}: {brief(error)}"
    return BusUnavailable(f"Kafka at BARID_KAFKA_BOOTSTRAP={options.bootstrap} cannot be used: {why}")
