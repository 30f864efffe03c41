"""The signing keys of this mailer, by sending domain: one PEM file each, named as its public half is in the DNS."""

import re
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path

from common.errors import Misconfigured
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from delivery.domain.dkim import LEAST_RSA_BITS, SigningKey

_LABEL = r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?"
_NAME = re.compile(rf"(?P<selector>{_LABEL}(?:\.{_LABEL})*)\._domainkey\.(?P<domain>{_LABEL}(?:\.{_LABEL})+)\.pem")


def load_keys(folder: str | None, named: AbstractSet[str]) -> Mapping[str, Sequence[SigningKey]]:
    """The keys in a folder, RSA first: at most one of each kind for a domain. Raises Misconfigured, naming the file.

    `named`: BARID_DKIM_DOMAINS, by which campaigns knows whose mail is signed here: the same domains.
    """
    if not folder:
        if named:
            raise Misconfigured(f"BARID_DKIM_DOMAINS names {_listed(named)}, and BARID_DKIM_KEYS is not set")
        return {}
    place = Path(folder)
    if not place.is_dir():
        raise Misconfigured(f"BARID_DKIM_KEYS is no folder: {folder}")
    found: dict[str, list[SigningKey]] = {}
    # Kubernetes puts links to hidden folders beside the files of a mounted secret.
    for file in sorted(path for path in place.iterdir() if not path.name.startswith(".")):
        key = _load(file)
        keys = found.setdefault(key.domain, [])
        if any(type(key.private) is type(other.private) for other in keys):
            raise Misconfigured(
                f"BARID_DKIM_KEYS has two keys of one kind for {key.domain}; leave one, of {file.name} and the other"
            )
        keys.append(key)
    if not found:
        raise Misconfigured(f"BARID_DKIM_KEYS has no key in it: {folder}")
    if found.keys() != named:
        raise Misconfigured(
            f"BARID_DKIM_DOMAINS must be {_listed(found)}, the domains of the keys in BARID_DKIM_KEYS, and is"
            f" {_listed(named) or 'not set'}"
        )
    return {domain: sorted(keys, key=_ed25519_last) for domain, keys in found.items()}


def _listed(domains: Iterable[str]) -> str:
    return ",".join(sorted(domains))


def _load(file: Path) -> SigningKey:
    name = _NAME.fullmatch(file.name)
    if name is None:
        raise Misconfigured(
            f"BARID_DKIM_KEYS: {file.name} must be named <selector>._domainkey.<domain>.pem, in lower case"
        )
    try:
        private = load_pem_private_key(file.read_bytes(), password=None)
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise Misconfigured(f"BARID_DKIM_KEYS: {file.name} is no readable private key in PEM") from error
    if not isinstance(private, RSAPrivateKey | Ed25519PrivateKey):
        raise Misconfigured(f"BARID_DKIM_KEYS: {file.name} must be an RSA or an Ed25519 key")
    if isinstance(private, RSAPrivateKey) and private.key_size < LEAST_RSA_BITS:
        raise Misconfigured(
            f"BARID_DKIM_KEYS: {file.name} has {private.key_size} bits; providers want {LEAST_RSA_BITS}"
        )
    return SigningKey(name["domain"], name["selector"], private)


def _ed25519_last(key: SigningKey) -> bool:
    return isinstance(key.private, Ed25519PrivateKey)
