"""`barid COMMAND`."""

import asyncio
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any
from uuid import UUID

import typer
from common.errors import BaridError, Misconfigured
from common.exits import FAILED, MISCONFIGURED, brief, fail

from barid.settings import StackSettings, stack_settings

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Barid on one machine: start it, look after it, and see it work.",
    epilog="Examples:\n\n- `barid demo`\n\n- `BARID_PORT=9090 barid up`\n\n- `barid dlq list`",
)
dlq = typer.Typer(no_args_is_help=True, help="Events that could not be handled: look at them, try them again.")
app.add_typer(dlq, name="dlq")
topics = typer.Typer(no_args_is_help=True, help="The topics of a Kafka cluster.")
app.add_typer(topics, name="topics")

Service = Annotated[str, typer.Option(help="contacts, campaigns, delivery or analytics; all of them without it")]


@contextmanager
def one_line() -> Iterator[None]:
    """What cannot be done ends with one line, and a status that says whose fault it is."""
    try:
        yield
    except Misconfigured as error:
        fail(f"barid: {error.message}", MISCONFIGURED)
    except BaridError as error:
        fail(f"barid: {error.message}{f' ({error.mend})' if error.mend else ''}", FAILED)
    except (OSError, TimeoutError) as error:
        fail(f"barid: {brief(error)}", FAILED)


def say(text: str = "") -> None:
    """A line for people or programs."""
    typer.echo(text)


@app.command(
    epilog="Examples:\n\n- `barid up`\n\n- `BARID_PORT=9090 BARID_SMTP_URL=smtp://127.0.0.1:2525 barid up`\n\n"
    "- `BARID_BUS=kafka BARID_KAFKA_BOOTSTRAP=127.0.0.1:9092 barid up`"
)
def up(
    *,
    foreground: Annotated[bool, typer.Option(help="stay, and stop everything on Ctrl-C")] = False,
) -> None:
    """Start Barid on this machine and leave it running; prints address and token."""
    from barid.launch import run_here, start

    with one_line():
        settings = stack_settings()
        if foreground:
            run_here(settings, _ready)
        else:
            _ready(start(settings))


@app.command(epilog="Example: `barid down`")
def down() -> None:
    """Stop what `barid up` started; the data stays."""
    from barid.launch import stop

    with one_line():
        say("stopped" if stop(stack_settings().area) else "nothing runs here")


@app.command(epilog="Example: `barid demo`, and then `barid up` to look around")
def demo(
    *,
    keep: Annotated[bool, typer.Option(help="leave everything running afterwards")] = False,
) -> None:
    """Run the whole main job once on real input: import, segment, send, open, click, score, close the books."""
    from barid.demo import play

    with one_line():
        sys.exit(play(stack_settings(), keep=keep))


@app.command(epilog="Example: `DATABASE_URL=postgresql://admin:…@db/postgres barid migrate`")
def migrate() -> None:
    """Make the five databases and their roles if they are missing, and bring each to its newest revision."""
    from barid.prepare import migrate as run

    with one_line():
        run(stack_settings(), lambda database: say(f"migrating {database}"))


@app.command(epilog="Example: `DATABASE_URL=postgresql://admin:…@db/postgres CONTACTS_DATABASE_URL=… barid provision`")
def provision() -> None:
    """Make the databases and roles that the services' URLs name, and set their passwords; migrates nothing."""
    from barid.prepare import provision_given

    with one_line():
        for database in provision_given(stack_settings()):
            say(f"{database} is there, with its roles")


