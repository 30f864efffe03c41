"""Structured logs: one JSON object a line, with trace and workspace ids and without personal data.

Modules say `log = structlog.get_logger()` and log ids, counts and codes. What slips through all the same (an
address in a driver's error text) is masked here.
"""

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any

import orjson
import structlog

from common.telemetry import current_trace_id

_ADDRESS = re.compile(r"[^\s\"'<>(),;:=\[\]{}]+@[^\s\"'<>(),;:=\[\]{}]+")
_DETAIL = re.compile(r"DETAIL: .*")  # PostgreSQL quotes the row there: anybody's name
_CREDENTIALS = re.compile(r"://[^\s/@]+@")
_PERSONAL = frozenset({"email", "address", "first_name", "last_name", "phone", "to", "recipient", "recipients"})
_NOISY = ("aiokafka", "asyncio", "uvicorn.access", "aiosmtplib", "mail.log", "alembic.runtime.plugins")

Event = MutableMapping[str, Any]


def set_up_logging(service: str, process: str, level: str = "INFO") -> None:
    """Send every log line of this process, ours and the libraries', to standard error as JSON."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _where(service, process),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder()],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                mask,
                structlog.processors.JSONRenderer(serializer=_json),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in _NOISY:
        logging.getLogger(name).setLevel(logging.WARNING)


def mask(_logger: Any, _method: str, event: Event) -> Event:
    """Drop the fields that name people, and mask addresses, passwords and quoted rows in texts."""
    for key, value in event.items():
        if key in _PERSONAL:
            event[key] = "…"
        elif isinstance(value, str) and ("@" in value or "DETAIL: " in value):
            event[key] = _DETAIL.sub("DETAIL: …", _ADDRESS.sub("…@…", _CREDENTIALS.sub("://…@", value)))
    return event


def _where(service: str, process: str) -> Any:
    def add(_logger: Any, _method: str, event: Event) -> Event:
        event["service"] = service
        event["process"] = process
        trace_id = current_trace_id()
        if trace_id:
            event["trace_id"] = trace_id
        return event

    return add


def _json(event: Any, **_: Any) -> str:
    return orjson.dumps(event, default=str).decode()
