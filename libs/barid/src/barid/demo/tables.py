"""What the demo prints at its end, and whether it all adds up."""

from collections import Counter
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from barid.demo.readers import Played

Found = dict[str, Any]


def closes(books: Found, report: Found, played: Played) -> bool:
    """Every recipient is accounted for, the mailbox has what the books call sent, and the report what was played."""
    ended = books["sent"] + sum(books["failed"].values())
    ended += sum(_number(books[name]) for name in ("suppressed", "uncertain", "expired", "cancelled"))
    return (
        bool(books["balanced"])
        and books["open"] == 0
        and books["eligible"] == ended > 0
        and books["audience"] == books["eligible"] + sum(books["excluded"].values())
        and played.mails == played.arrived == books["sent"] == report["sent"]
        and agrees(report, played)
    )


def agrees(report: Found, played: Played) -> bool:
    """Whether the report says what was played. Somebody who clicks has opened, so opens may be more."""
    return bool(
        report["clicks"]["unique"] == len(played.clicked)
        and report["opens"]["unique"] >= len(played.opened)
        and report["unsubscribed"] == len(played.left)
        and (report["clicks"]["machine"] > 0) == bool(played.scanned)
    )


def show(console: Console, books: Found, report: Found, leads: list[Found], played: Played) -> None:
    """The import, the books, the report, and the best leads with their reasons."""
    console.print()
    console.print(_pairs("Import", played.imported))
    console.print(
        _pairs("Balance", {name: value for name, value in books.items() if name not in ("id", "campaign_id")})
    )
    opens, clicks = report["opens"], report["clicks"]
    shown = {
        "sent": report["sent"],
        "opened": f"{opens['unique']} people, {opens['total']} times ({opens['machine']} by machines)",
        "clicked": f"{clicks['unique']} people, {clicks['total']} times ({clicks['machine']} by machines)",
        "unsubscribed": report["unsubscribed"],
        "bounced": report["bounced"],
    }
    console.print(_pairs("Report", shown))
    table = Table(title="Top leads", box=box.SIMPLE, title_justify="left", title_style="bold", pad_edge=False)
    for name in ("score", "grade", "who", "why"):
        table.add_column(name)
    for lead in leads:
        contact = lead["contact"]
        name = " ".join(filter(None, (contact.get("first_name"), contact.get("last_name")))) or contact["email"]
        table.add_row(f"{lead['score']:.0f}", lead["grade"], name, _why(lead["reasons"]))
    console.print(table)


def _why(reasons: list[Found]) -> str:
    points: Counter[str] = Counter()
    times: Counter[str] = Counter()
    for reason in reasons:
        points[reason["rule"]] += reason["decayed"]
        times[reason["rule"]] += 1
    return ", ".join(f"{rule} ×{times[rule]} (+{value:.1f})" for rule, value in points.most_common(4))


def _pairs(title: str, values: Found) -> Table:
    table = Table(
        title=title, box=box.SIMPLE, show_header=False, title_justify="left", title_style="bold", pad_edge=False
    )
    table.add_column("what")
    table.add_column("how many", justify="right")
    for name, value in values.items():
        if isinstance(value, dict):
            for inner, number in value.items():
                table.add_row(f"{name}: {inner}", str(number))
        else:
            table.add_row(name, "yes" if value is True else "no" if value is False else str(value))
    return table


def _number(value: Any) -> int:
    return sum(value.values()) if isinstance(value, dict) else int(value)