@app.command(epilog='Example: `barid bootstrap --workspace "Acme" --email ops@acme.example`')
def bootstrap(
    workspace: Annotated[str, typer.Option(help="name of the workspace; made if it is missing")],
    email: Annotated[str, typer.Option(help="address of its owner; made a member if missing")],
    postal_address: Annotated[str, typer.Option(help="printed below every campaign")] = "",
    tracking: Annotated[str, typer.Option(help="none or individual")] = "none",
) -> None:
    """Make a workspace and its first owner; prints their ids and a token as JSON."""
    from barid.prepare import bootstrap as run

    values = {"tracking_mode": tracking, **({"postal_address": postal_address} if postal_address else {})}
    with one_line():
        made = run(stack_settings(), name=workspace, owner_email=email, values=values)
        say(json.dumps({"workspace_id": str(made.workspace_id), "member_id": str(made.member_id), "token": made.token}))


@app.command(epilog="Examples:\n\n- `barid token`\n\n- `barid token --workspace 0198… --hours 8`")
def token(
    workspace: Annotated[UUID | None, typer.Option(help="id of the workspace; the local one without it")] = None,
    hours: Annotated[float, typer.Option(min=0.01, max=8784, help="how long it is valid")] = 24.0,
) -> None:
    """Print a new token of a workspace's owner."""
    from barid import state
    from barid.prepare import token as make

    with one_line():
        settings = stack_settings()
        wanted = workspace or UUID(state.read(settings.area)["workspace_id"])
        say(make(settings, wanted, int(hours * 3600)))


@app.command(epilog="Examples:\n\n- `barid settings`\n\n- `barid settings --secrets > secrets.env`")
def settings(
    *,
    secrets: Annotated[bool, typer.Option(help="print new secrets instead, as NAME=value lines")] = False,
) -> None:
    """List every setting: its name, what it is for, and what it is without being set."""
    with one_line():
        if secrets:
            from barid.keys import make

            made = make()
            say(f"BARID_TOKEN_SIGNING_KEY='{made.token_signing_key}'\nBARID_TOKEN_KEYS='{made.token_keys}'")
            say(f"BARID_LINK_KEYS='{made.link_keys}'\nBARID_PEPPER='{made.pepper}'")
            say(f"BARID_SEALING_KEYS='{made.sealing_keys}'")
            return
        from barid.show import settings_table

        settings_table()


@dlq.command(
    "list", epilog="Examples:\n\n- `barid dlq list`\n\n- `barid dlq list --service contacts --topic email.sent`"
)
def dlq_list(
    service: Service = "",
    topic: Annotated[str, typer.Option(help="only this topic")] = "",
    *,
    replayed: Annotated[bool, typer.Option(help="also those that were handled since")] = False,
) -> None:
    """List dead letters, the newest first."""
    from barid import letters

    with one_line():
        letters.show_list(stack_settings(), service, topic or None, replayed=replayed)


@dlq.command("show", epilog="Example: `barid dlq show contacts 17`")
def dlq_show(service: str, letter: int) -> None:
    """Print one dead letter with its payload, as JSON."""
    from barid import letters

    with one_line():
        letters.show_one(stack_settings(), service, letter)


@dlq.command(
    "replay", epilog="Examples:\n\n- `barid dlq replay contacts --id 17`\n\n- `barid dlq replay contacts --all`"
)
def dlq_replay(
    service: str,
    ids: Annotated[list[int] | None, typer.Option("--id", help="this one; may be repeated")] = None,
    topic: Annotated[str, typer.Option(help="only this topic")] = "",
    *,
    everything: Annotated[bool, typer.Option("--all", help="all that were not handled since")] = False,
) -> None:
    """Have dead letters handled again by their consumer."""
    from barid import letters

    with one_line():
        if not (ids or topic or everything):
            raise Misconfigured("name what to replay: --id, --topic or --all")
        letters.replay(stack_settings(), service, ids, topic or None)


