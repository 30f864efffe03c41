"""The bus on PostgreSQL: one append-only log, for one machine without a broker (docs/adr/0011)."""

from common.bus.postgres.append import PostgresProducer
from common.bus.postgres.bus import PostgresBus, shared
from common.bus.postgres.reader import PostgresReader

__all__ = ["PostgresBus", "PostgresProducer", "PostgresReader", "shared"]
