"""Every route × every id of a foreign workspace, in path and body: 404. Generated, so that new routes are covered."""

import pytest
from common.ids import new_id

from tests.contract.services import SERVICES
from tests.contract.world import two_workspaces, with_foreign_ids
from tests.fixtures.databases import service_database

# What a list cannot be asked without.
ASKED = {"search_contacts": {"q": "example"}}
_MUTATING_LAST = {"get": 0, "head": 0, "options": 0, "put": 1, "patch": 1, "post": 2, "delete": 3}


@pytest.mark.parametrize("service", SERVICES)
async def test_a_foreign_id_is_404_and_changes_nothing(service, postgres, keys, service_env) -> None:
    failures: list[str] = []
    async with (
        service_database(postgres, service) as database,
        two_workspaces(service, database, keys, service_env) as world,
    ):
        before = await world.everything_of(world.foreign)
        for operation in world.operations:
            if operation.public:
                continue
            for name in operation.id_parameters:
                for candidate in world.candidates(operation, name, world.foreign)[:3]:
                    ids = {**world.own_ids(operation, world.mine), name: candidate}
                    found = await world.call(operation, world.mine, ids, world.body(operation, world.mine))
                    if name not in operation.path_parameters and found.is_success and found.json()["items"] == []:
                        continue  # a filter by a foreign id finds nothing
                    if found.status_code != 404:
                        failures.append(f"{operation.id}: foreign {name} → {found.status_code} {found.text[:200]}")
        assert await world.everything_of(world.foreign) == before

        # The same ids are real: their owner gets something else than 404. Otherwise the test above proves nothing.
        for operation in sorted(world.operations, key=lambda one: _MUTATING_LAST[one.method]):
            if operation.public or not operation.path_parameters:
                continue
            statuses, text = [], ""
            name = operation.path_parameters[-1]
            for candidate in world.candidates(operation, name, world.foreign) or [str(new_id())]:
                ids = {**world.own_ids(operation, world.foreign), name: candidate}
                found = await world.call(operation, world.foreign, ids, world.body(operation, world.foreign))
                statuses.append(found.status_code)
                text = found.text[:200]
                if found.status_code != 404:
                    break
            if set(statuses) <= {404, 422, 400}:
                failures.append(f"{operation.id}: nothing seeded for it: {statuses} {text}")
    assert failures == []


@pytest.mark.parametrize("service", SERVICES)
async def test_a_foreign_id_in_a_body_is_404(service, postgres, keys, service_env) -> None:
    failures: list[str] = []
    tried = 0
    async with (
        service_database(postgres, service) as database,
        two_workspaces(service, database, keys, service_env) as world,
    ):
        before = await world.everything_of(world.foreign)
        for operation in world.operations:
            if operation.public:
                continue
            body = world.body(operation, world.mine)
            for where, changed in with_foreign_ids(body, world.mine, world.foreign):
                tried += 1
                ids = world.own_ids(operation, world.mine)
                found = await world.call(operation, world.mine, ids, changed)
                if found.status_code != 404:
                    failures.append(f"{operation.id}: foreign id at {where} → {found.status_code} {found.text[:200]}")
        assert await world.everything_of(world.foreign) == before
    assert failures == []
    assert tried or service in {"analytics", "delivery"}


@pytest.mark.parametrize("service", SERVICES)
async def test_lists_show_only_the_callers_workspace(service, postgres, keys, service_env) -> None:
    failures: list[str] = []
    async with (
        service_database(postgres, service) as database,
        two_workspaces(service, database, keys, service_env) as world,
    ):
        shared = {value for values in world.mine.ids.values() for value in values}
        foreign = {value for values in world.foreign.ids.values() for value in values} - shared
        assert foreign
        for operation in world.operations:
            if operation.public or operation.method != "get" or operation.path_parameters:
                continue
            ids = world.own_ids(operation, world.mine) | ASKED.get(operation.id, {})
            found = await world.call(operation, world.mine, ids)
            if found.status_code != 200:
                failures.append(f"{operation.id}: {found.status_code} {found.text[:200]}")
            leaked = [value for value in foreign if value in found.text]
            if leaked:
                failures.append(f"{operation.id} shows {leaked}")
    assert failures == []
