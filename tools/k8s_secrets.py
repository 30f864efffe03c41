"""New Secrets for an installation on Kubernetes, as manifests; nothing of them is kept.

python -m tools.k8s_secrets | kubectl apply -f -
python -m tools.k8s_secrets --smtp-url 'smtps://user:password@relay.example:465' | kubectl apply -f -

For a first start and to try things out. Where secrets are kept elsewhere (External Secrets, Vault), this shows what
has to be made there: names, keys and the form of each value. Applied again, it makes NEW secrets: databases follow,
links in mail that was sent do not.
"""

import argparse
import secrets
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
for _source in ("libs/common/src", "libs/barid/src"):
    sys.path.append(str(ROOT / _source))

from barid.keys import make as make_keys  # noqa: E402
from barid.provision import SERVICES  # noqa: E402

ROLES = ("owner", "api", "worker")
MAILBOX = "smtp://mailpit:1025"


def documents(smtp_url: str = MAILBOX, namespace: str = "barid") -> Iterator[dict[str, Any]]:
    """The Secrets."""
    for service in SERVICES:
        for role in ROLES:
            user, password = f"{service}_{role}", secrets.token_urlsafe(24)
            url = f"postgresql://{user}:{password}@{service}-db-rw.{namespace}.svc:5432/{service}?sslmode=require"
            # CloudNativePG takes username and password from it, and follows a change; the processes take the URL.
            yield _secret(
                f"{service}-{role}-role",
                namespace,
                {"username": user, "password": password, "url": url},
                "kubernetes.io/basic-auth",
                {"cnpg.io/reload": "true"},
            )
    keys = make_keys()
    yield _secret(
        "barid-keys",
        namespace,
        {
            "barid_pepper": keys.pepper,
            "barid_link_keys": keys.link_keys,
            "barid_sealing_keys": keys.sealing_keys,
            "barid_token_keys": keys.token_keys,
            "barid_token_signing_key": keys.token_signing_key,
        },
    )
    yield _secret("barid-smtp", namespace, {"url": smtp_url})
    yield _secret("barid-inbox", namespace, {"url": ""})  # no mailbox is read


def _secret(
    name: str, namespace: str, data: dict[str, str], kind: str = "Opaque", labels: dict[str, str] | None = None
) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace, "labels": labels or {}},
        "type": kind,
        "stringData": data,
    }


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--smtp-url", default=MAILBOX, help="the way out for mail (%(default)s: the dev overlay's mailbox)"
    )
    parser.add_argument("--namespace", default="barid")
    options = parser.parse_args()
    print("---\n".join(yaml.safe_dump(one, sort_keys=False) for one in documents(options.smtp_url, options.namespace)))


if __name__ == "__main__":
    main()
