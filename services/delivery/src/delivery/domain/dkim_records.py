"""The public half of a DKIM key as it stands in the DNS (RFC 6376 §3.6.1, RFC 8463)."""

import re
from base64 import b64decode, b64encode
from typing import Literal

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from delivery.domain.dkim import LEAST_RSA_BITS

Algorithm = Literal["rsa-sha256", "ed25519-sha256"]
_KINDS: dict[str, str] = {"rsa-sha256": "rsa", "ed25519-sha256": "ed25519"}
_CHUNK = 255  # RFC 1035 §3.3.14: a TXT record is made of strings of at most so many bytes


def make_key(algorithm: Algorithm) -> tuple[bytes, bytes]:
    """A new key: the private half as DER (PKCS #8), the public half as `p=` has it. RSA takes a tenth of a second."""
    if algorithm == "ed25519-sha256":
        small = Ed25519PrivateKey.generate()
        return _der(small), small.public_key().public_bytes_raw()
    large = rsa.generate_private_key(public_exponent=65537, key_size=LEAST_RSA_BITS)
    public = large.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return _der(large), public


def record(algorithm: str, public: bytes) -> str:
    """The text to publish at `<selector>._domainkey.<domain>`."""
    return f"v=DKIM1; k={_KINDS[algorithm]}; p={b64encode(public).decode()}"


def holds(text: str, algorithm: str, public: bytes) -> bool:
    """Whether a published record makes receivers accept signatures of this key."""
    tags = {name.strip(): value.strip() for name, _, value in (part.partition("=") for part in text.split(";"))}
    if tags.get("v", "DKIM1") != "DKIM1" or tags.get("k", "rsa") != _KINDS[algorithm]:
        return False
    hashes = tags.get("h")
    if hashes is not None and "sha256" not in [one.strip() for one in hashes.split(":")]:
        return False
    services = tags.get("s", "*").split(":")
    if not {"*", "email"} & {one.strip() for one in services}:
        return False
    try:
        return b64decode(re.sub(r"\s", "", tags.get("p", "")), validate=True) == public
    except ValueError:
        return False


def zone_line(name: str, kind: str, value: str) -> str:
    """The record as a line of a zone file (RFC 1035 §5.1), long texts in strings of 255 bytes."""
    if kind == "TXT":
        parts = [value[at : at + _CHUNK] for at in range(0, len(value), _CHUNK)]
        quoted = " ".join('"' + part.replace("\\", "\\\\").replace('"', '\\"') + '"' for part in parts)
        value = quoted if len(parts) == 1 else f"( {quoted} )"
    elif kind in {"CNAME", "MX", "PTR"}:
        value = f"{value}."
    return f"{name}. IN {kind} {value}"


def _der(key: rsa.RSAPrivateKey | Ed25519PrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
