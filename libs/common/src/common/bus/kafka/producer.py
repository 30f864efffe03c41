"""Publishing: idempotent, acknowledged by all in-sync replicas, and never without an end."""

import asyncio
import contextlib
from collections.abc import Sequence

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from common.bus.kafka.faults import reason, told
from common.bus.kafka.options import KafkaOptions
from common.bus.kafka.records import headers
from common.contracts.envelope import MAX_EVENT_BYTES, Record, too_large
from common.contracts.topics import BY_NAME
from common.errors import TooLarge

log = structlog.get_logger(__name__)

# Below the 25 s a process has to drain. With idempotence aiokafka never gives a batch up (producer.rst).
PUBLISH_S = 15.0
# One batch is in flight per partition (producer.rst), so its size over the round trip is the throughput.
_LINGER_MS = 5
_BATCH_BYTES = 256 * 1024


class KafkaProducer:
    """One idempotent producer; made anew after any doubt.

    A publish in doubt is repeated by the caller as a whole, in the same order; what the lost producer still
    delivers is a duplicate. Cancelling a send does not take it back, so the old producer is cut off first:
    two of them interleave only whole, ordered copies, and the inbox keeps the first of each event.
    Kafka's transactions are not used: aiokafka #1098 and #1004 are open.
    """

    def __init__(self, options: KafkaOptions, *, publish_s: float = PUBLISH_S) -> None:
        self._options = options
        self._publish_s = publish_s
        self._names = [options.prefix + name for name in BY_NAME]
        self._client: AIOKafkaProducer | None = None
        self._lock = asyncio.Lock()

    async def publish(self, records: Sequence[Record]) -> None:
        """Append all; when it returns they are on all in-sync replicas. Raises on any doubt."""
        if not records:
            return
        for record in records:  # the relay sets those aside; whoever else publishes is told
            if why := too_large(record):
                raise TooLarge(f"the event {record.id} of {record.topic} has {why}")
        made = [(record, record.key.encode(), record.payload.encode(), headers(record)) for record in records]
        async with self._lock:
            waiting: list[asyncio.Future[object]] = []
            try:
                async with asyncio.timeout(self._publish_s):
                    client = await self._started()
                    for record, key, value, pairs in made:
                        waiting.append(
                            await client.send(self._options.prefix + record.topic, value, key=key, headers=pairs)
                        )
                    await asyncio.gather(*waiting)
            except (KafkaError, OSError) as error:
                await self._discard()
                raise told(await reason(error, self._options), self._options) from error
            except BaseException:
                await self._discard()
                raise
            finally:
                for one in waiting:
                    if one.done() and not one.cancelled():
                        one.exception()  # seen: gather only looks at the first

    async def ready(self) -> None:
        """Raise when the cluster does not answer."""
        async with self._lock:
            try:
                async with asyncio.timeout(self._publish_s):
                    client = await self._started()
                    await client.client.fetch_all_metadata()
            except (KafkaError, OSError) as error:
                await self._discard()
                raise told(await reason(error, self._options), self._options) from error

    async def close(self) -> None:
        """Nothing is buffered: every publish waited for its acknowledgements."""
        await self._discard()

    async def _started(self) -> AIOKafkaProducer:
        if self._client is None:
            client = AIOKafkaProducer(
                # A connection that is cancelled while it begins is never closed, so requests give up before we do.
                **self._options.client() | {"request_timeout_ms": int(self._publish_s * 600)},
                enable_idempotence=True,
                acks="all",
                linger_ms=_LINGER_MS,
                max_batch_size=_BATCH_BYTES,
                max_request_size=MAX_EVENT_BYTES + _BATCH_BYTES,
            )
            self._client = client
            await client.start()
            # Else the first event of each topic waits for a round of metadata of its own.
            known = await client.client.fetch_all_metadata()
            there = known.topics()
            await client.client.set_topics([name for name in self._names if name in there])
        return self._client

    async def _discard(self) -> None:
        """End the client without its flush, which has no time-out while the broker is away."""
        client, self._client = self._client, None
        if client is None:
            return
        client._closed = True
        with contextlib.suppress(KafkaError, OSError):
            async with asyncio.timeout(2):
                if client._sender.sender_task is not None:
                    await client._sender.close()
                await client.client.close()
