"""What keeps a stack from starting: one line that names the setting, and nothing left running."""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from barid import keys

from tests.fixtures.environment import place
from tests.fixtures.stack import free_port


@pytest.fixture
def area() -> Iterator[Path]:
    """A data directory that PostgreSQL's own account can reach."""
    folder = Path(tempfile.mkdtemp(dir=place(), prefix="start-"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder)


def barid(area: Path, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "BARID_DATA_DIR": str(area), "BARID_PORT": str(free_port()), **settings}
    return subprocess.run(
        [sys.executable, "-m", "barid", *arguments],
        env=environment, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip


def left_running(area: Path) -> list[str]:
    """Command lines of processes that know of the area, in their arguments or their environment."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                text = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
            except OSError:
                continue
            if str(area).encode() in text and b"watchdog" not in text:
                found.append(text[:200].decode(errors="replace"))
    return found


@pytest.fixture
def rude_server() -> Iterator[int]:
    """Answers every connection with something that is no SMTP greeting."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()

        def answer() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                connection.sendall(b"554 go away\r\n")
                connection.close()

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(5)


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"BARID_PORT": "taken"}, "BARID_PORT"),
        ({"BARID_PORT": "many"}, "BARID_PORT"),
        ({"BARID_SMTP_URL": "smtp://127.0.0.1:1"}, "BARID_SMTP_URL"),
        ({"BARID_SMTP_URL": "http://127.0.0.1:25"}, "BARID_SMTP_URL"),
        ({"BARID_SMTP_URL": "rude"}, "BARID_SMTP_URL"),
        ({"DATABASE_URL": "postgresql://u:hush@127.0.0.1:1/postgres"}, "DATABASE_URL"),
        ({"BARID_PG_BINDIR": "/nowhere"}, "BARID_PG_BINDIR"),
        (
            {"BARID_ENV": "production", "DATABASE_URL": "postgresql://postgres:postgres@127.0.0.1:1/postgres"},
            "DATABASE_URL has a password that is a default",
        ),
    ],
)
def test_a_start_that_fails_is_one_line(settings, word, rude_server: int, area: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        wanted = {"taken": str(taken.getsockname()[1]), "rude": f"smtp://127.0.0.1:{rude_server}"}
        answer = barid(area, "up", **{name: wanted.get(value, value) for name, value in settings.items()})
    assert answer.returncode != 0
    assert answer.stdout == ""
    assert len(answer.stderr.splitlines()) == 1, answer.stderr
    assert word in answer.stderr
    assert "hush" not in answer.stderr
    assert not (area / "stack.json").exists()
    assert left_running(area) == []


def test_without_a_stack_the_commands_say_so(area: Path) -> None:
    assert barid(area, "down").stdout == "nothing runs here\n"
    for command in (
        ["token"],
        ["migrate"],
        ["dlq", "list"],
        ["bootstrap", "--workspace", "x", "--email", "a@b.example"],
    ):
        answer = barid(area, *command)
        assert answer.returncode == 2, command
        assert len(answer.stderr.splitlines()) == 1, answer.stderr
        assert "barid up" in answer.stderr


@pytest.mark.parametrize("command", ["up", "down", "demo", "migrate", "bootstrap", "token", "dlq list", "dlq show",
                                     "dlq replay", "settings", "run"])  # fmt: skip
def test_every_command_has_help_with_an_example(command: str, area: Path) -> None:
    answer = barid(area, *command.split(), "--help", COLUMNS="200")
    assert answer.returncode == 0
    assert "Example" in answer.stdout
    assert f"barid {command}" in answer.stdout


def test_settings_lists_every_variable_once(area: Path) -> None:
    answer = barid(area, "settings", COLUMNS="240")
    assert answer.returncode == 0, answer.stderr
    names = [line.split()[0] for line in answer.stdout.splitlines() if line.strip() and line.split()[0].isupper()]
    assert len(names) == len(set(names))
    for name in ("BARID_PORT", "BARID_PUBLIC_URL", "BARID_BUS", "BARID_KAFKA_BOOTSTRAP", "DATABASE_URL",
                 "BARID_SMTP_URL", "BARID_DATA_DIR", "BARID_SEND_WINDOW",
                 "BARID_HEALTH_PORT", "CONTACTS_API_DATABASE_URL"):  # fmt: skip
        assert name in names


def test_new_secrets_are_what_the_services_take(area: Path, monkeypatch) -> None:
    answer = barid(area, "settings", "--secrets")
    for line in answer.stdout.splitlines():
        name, _, value = line.partition("=")
        monkeypatch.setenv(name, value.strip("'"))
    from common.settings import SharedSettings
    from common.web.tokens import TokenVerifier
    from delivery.settings import Settings as Delivery

    shared = SharedSettings()
    assert list(Delivery().sealing_key_ring()) == ["s1"]
    assert len(shared.pepper_bytes()) == 32
    assert list(shared.link_key_ring()) == ["k1"]
    TokenVerifier(shared.token_keys)
    assert "d" in json.loads(os.environ["BARID_TOKEN_SIGNING_KEY"])


def test_an_installation_gets_the_secrets_that_a_later_release_needs(tmp_path: Path) -> None:
    first = keys.load(tmp_path)
    file = tmp_path / "secrets.json"
    file.write_text(json.dumps({name: value for name, value in asdict(first).items() if name != "sealing_keys"}))
    second = keys.load(tmp_path)
    assert second == replace(first, sealing_keys=second.sealing_keys)
    assert second.sealing_keys != first.sealing_keys
    assert keys.load(tmp_path) == second
    assert file.stat().st_mode & 0o777 == 0o600
