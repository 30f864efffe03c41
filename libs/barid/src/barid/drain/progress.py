"""How far the groups are: a bar each on a terminal, a line now and then elsewhere."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from barid.drain.parts import Left

EVERY_S = 5.0

Show = Callable[[Sequence[Left]], None]


@contextmanager
def shown() -> Iterator[Show]:
    """Shows what is left each time it is given it; on standard error, so that the result stands alone."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _lines(console)
        return
    columns = (TextColumn("{task.description:20}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        bars: dict[str, TaskID] = {}

        def show(found: Sequence[Left]) -> None:
            for left in found:
                if left.group not in bars:
                    bars[left.group] = progress.add_task(left.group, total=left.total)
                total = progress.tasks[bars[left.group]].total or 0
                progress.update(bars[left.group], completed=total - left.total)

        yield show


def _lines(console: Console) -> Show:
    due = 0.0

    def show(found: Sequence[Left]) -> None:
        nonlocal due
        if time.monotonic() < due:
            return
        due = time.monotonic() + EVERY_S
        behind = ", ".join(f"{left.group} {left.total:,}" for left in found if left.total)
        console.print(f"left to read: {behind or 'nothing'}", soft_wrap=True, highlight=False)

    return show
