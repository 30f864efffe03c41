"""Secrets at rest: AES-256-GCM with a ring of keys. The first key seals, all open.

version | key id (length, bytes) | nonce (12) | ciphertext and tag. The context and everything before the nonce are
authenticated too: what was sealed for one row does not open as another's.
"""

import os
from collections.abc import Mapping

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

VERSION = 1
_NONCE = 12
_TAG = 16


class CannotOpen(Exception):
    """Not sealed by a key of the ring for this context, or changed since. The message says which, as far as it can."""


class Sealer:
    """Seals and opens with the keys of BARID_SEALING_KEYS (`settings.sealing_key_ring()`)."""

    def __init__(self, ring: Mapping[str, bytes]) -> None:
        self._keys = {key_id.encode(): AESGCM(key) for key_id, key in ring.items()}
        self._current = next(iter(self._keys))

    def seal(self, plain: bytes, context: str) -> bytes:
        """Seal for a place, named so that no other has its name: "route/<workspace>/<id>"."""
        header, nonce = self.header, os.urandom(_NONCE)
        return header + nonce + self._keys[self._current].encrypt(nonce, plain, header + context.encode())

    def open(self, sealed: bytes, context: str) -> bytes:
        """What was sealed for this place. Raises CannotOpen."""
        if len(sealed) < 2 or sealed[0] != VERSION:
            raise CannotOpen("this was not sealed here, or by a later version")
        end = 2 + sealed[1]
        header, nonce, rest = sealed[:end], sealed[end : end + _NONCE], sealed[end + _NONCE :]
        if len(rest) < _TAG:
            raise CannotOpen("a part of what was sealed is missing")
        key = self._keys.get(header[2:])
        if key is None:
            name = header[2:].decode("utf-8", "replace")
            raise CannotOpen(f"sealed with the key {name!r}, which BARID_SEALING_KEYS has no more: put it back, last")
        try:
            return key.decrypt(nonce, rest, header + context.encode())
        except InvalidTag as error:
            raise CannotOpen("changed since it was sealed, or sealed for another place, or by another key") from error

    @property
    def header(self) -> bytes:
        """How all begins that the current key sealed."""
        return bytes((VERSION, len(self._current))) + self._current
