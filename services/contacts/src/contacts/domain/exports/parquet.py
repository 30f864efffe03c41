"""Apache Parquet, for warehouses: typed columns, row group after row group."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import IO

from arro3.core import Array, DataType, Field, RecordBatch, RecordBatchReader, Schema
from arro3.io import write_parquet as write

from contacts.domain.exports.columns import Cell, Column, Row

ROW_GROUP = 50_000
_TYPES = {
    "text": DataType.utf8(),
    "number": DataType.float64(),
    "boolean": DataType.bool(),
    "time": DataType.timestamp("us", tz="UTC"),
}


def write_parquet(columns: Sequence[Column], pages: Iterable[Sequence[Row]], file: IO[bytes]) -> None:
    """Times are UTC microseconds, numbers doubles; what a contact does not have is null."""
    schema = Schema([Field(column.name, _TYPES[column.kind], nullable=True) for column in columns])
    batches = RecordBatchReader.from_batches(schema, _batches(columns, pages, schema))
    write(batches, file, compression="zstd(3)", max_row_group_size=ROW_GROUP)


def _batches(columns: Sequence[Column], pages: Iterable[Sequence[Row]], schema: Schema) -> Iterator[RecordBatch]:
    for page in pages:
        arrays = [_array(column, [column.read(row) for row in page]) for column in columns]
        yield RecordBatch.from_arrays(arrays, schema=schema)


def _array(column: Column, cells: list[Cell]) -> Array:
    if column.kind == "time":
        micros = [round(cell.timestamp() * 1e6) if isinstance(cell, datetime) else None for cell in cells]
        return Array(micros, DataType.int64()).cast(_TYPES["time"])
    if column.kind == "number":
        return Array([None if cell is None else float(cell) for cell in cells], _TYPES["number"])  # type: ignore[arg-type]
    return Array(cells, _TYPES[column.kind])
