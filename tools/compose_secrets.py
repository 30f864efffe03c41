"""`make secrets`: the secrets of docker-compose.yml, made once, a file each, in var/compose/secrets."""

import os
import secrets
import sys
from pathlib import Path
from urllib.parse import quote

from barid import keys, provision

from tools.engine import ROOT

FOLDER = ROOT / "var" / "compose" / "secrets"
SERVER = "postgres:5432"


def make() -> dict[str, str]:
    """Name → value of every secret. The bus is Kafka, so its database's URLs are not among them."""
    made, administrator = keys.make(), secrets.token_urlsafe(32)
    admin_url = f"postgresql://postgres:{quote(administrator, safe='')}@{SERVER}/postgres"
    urls = {
        provision.VARIABLES[role]: provision.derive(admin_url, database, role, secrets.token_urlsafe(32))
        for database in provision.SERVICES
        for role in provision.ROLES[database]
    }
    found = {
        "BARID_TOKEN_SIGNING_KEY": made.token_signing_key,
        "BARID_TOKEN_KEYS": made.token_keys,
        "BARID_LINK_KEYS": made.link_keys,
        "BARID_PEPPER": made.pepper,
        "BARID_SEALING_KEYS": made.sealing_keys,
        "BARID_SMTP_URL": "smtp://mailpit:1025",
        "BARID_INBOX_URL": "",  # no mailbox is read
        "DATABASE_URL": admin_url,
        "POSTGRES_PASSWORD": administrator,
        **urls,
    }
    return {name.lower(): value for name, value in found.items()}


def write(folder: Path = FOLDER) -> list[str]:
    """Write those that are missing; which ones. A part of a set that belongs together is never made anew."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)  # the files are readable in the containers, whose user is another; nobody gets to them here
    present = {path.name for path in folder.iterdir()}
    made = make()
    missing = [name for name in made if name not in present]
    if present and missing:
        raise SystemExit(f"make secrets: {folder} lacks {', '.join(missing)}: put them back, or move the folder away")
    for name in missing:
        with os.fdopen(os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o444), "w") as file:
            file.write(made[name])
    return missing


if __name__ == "__main__":
    names = write()
    print(f"{len(names)} secrets made" if names else "the secrets are there", f"in {FOLDER.relative_to(ROOT)}")
    sys.exit(0)
