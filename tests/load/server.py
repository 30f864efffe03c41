"""A PostgreSQL for the benches, durable as in production, and databases made by the real migrations."""

import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from barid import embedded
from barid.provision import provision

from tests.fixtures.databases import ServiceDatabase, service_database
from tests.fixtures.environment import PLACE
from tests.fixtures.postgres import SECRET, TEMPLATE, TestPostgres, _in_new_loop

_ADDRESS = "BARID_LOAD_POSTGRES"


@contextmanager
def server() -> Iterator[None]:
    """Run one for the time of the benches."""
    place = Path(tempfile.mkdtemp(prefix="barid-load-"))
    place.chmod(0o711)
    os.environ[PLACE] = str(place)
    postgres = embedded.prepare(place / "postgres", durable=True)
    postgres.start()
    try:
        _in_new_loop(provision(postgres.url, SECRET, prefix=TEMPLATE))
        os.environ[_ADDRESS] = postgres.url
        yield
    finally:
        postgres.stop("immediate")
        shutil.rmtree(place, ignore_errors=True)


@asynccontextmanager
async def database(service: str) -> AsyncIterator[ServiceDatabase]:
    """A fresh database of a service, or of the bus."""
    async with service_database(TestPostgres(os.environ[_ADDRESS]), service) as made:
        yield made
