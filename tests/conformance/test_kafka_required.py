"""A machine on which no broker can be started: told loudly, and a failure where Kafka is required."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

NEEDS_A_BROKER = "tests/conformance/test_kafka_topics.py::TestCommand::test_what_is_wrong_is_one_line"


@pytest.fixture
def run(tmp_path: Path):
    """pytest, on a machine without Java."""

    def run_without_java(**settings: str) -> tuple[int, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "BARID_"))}
        answer = subprocess.run(
            [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-n", "0", NEEDS_A_BROKER],
            env=kept | {"PATH": str(tmp_path)} | settings,
            capture_output=True, text=True, timeout=110, check=False,
        )  # fmt: skip
        return answer.returncode, answer.stdout

    return run_without_java


def test_without_a_broker_the_summary_says_that_kafka_was_not_tested(run):
    code, out = run()
    assert code == 0
    assert "= KAFKA WAS NOT TESTED =" in out
    assert "1 test was left out: there is no java here (Java 17 and Maven" in out


def test_where_kafka_is_required_no_broker_is_a_failure(run):
    code, out = run(BARID_KAFKA="required")
    assert code == 1
    assert "BARID_KAFKA=required, but there is no java here" in out


def test_a_given_broker_that_does_not_answer_is_named(run):
    code, out = run(BARID_KAFKA="required", BARID_KAFKA_BOOTSTRAP="127.0.0.1:1")
    assert code == 1
    assert "BARID_KAFKA_BOOTSTRAP=127.0.0.1:1 does not answer" in out
