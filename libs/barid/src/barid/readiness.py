"""When the stack is up: everything answers, and every consumer group of the contracts reads."""

import aiohttp
import asyncpg
from common.bus.port import BusUnavailable
from common.contracts.topics import TOPICS
from common.settings import SharedSettings


async def answers(http: aiohttp.ClientSession, url: str) -> bool:
    """Whether there is an answer, and it is 200."""
    try:
        async with http.get(url) as answer:
            return answer.status == 200
    except (aiohttp.ClientError, TimeoutError, OSError):
        return False


async def all_consume(settings: SharedSettings, bus_url: str) -> bool:
    """Whether every consumer group has members."""
    if settings.bus == "kafka":
        return await _on_kafka(settings)
    return await _on_postgres(bus_url)


async def _on_kafka(settings: SharedSettings) -> bool:
    from common.bus.kafka import KafkaOptions, groups

    try:
        return await groups.all_consume(KafkaOptions.of(settings), TOPICS)
    except BusUnavailable:
        return False


async def _on_postgres(url: str) -> bool:
    wanted = {group for topic in TOPICS for group in topic.consumers}
    try:
        connection = await asyncpg.connect(url, timeout=5)
    except (OSError, asyncpg.PostgresError, TimeoutError):
        return False
    try:
        rows = await connection.fetch("select distinct group_name from bus_member where expires_at > now()")
    finally:
        await connection.close()
    return wanted <= {row["group_name"] for row in rows}
