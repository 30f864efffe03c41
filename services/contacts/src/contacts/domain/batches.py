"""Cutting a row of texts into batches."""

from collections.abc import Iterable, Iterator


def pack(texts: Iterable[str], most: int, most_bytes: int) -> Iterator[list[str]]:
    """Batches in order, of at most so many texts and, joined by commas, so many bytes.

    A text that is too large by itself gets a batch of its own: nobody is left out because of size.
    """
    batch: list[str] = []
    size = 0
    for text in texts:
        length = len(text) + 1 if text.isascii() else len(text.encode()) + 1
        if batch and (len(batch) == most or size + length > most_bytes):
            yield batch
            batch, size = [], 0
        batch.append(text)
        size += length
    if batch:
        yield batch
