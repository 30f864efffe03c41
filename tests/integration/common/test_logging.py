import io
import json
import logging
import sys

import pytest
import structlog
from common.logging import set_up_logging


@pytest.fixture
def lines(monkeypatch):
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    set_up_logging("contacts", "api")
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    root.handlers[:] = before
    root.setLevel(level)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def test_lines_are_json_with_the_process_the_workspace_and_the_trace(lines) -> None:
    from common.telemetry import span

    structlog.contextvars.bind_contextvars(workspace_id="w1")
    with span("x"):
        structlog.get_logger().info("imported", rows=3)
    logging.getLogger("library").warning("odd %s", "thing")
    first, second = lines()
    assert (first["event"], first["rows"], first["service"], first["process"]) == ("imported", 3, "contacts", "api")
    assert first["workspace_id"] == "w1"
    assert len(first["trace_id"]) == 32
    assert (second["event"], second["level"]) == ("odd thing", "warning")


def test_what_a_standard_logger_adds_is_told_too_and_masked(lines) -> None:
    logging.getLogger("delivery").warning("it waits", extra={"message_id": "m1", "n": 3, "email": "sara@example.com"})
    (line,) = lines()
    assert (line["message_id"], line["n"], line["email"]) == ("m1", 3, "…")


def test_the_row_that_a_database_error_quotes_is_left_out(lines) -> None:
    error = "it violates a constraint\nDETAIL:  Failing row contains (7, Sara, Hariri, +98 21 1234).\nHINT: none"
    structlog.get_logger().error("failed", error=error)
    (line,) = lines()
    assert line["error"] == "it violates a constraint\nDETAIL: …\nHINT: none"


def test_no_line_names_a_person_or_a_password(lines) -> None:
    try:
        raise ValueError("Key (address)=(sara@example.com) already exists at postgresql://u:hush@db/x")
    except ValueError:
        structlog.get_logger().exception("failed for علی@example.ir", email="sara@example.com")
    (line,) = lines()
    assert "example" not in json.dumps(line, ensure_ascii=False).replace("example.py", "")
    assert "hush" not in json.dumps(line)
    assert "ValueError" in line["exception"]
