"""Where a record lies in the log: (lane, hash of the key), over all topics."""

from zlib import crc32

LANES = (0, 1, 2)
PARTS = 4
CHANNEL = "barid_log"
ALL = tuple((lane, part) for lane in LANES for part in range(PARTS))


def part_of(key: str) -> int:
    """The partition of a key. Stored positions depend on it: it never changes."""
    return crc32(key.encode()) % PARTS


def source_name(lane: int, part: int) -> str:
    """`0/3`: lane 0, partition 3."""
    return f"{lane}/{part}"


SOURCES = {source_name(lane, part): (lane, part) for lane, part in ALL}
