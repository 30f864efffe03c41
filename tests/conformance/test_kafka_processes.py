"""Kafka only: the processes as a service runs them, from the settings alone."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time

import httpx
import pytest
from common.consumer.process import run_consumers
from common.contracts.topics import TOPICS
from common.outbox import process as relay
from common.settings import ServiceSettings

from tests.conformance.conftest import service_on
from tests.conformance.transports import on_kafka
from tests.fixtures.kafka import TestKafka, watch
from tools.kafka import USER

ALL = [topic.name for topic in TOPICS]


def settings_for(kafka, transport, contacts_db) -> ServiceSettings:
    return ServiceSettings(
        bus="kafka",
        kafka_bootstrap=kafka.address,
        kafka_prefix=transport.options.prefix,
        worker_database_url=contacts_db.worker_url,
    )


async def test_relay_and_worker_move_events_and_drain(kafka, contacts_db, in_order):
    async with on_kafka(kafka, ALL) as transport, service_on(contacts_db, transport) as service:
        settings, stop = settings_for(kafka, transport, contacts_db), asyncio.Event()
        works = [
            asyncio.create_task(relay.run("contacts", settings, stop)),
            asyncio.create_task(run_consumers([service.consumer()], service.db, settings, stop)),
        ]
        events = service.segments(300, None)
        await service.write(events)
        in_order(await service.until_seen(events))
        stop.set()
        await asyncio.wait_for(asyncio.gather(*works), 10)
        assert await service.value("select count(*) from outbox") == 0


async def test_a_broker_that_goes_away_just_after_the_start_looked_at_it_ends_neither(kafka, contacts_db):
    async with on_kafka(kafka, ALL) as transport, service_on(contacts_db, transport) as service:
        settings, stop = settings_for(kafka, transport, contacts_db), asyncio.Event()
        gone = settings.model_copy(update={"kafka_bootstrap": "127.0.0.1:1"})
        works = [
            asyncio.create_task(relay.run("contacts", gone, stop)),
            asyncio.create_task(run_consumers([service.consumer()], service.db, gone, stop)),
        ]
        await service.write(service.segments(5))
        ended, _ = await asyncio.wait(works, timeout=1.5)
        assert not ended
        stop.set()
        await asyncio.wait_for(asyncio.gather(*works), 20)
        assert await service.value("select count(*) from outbox") == 5


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


SASL = {"BARID_KAFKA_SECURITY": "SASL_PLAINTEXT", "BARID_KAFKA_MECHANISM": "PLAIN"}
WRONG = {
    "nowhere": ({"BARID_KAFKA_BOOTSTRAP": "127.0.0.1:1"}, 1, "BARID_KAFKA_BOOTSTRAP=127.0.0.1:1 cannot be used"),
    "no address": ({"BARID_KAFKA_BOOTSTRAP": "kafka"}, 2, "BARID_KAFKA_BOOTSTRAP: 'kafka' is not <host>:<port>"),
    "empty": ({"BARID_KAFKA_BOOTSTRAP": " , "}, 2, "BARID_KAFKA_BOOTSTRAP is empty"),
    "no user": (SASL, 2, "BARID_KAFKA_SECURITY=SASL_PLAINTEXT needs BARID_KAFKA_USERNAME and BARID_KAFKA_PASSWORD"),
    "no such file": (
        {"BARID_KAFKA_SECURITY": "SSL", "BARID_KAFKA_CA_FILE": "/nowhere.pem"}, 2, "BARID_KAFKA_CA_FILE=/nowhere.pem"
    ),
    "refused": (
        {**SASL, "BARID_KAFKA_BOOTSTRAP": "sasl", "BARID_KAFKA_USERNAME": USER, "BARID_KAFKA_PASSWORD": "hush"},
        2, "refuses BARID_KAFKA_USERNAME='barid' and its password",
    ),
    "no TLS there": ({"BARID_KAFKA_SECURITY": "SSL"}, 1, "cannot be used"),
    "no topics": ({"BARID_KAFKA_PREFIX": "nobodys."}, 2, "run `barid topics apply`"),
    "unknown": ({"BARID_KAFKA_SECURITY": "TLS"}, 2, "BARID_KAFKA_SECURITY"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
async def test_every_program_tells_in_one_line_what_is_wrong_with_its_kafka(case, kafka, contacts_db, service_env):
    given, status, line = WRONG[case]
    service_env("contacts", contacts_db)
    environment = {**os.environ, "BARID_BUS": "kafka", "BARID_KAFKA_BOOTSTRAP": kafka.address, **given}
    if environment["BARID_KAFKA_BOOTSTRAP"] == "sasl":
        if kafka.sasl is None:
            pytest.skip("the given broker has no listener for this")
        environment["BARID_KAFKA_BOOTSTRAP"] = kafka.sasl
    other = ["contacts", "relay"] if case in {"no topics", "unknown"} else ["barid", "topics", "apply", "--dry-run"]
    for program in (["contacts", "worker"], other):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", *program, env={**environment, "BARID_HEALTH_PORT": str(free_port())},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        out, err = await asyncio.wait_for(process.communicate(), 60)
        plain = [text for text in err.decode().splitlines() if not text.startswith("{")]  # the others are its log
        assert (process.returncode, out.decode(), len(plain)) == (status, "", 1), err.decode()
        assert line in plain[0]
        assert "hush" not in err.decode()


async def readiness(port: int, status: int, within_s: float = 60) -> httpx.Response:
    deadline, found = time.monotonic() + within_s, None
    async with httpx.AsyncClient(timeout=5) as client:
        while time.monotonic() < deadline:
            try:
                found = await client.get(f"http://127.0.0.1:{port}/readyz")
                if found.status_code == status:
                    assert (await client.get(f"http://127.0.0.1:{port}/healthz")).status_code == 200
                    return found
            except httpx.TransportError as error:
                found = error
            await asyncio.sleep(0.1)
    raise AssertionError(f"{status} did not come: {found}")


@pytest.mark.timeout(180)
async def test_a_start_waits_for_broker_and_topics_and_a_running_process_outlives_the_broker(
    own_kafka, contacts_db, service_env, tmp_path
):
    """BARID_START_WAIT_S bounds the wait at the start; once it runs, a process waits for ever, alive and not ready."""
    service_env("contacts", contacts_db)
    await asyncio.to_thread(own_kafka.stop, signal.SIGKILL)
    ports = {"worker": free_port(), "relay": free_port()}
    environment = {
        **os.environ, "BARID_BUS": "kafka", "BARID_KAFKA_BOOTSTRAP": own_kafka.address, "BARID_START_WAIT_S": "120",
        "BARID_KAFKA_PREFIX": "late.",
    }  # fmt: skip
    running = []
    for command, port in ports.items():
        with (tmp_path / f"{command}.log").open("wb") as log:
            running.append(
                await asyncio.create_subprocess_exec(
                    sys.executable, "-m", "contacts", command, env={**environment, "BARID_HEALTH_PORT": str(port)},
                    stdout=subprocess.DEVNULL, stderr=log,
                )
            )  # fmt: skip
    try:
        for port in ports.values():
            assert (await readiness(port, 503)).json()["params"] == {"parts": ["bus"]}
        await asyncio.to_thread(own_kafka.start)
        watch(own_kafka)
        async with on_kafka(TestKafka(own_kafka.address, None), ALL, prefix="late.") as transport:
            for port in ports.values():
                await readiness(port, 200)
            async with service_on(contacts_db, transport) as service:
                await service.write(service.segments(5))
                await service.until("select count(*) from outbox", 0, 30)
                await asyncio.to_thread(own_kafka.stop, signal.SIGKILL)
                for port in ports.values():
                    await readiness(port, 503)
                await service.write(service.segments(5))
                assert [process.returncode for process in running] == [None, None]
                await asyncio.to_thread(own_kafka.start)
                watch(own_kafka)
                for port in ports.values():
                    await readiness(port, 200)
                await service.until("select count(*) from outbox", 0, 60)
            for process in running:
                process.terminate()
            assert [await asyncio.wait_for(process.wait(), 30) for process in running] == [0, 0]
    finally:
        for process in running:
            if process.returncode is None:
                process.kill()