@topics.command("apply", epilog="Examples:\n\n- `barid topics apply --dry-run`\n\n- `barid topics apply`")
def topics_apply(
    *,
    dry_run: Annotated[bool, typer.Option(help="only print what would be done")] = False,
) -> None:
    """Make the topics as the contracts ask; adds partitions and retention, never takes any away."""
    from common.bus.kafka.options import KafkaOptions
    from common.bus.kafka.topics import apply
    from common.contracts.topics import TOPICS
    from common.settings import SharedSettings, load

    with one_line():
        options = KafkaOptions.of(load(SharedSettings))
        changes = asyncio.run(apply(options, TOPICS, dry_run=dry_run))
        for change in changes:
            say(f"{change.kind}\t{options.prefix}{change.topic}\t{change.text}")
        if not changes:
            say(f"{len(TOPICS)} topics at {options.bootstrap} are as the contracts ask")


@app.command(
    epilog="Examples:\n\n- `BARID_KAFKA_BOOTSTRAP=kafka:9092 barid drain --dry-run`\n\n"
    "- `BARID_KAFKA_BOOTSTRAP=kafka:9092 barid drain`, then `barid down`, then the same with"
    " `BARID_BUS=kafka barid up`"
)
def drain(
    timeout: Annotated[float, typer.Option(min=0, help="seconds to wait for the consumers")] = 600.0,
    *,
    dry_run: Annotated[bool, typer.Option(help="check the topics and print what is unread; change nothing")] = False,
    cancel: Annotated[bool, typer.Option(help="open the log again, if nothing is on Kafka yet")] = False,
) -> None:
    """Move from BARID_BUS=postgres to kafka: nothing more is appended to the log, and every group reads it to its end.

    Leave everything running meanwhile: writes are accepted, and their events wait. Status 0 only when nothing is left.
    It may be stopped and run again at any time.
    """
    from barid import drain as moving

    with one_line():
        if cancel:
            asyncio.run(moving.cancel(stack_settings(), say))
            return
        try:
            asyncio.run(moving.drain(stack_settings(), say, timeout_s=timeout, dry_run=dry_run))
        except moving.NotDrained as error:
            for line in error.lines:
                typer.echo(line, err=True)
            raise


@app.command(epilog="Example: `barid run all`")
def run(
    process: Annotated[str, typer.Argument(help="gateway, all, mailer or sink")],
) -> None:
    """Run one process of the stack in the foreground; the supervisor does this."""
    from common.logging import set_up_logging
    from common.process import run_process
    from common.settings import SharedSettings, load
    from common.telemetry import set_up_tracing

    from barid.processes import PROCESSES, watch_parent

    async def main(stop: asyncio.Event) -> None:
        watching = asyncio.create_task(watch_parent(stop, os.getppid()))
        try:
            await PROCESSES[process](stop)
        finally:
            watching.cancel()

    with one_line():
        if process not in PROCESSES:
            raise Misconfigured(f"{process} is no process: {', '.join(PROCESSES)}")
        shared: SharedSettings = load(SharedSettings)
        set_up_logging("barid", process, shared.log_level)
        set_up_tracing(f"barid-{process}", shared.otlp_endpoint)
        run_process(main)


@app.command(hidden=True)
def prepare() -> None:
    """Migrate, make the local workspace, and print it with a token as JSON."""
    from barid import prepare as preparing

    with one_line():
        stack = stack_settings()
        preparing.migrate(stack, lambda _: None)
        made = preparing.bootstrap(stack, **preparing.LOCAL)
        say(json.dumps({"workspace_id": str(made.workspace_id), "token": made.token}))


@app.command(hidden=True)
def supervise(tell: int, *, sink: bool = False) -> None:
    """Be the supervisor; steps go to a file descriptor as JSON lines."""
    from barid.launch import supervise as begin

    begin(stack_settings(), tell, sink=sink or None)


def _ready(info: dict[str, Any]) -> None:
    say(f"Barid runs at {info['url']}")
    if info["mailbox"]:
        say(f"Mailbox    {info['mailbox']}")
    say(f"Token      {info['token']}")


__all__ = ["StackSettings", "app"]

if __name__ == "__main__":
    app(prog_name="barid")
