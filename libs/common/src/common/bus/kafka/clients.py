"""Making and ending aiokafka's clients."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import structlog
from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.errors import KafkaError

from common.bus.kafka.faults import reason, told
from common.bus.kafka.options import KafkaOptions, Timing
from common.contracts.envelope import MAX_EVENT_BYTES

log = structlog.get_logger(__name__)
_CLOSE_S = 5.0
_ANSWER_S = 15.0


def consumer_of(options: KafkaOptions, group: str, timing: Timing) -> AIOKafkaConsumer:
    """A consumer that commits nothing by itself and never chooses a position by itself."""
    return AIOKafkaConsumer(
        **options.client() | {"metadata_max_age_ms": int(timing.metadata_s * 1000)},
        group_id=group,
        group_instance_id=f"{options.instance}.{group}" if options.instance else None,
        enable_auto_commit=False,
        # Never on to another place without telling: see lag.first_there.
        auto_offset_reset="none",
        # Not the sticky one: aiokafka keeps its state at the class, and a process has many groups.
        partition_assignment_strategy=(RoundRobinPartitionAssignor,),
        session_timeout_ms=int(timing.session(options.instance) * 1000),
        heartbeat_interval_ms=int(timing.heartbeat_s * 1000),
        rebalance_timeout_ms=int(timing.rebalance_s * 1000),
        max_poll_interval_ms=int(timing.max_poll_s * 1000),
        fetch_max_wait_ms=int(timing.fetch_wait_s * 1000),
        # A first batch that is larger is sent all the same (KIP-74): no message can hold its partition up.
        max_partition_fetch_bytes=1 << 20,
        fetch_max_bytes=MAX_EVENT_BYTES * 2,
    )


async def stop(consumer: AIOKafkaConsumer) -> None:
    """End a consumer also when the broker is away. Static members send no LeaveGroup (KIP-345)."""
    try:
        await asyncio.wait_for(consumer.stop(), _CLOSE_S)
    except (KafkaError, OSError) as error:
        log.info("kafka_consumer_cut_off", error=f"{type(error).__name__}: {error}")
        with contextlib.suppress(KafkaError, OSError):
            await consumer._client.close()


@contextlib.asynccontextmanager
async def admin_of(options: KafkaOptions) -> AsyncIterator[AIOKafkaAdminClient]:
    """A client for one errand. Raises BusUnavailable, or Misconfigured, in one line."""
    admin = AIOKafkaAdminClient(**options.client())
    try:
        async with asyncio.timeout(_ANSWER_S):
            await admin.start()
            yield admin
    except (KafkaError, OSError) as error:
        raise told(await reason(error, options), options) from error
    finally:
        await admin.close()
