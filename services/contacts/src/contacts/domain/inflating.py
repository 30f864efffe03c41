"""Reading out of what is compressed, within bounds: a bomb is told by what comes out for what went in."""

import gzip
import io
import zlib
from typing import IO

from contacts.domain.tables import Inflated

MOST_BYTES = 8 * 1024**3
MOST_RATIO = 100
_FREE_BYTES = 64 * 1024**2


class Inflating(io.RawIOBase):
    """A stream that ends with Inflated when too much has come out of `compressed` bytes. Raises it while reading."""

    def __init__(self, stream: IO[bytes], compressed: int) -> None:
        self._stream = stream
        self._left = min(MOST_BYTES, _FREE_BYTES + compressed * MOST_RATIO)
        self._most = self._left

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """The next bytes. Raises Inflated, and ValueError when the stream is damaged."""
        try:
            data = self._stream.read(len(buffer))
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise Damaged(str(error)) from error
        self._left -= len(data)
        if self._left < 0:
            raise Inflated(f"more than {self._most:,} bytes come out of the compressed file")
        buffer[: len(data)] = data
        return len(data)


class Damaged(ValueError):
    """A compressed file is cut off or was changed."""


def gunzip(file: IO[bytes]) -> io.BufferedReader:
    """The content of a gzip file, from its beginning."""
    compressed = file.seek(0, io.SEEK_END)
    file.seek(0)
    return io.BufferedReader(Inflating(gzip.GzipFile(fileobj=file, mode="rb"), compressed), 65_536)  # type: ignore[arg-type]
