import asyncpg
import pytest
from barid.provision import ROLES, SERVICES, VARIABLES, derive, password, provision, provision_given, urls
from common.errors import Misconfigured

from tests.fixtures.postgres import SECRET

PREFIX = "provisioned_"


async def test_twice_is_once_and_every_role_gets_in_only_where_it_belongs(postgres_url, postgres) -> None:
    for _ in range(2):
        await provision(postgres_url, SECRET, prefix=PREFIX)
    for database, roles in ROLES.items():
        for role in roles:
            connection = await asyncpg.connect(postgres.role_url(role, PREFIX + database))
            assert await connection.fetchval("select current_user") == role
            safe = (
                "select not (rolsuper or rolbypassrls or rolcreatedb or rolcreaterole) from pg_roles where rolname = $1"
            )
            assert await connection.fetchval(safe, role)
            owner = await connection.fetchval(
                "select pg_get_userbyid(datdba) from pg_database where datname = current_database()"
            )
            assert owner == f"{database}_owner"
            await connection.close()
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await asyncpg.connect(postgres.role_url("contacts_api", PREFIX + "delivery"))


async def test_a_role_that_passes_by_row_level_security_is_refused(postgres_url, monkeypatch) -> None:
    monkeypatch.setattr("barid.provision.ROLES", {"other": ("other_owner", "other_api")})
    monkeypatch.setattr("barid.provision.VARIABLES", {"other_owner": "OTHER_URL", "other_api": "OTHER_API_URL"})
    admin = await asyncpg.connect(postgres_url)
    await admin.execute("create role other_api login bypassrls")
    await admin.close()
    with pytest.raises(Misconfigured, match="other_api"):
        await provision(postgres_url, SECRET, prefix=PREFIX)


@pytest.mark.parametrize(
    "url", ["postgresql://u:hush@127.0.0.1:1/postgres", "not a url", "postgresql://u:hush@127.0.0.1:99999/postgres"]
)
async def test_a_server_that_is_not_there_is_one_line_without_the_password(url: str) -> None:
    with pytest.raises(Misconfigured, match=r"^DATABASE_URL: ") as refused:
        await provision(url, SECRET)
    assert "hush" not in refused.value.message
    assert "\n" not in refused.value.message


async def test_an_administrator_without_the_right_is_one_line(postgres_url, postgres) -> None:
    await provision(postgres_url, SECRET, prefix=PREFIX)
    with pytest.raises(Misconfigured, match="DATABASE_URL: its role may not create"):
        await provision(postgres.role_url("contacts_owner", PREFIX + "contacts"), SECRET, prefix="never_")


async def test_an_administrator_who_is_no_superuser_will_do(postgres_url) -> None:
    admin = await asyncpg.connect(postgres_url)
    await admin.execute("create role landlord login createdb createrole password 'x'")
    for roles in ROLES.values():  # made by it, it would have this itself
        for role in roles:
            await admin.execute(f"grant {role} to landlord with admin option")
    await admin.close()
    await provision(derive(postgres_url, "postgres", "landlord", "x"), SECRET, prefix="landlord_")
    connection = await asyncpg.connect(
        derive(postgres_url, "landlord_bus", "bus_client", password(SECRET, "bus_client"))
    )
    await connection.close()


def test_urls_are_derived_and_the_environment_goes_before(monkeypatch) -> None:
    monkeypatch.setenv("DELIVERY_API_DATABASE_URL", "postgresql://given@elsewhere/x")
    made = urls("postgresql://admin:p%40ss@db.example:6432/postgres?sslmode=require", "s")
    assert set(made) == set(VARIABLES.values())
    assert made["DELIVERY_API_DATABASE_URL"] == "postgresql://given@elsewhere/x"
    assert made["CONTACTS_WORKER_DATABASE_URL"].startswith("postgresql://contacts_worker:")
    assert made["CONTACTS_WORKER_DATABASE_URL"].endswith("@db.example:6432/contacts?sslmode=require")
    assert "p%40ss" not in made["CONTACTS_WORKER_DATABASE_URL"]
    passwords = {url.split(":")[2].split("@")[0] for name, url in made.items() if name != "DELIVERY_API_DATABASE_URL"}
    assert len(passwords) == len(made) - 1


@pytest.fixture
def secret_files(tmp_path, postgres, monkeypatch):
    """The URLs of the services in files, as a container gets them; none of the bus."""
    monkeypatch.setattr("common.settings.SECRETS_DIR", tmp_path)
    for service in SERVICES:
        for role in ROLES[service]:
            file = tmp_path / VARIABLES[role].lower()
            file.write_text(postgres.role_url(role, f"given_{service}") + "\n")
    return tmp_path


async def test_given_urls_are_made_true(postgres_url, postgres, secret_files) -> None:
    for _ in range(2):
        assert await provision_given(postgres_url) == [f"given_{service}" for service in SERVICES]
    for service in SERVICES:
        for role in ROLES[service]:
            connection = await asyncpg.connect((secret_files / VARIABLES[role].lower()).read_text().strip())
            assert await connection.fetchval("select current_user || '@' || current_database()") == (
                f"{role}@given_{service}"
            )
            await connection.close()
    admin = await asyncpg.connect(postgres_url)
    assert await admin.fetchval("select 1 from pg_database where datname = 'given_bus'") is None
    await admin.close()


@pytest.mark.parametrize(
    ("url", "named"),
    [
        ("postgresql://somebody:x@db/contacts", "must name the user contacts_api"),
        ("postgresql://contacts_api@db/contacts", "must name the user contacts_api and a password"),
        ("", "must name the user contacts_api"),
    ],
)
async def test_a_given_url_of_somebody_else_is_one_line(postgres_url, secret_files, url: str, named: str) -> None:
    (secret_files / "contacts_api_database_url").write_text(url)
    with pytest.raises(Misconfigured, match=f"CONTACTS_API_DATABASE_URL {named}"):
        await provision_given(postgres_url)


async def test_nothing_given_is_said(postgres_url) -> None:
    with pytest.raises(Misconfigured, match="nothing to provision: neither CONTACTS_DATABASE_URL"):
        await provision_given(postgres_url)
