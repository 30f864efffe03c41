"""aiokafka tells ten times a second that a broker is away; we pass each kind of message on now and then."""

import logging
import time

EVERY_S = 10.0
_LOGGERS = (
    "aiokafka",
    "aiokafka.cluster",
    "aiokafka.conn",
    "aiokafka.consumer.fetcher",
    "aiokafka.consumer.group_coordinator",
    "aiokafka.producer.producer",
    "aiokafka.producer.sender",
)


class Seldom(logging.Filter):
    """Lets a warning or error of one kind through every ten seconds."""

    def __init__(self) -> None:
        super().__init__()
        self._last: dict[tuple[str, str], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether to tell."""
        if record.levelno < logging.WARNING:
            return True
        kind, now = (record.name, str(record.msg)), time.monotonic()
        if now - self._last.get(kind, -EVERY_S) < EVERY_S:
            return False
        self._last[kind] = now
        return True


def quiet() -> None:
    """Once per process. A command without logging of its own says nothing of this: it has its one line."""
    logger = logging.getLogger("aiokafka")
    if not any(isinstance(one, logging.NullHandler) for one in logger.handlers):
        logger.addHandler(logging.NullHandler())
        for name in _LOGGERS:
            logging.getLogger(name).addFilter(Seldom())
