"""Tables on the terminal."""

from itertools import groupby

from rich import box
from rich.console import Console
from rich.table import Table

from barid.settings import catalogue


def settings_table() -> None:
    """Every setting, by group."""
    console = Console()
    for group, found in groupby(catalogue(), key=lambda setting: setting.group):
        table = Table(title=group, title_justify="left", title_style="bold", box=box.SIMPLE, pad_edge=False)
        table.add_column("setting", no_wrap=True)
        table.add_column("without it", overflow="fold")
        table.add_column("what for", overflow="fold")
        for setting in found:
            table.add_row(setting.name, setting.default, setting.description)
        console.print(table)
