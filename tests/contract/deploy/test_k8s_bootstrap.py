"""The Job that makes the first owner: held like the others, and run with what it is given."""

import asyncio
import json
import os
import sys

import pytest

from tests.contract.deploy.k8s import network, pods, schemas
from tests.contract.deploy.k8s.documents import (
    TREE,
    Documents,
    container_of,
    documents,
    files_of,
    kustomize,
    parsed,
)
from tools.k8s_secrets import documents as outside


@pytest.fixture
def bootstrap() -> Documents:
    return Documents("bootstrap", parsed(kustomize(TREE / "bootstrap")))


def test_it_is_held_like_the_others(bootstrap):
    namespace = documents("prod").of("Namespace")
    whole = Documents("bootstrap", bootstrap.all + namespace)
    checks = (pods.restricted, pods.accounts, pods.resources, pods.volumes, schemas.built_in)
    assert [fault for check in checks for fault in check(whole)] == []


@pytest.mark.parametrize("overlay", ["dev", "prod"])
def test_it_reaches_the_one_database_it_needs(bootstrap, overlay):
    policies = documents(overlay).of("NetworkPolicy")
    (job,) = bootstrap.jobs()
    reached = {
        name for name, db in network.DATABASES.items() if network.allowed(policies, network.peer_of(job), db, 5432)
    }
    assert reached == {"campaigns"}


async def test_it_makes_an_owner_with_what_it_is_given(bootstrap, campaigns_db, tmp_path):
    (job,) = bootstrap.jobs()
    secrets = {one["metadata"]["name"]: one["stringData"] for one in outside()}
    for secret, key, path in files_of(job):
        value = campaigns_db.api_url if path == "campaigns_api_database_url" else secrets[secret][key]
        (tmp_path / path).write_text(value)
    # BARID_DATA_DIR: as the image sets it.
    environment = bootstrap.environment(job) | {
        "PATH": os.environ["PATH"],
        "BARID_SECRETS_DIR": str(tmp_path),
        "BARID_DATA_DIR": str(tmp_path / "data"),
    }
    running = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "barid", *container_of(job)["args"], env=environment, stdout=asyncio.subprocess.PIPE
    )
    told, _ = await asyncio.wait_for(running.communicate(), 60)
    assert running.returncode == 0
    assert json.loads(told)["token"]
