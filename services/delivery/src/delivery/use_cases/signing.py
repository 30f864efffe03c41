"""Signing in threads: the arithmetic of a signature runs outside the interpreter's lock, beside the event loop."""

import asyncio
import logging
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

from delivery.domain.dkim import SigningKey, signatures

log = logging.getLogger(__name__)


class Signer:
    """Signs mail with the keys of its sender's domain."""

    def __init__(self, keys: Mapping[str, Sequence[SigningKey]]) -> None:
        self._keys = keys
        self._threads = ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="dkim")
        self._missed: set[str] = set()

    async def sign(self, domain: str, message: bytes, at: datetime) -> bytes:
        """The message with its signatures before it; as it is where the domain has no key."""
        keys = self._keys.get(domain)
        if keys is None:
            if self._keys and domain not in self._missed:
                self._missed.add(domain)
                log.warning("mail goes out without DKIM: no key for the sender's domain", extra={"domain": domain})
            return message
        made = await asyncio.get_running_loop().run_in_executor(self._threads, signatures, keys, message, at)
        return made + message
