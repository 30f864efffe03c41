"""Kafka only: every process starts, is ready and ends with what its manifest gives it, and with nothing else.

Its environment, its files and its user at the broker are those of the rendered overlay; only addresses are this run's.
"""

import asyncio
import os
import signal
import socket
import sys
from pathlib import Path

import httpx
import pytest
from barid.provision import SERVICES

from tests.conformance.guarded import PASSWORDS
from tests.contract.deploy.k8s.documents import container_of, documents, files_of, labels, name_of
from tests.contract.deploy.k8s.pods import known
from tests.fixtures.databases import service_database
from tools.k8s_secrets import documents as outside

pytestmark = pytest.mark.xdist_group("kafka rights")
READY_S, ENDED_S = 60, 40


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return found.getsockname()[1]


def given(overlay, workload, process, broker, database, area: Path) -> dict[str, str]:
    """The container's environment, with its Secrets as files."""
    secrets = {one["metadata"]["name"]: one["stringData"] for one in outside("smtp://127.0.0.1:1")}
    urls = {"owner": database.owner_url, "api": database.api_url, "worker": database.worker_url}
    area.mkdir()
    for secret, key, path in files_of(workload):
        if path.endswith("_database_url"):
            value = urls[path.removesuffix("_database_url").removeprefix(process.service).lstrip("_") or "owner"]
        elif path == "barid_kafka_password":
            value = PASSWORDS[secret]
        else:
            value = secrets.get(secret, {}).get(key, "")
        (area / path).write_text(value)
    port = process.port_setting
    return overlay.environment(workload) | {
        "PATH": os.environ["PATH"],
        "BARID_SECRETS_DIR": str(area),
        "BARID_KAFKA_BOOTSTRAP": broker.sasl_address,
        "BARID_KAFKA_SECURITY": "SASL_PLAINTEXT",
        "BARID_KAFKA_MECHANISM": "PLAIN",
        port: str(free_port()),
        port.replace("_PORT", "_HOST"): "127.0.0.1",
    }


async def ready(name: str, process, port: str) -> None:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client, asyncio.timeout(READY_S):
        while True:
            assert process.returncode is None, f"{name} ended with {process.returncode}"
            try:
                if (await client.get("/readyz")).status_code == 200:
                    break
            except httpx.TransportError:
                pass
            await asyncio.sleep(0.2)
        assert (await client.get("/healthz")).status_code == 200
        assert "barid_" in (await client.get("/metrics")).text


@pytest.mark.parametrize("service", SERVICES)
async def test_the_processes_of_a_service_start_with_what_they_are_given(guarded, postgres, service, tmp_path):
    overlay = documents("dev")
    mine = [(one, process) for one, process in known(overlay) if labels(one)["barid.dev/service"] == service]
    assert len(mine) >= 4
    started = {}
    async with service_database(postgres, service) as database:
        try:
            for workload, process in mine:
                name = name_of(workload)
                environment = given(overlay, workload, process, guarded, database, tmp_path / name)
                command = [sys.executable, "-m", service, *container_of(workload)["args"]]
                with (tmp_path / f"{name}.log").open("wb") as told:
                    running = await asyncio.create_subprocess_exec(*command, env=environment, stdout=told, stderr=told)
                started[name] = running, environment[process.port_setting]
            await asyncio.gather(*(ready(name, running, port) for name, (running, port) in started.items()))
            for running, _ in started.values():
                running.send_signal(signal.SIGTERM)
            async with asyncio.timeout(ENDED_S):
                codes = {name: await running.wait() for name, (running, _) in started.items()}
            assert codes == dict.fromkeys(started, 0)
        finally:
            for name, (running, _) in started.items():
                if running.returncode is None:
                    running.kill()
                    await running.wait()
                print(f"-- {name}\n{(tmp_path / f'{name}.log').read_text()[-2000:]}")
