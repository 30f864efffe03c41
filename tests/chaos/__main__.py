"""`python -m tests.chaos [--only F8,F1] [--seed N] [--bus kafka] [--size N]`: faults against a running Barid.

Prints one table, writes var/chaos.json, and ends with status 1 if anything that was promised did not hold.
"""

import argparse
import logging
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from tests.chaos.bench import Bench, bench
from tests.chaos.results import Result, read, readme, summed, table, write
from tests.chaos.rows import Row, all_rows
from tests.fixtures.environment import PLACE
from tools.kafka import NoBroker

BUSES = ("postgres", "kafka")
SIZE = 20_000


def main() -> int:
    """Run the rows one after another, on one bus after the other."""
    rows = all_rows()
    arguments = _arguments(rows)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that a time-out leaves nothing behind
    if arguments.table is not None:
        if not (found := read(arguments.out)):
            sys.exit(f"there is no {arguments.out}: `make chaos` writes it")
        text = arguments.table.read_text(encoding="utf-8")
        faults = {name: row.fault for name, row in rows.items()}
        arguments.table.write_text(readme(text, found, faults, BUSES), encoding="utf-8")
        return 0
    console, results, not_run = Console(stderr=True), [], []
    wanted = [rows[name] for name in arguments.only or rows]
    for bus in arguments.bus:
        try:
            with _place() as area, bench(area, bus, arguments.size, arguments.seed) as made:
                for one in wanted:
                    results.append(_run(one, made, console))
                    write(results, arguments.out)
                if arguments.keep and any(not result.held for result in results):
                    shutil.copytree(area, arguments.keep, dirs_exist_ok=True, ignore=shutil.ignore_patterns("postgres"))
        except NoBroker as error:
            not_run.append(f"{bus}: not run: {error}")
    Console(width=None if sys.stdout.isatty() else 200).print(
        table(results, {name: row.fault for name, row in rows.items()})
    )
    for line in not_run:
        console.print(line, style="red")
    return 1 if not_run or any(not result.held for result in results) else 0


def _run(row: Row, made: Bench, console: Console) -> Result:
    """One row; one that breaks is a violation, and the next one still runs."""
    began = time.monotonic()
    with _progress(row, made, console):
        try:
            verdicts, note, violations = row.run(made)
        except Exception as error:
            traceback.print_exc()
            verdicts, note, violations = [], "", [f"{type(error).__name__}: {str(error)[:600]}"]
        finally:
            made.settle()
    violations = [*violations, *(line for verdict in verdicts for line in verdict.violations)]
    seconds = round(time.monotonic() - began, 1)
    result = Result(
        row.name, made.bus, made.seed, **summed(verdicts), seconds=seconds, note=note, violations=violations
    )
    word = "[green]held[/]" if result.held else f"[red]{len(violations)} violations[/]"
    console.print(f"{row.name} on {made.bus}: {word}, {result.recipients:,} recipients, {seconds:.0f} s; {note}")
    return result


@contextmanager
def _progress(row: Row, made: Bench, console: Console) -> Iterator[None]:
    """How many mails the sink has had in this row, while it runs."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    over = threading.Event()

    def watch() -> None:
        with Progress(*columns, console=console, transient=True) as progress:
            task = progress.add_task(f"{row.name} on {made.bus}: {row.fault}", total=made.size)
            before = _arrived(made)
            while not over.wait(0.5):
                progress.update(task, completed=_arrived(made) - before)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join(5)


def _arrived(made: Bench) -> int:
    stats = made.sink.tell()
    return int(stats.get("taken", 0) + stats.get("kept", 0))


def _arguments(rows: dict[str, Row]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--only", type=lambda names: names.split(","), help=f"some of: {','.join(rows)}")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--bus", type=lambda bus: bus.split(","), default=list(BUSES), help="postgres or kafka")
    parser.add_argument("--size", type=int, default=SIZE, help=f"recipients of a row, {SIZE} without it")
    parser.add_argument("--out", type=Path, default=Path("var/chaos.json"))
    parser.add_argument("--keep", type=Path, help="where to leave logs when something did not hold")
    parser.add_argument("--table", type=Path, help="run nothing: write the table of --out into this README")
    arguments = parser.parse_args()
    for given, known in ((arguments.only or [], rows), (arguments.bus, BUSES)):
        if unknown := set(given) - set(known):
            parser.error(f"no such row or bus: {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    return arguments


@contextmanager
def _place() -> Iterator[Path]:
    place = Path(tempfile.mkdtemp(prefix="barid-chaos-"))
    place.chmod(0o711)
    os.environ[PLACE] = str(place)
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
