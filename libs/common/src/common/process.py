"""Starting and stopping a process: settings, logs, signals, draining, and one clear line when it cannot start."""

import argparse
import asyncio
import inspect
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from importlib import import_module
from typing import Any, NoReturn, get_args

import asyncpg
import structlog
import uvloop

from common.errors import BaridError, Misconfigured
from common.exits import FAILED, MISCONFIGURED, brief, fail
from common.guard import guard
from common.health import health
from common.logging import set_up_logging
from common.memory import settle_when_loaded
from common.production import no_default_secrets
from common.settings import ServiceSettings, load
from common.telemetry import set_up_tracing
from common.web.server import serve

__all__ = ["brief", "dispatch", "fail", "run_process", "serve"]

# Kubernetes kills 30 s after SIGTERM.
GRACE_S = 25.0

Run = Callable[..., Awaitable[None]]

_UNREACHABLE = (OSError, asyncpg.PostgresConnectionError, asyncpg.InvalidAuthorizationSpecificationError)
_UNKNOWN_DATABASE = asyncpg.InvalidCatalogNameError

log = structlog.get_logger()


def dispatch(
    service: str,
    settings: type[ServiceSettings],
    commands: Mapping[str, Run | str],
    argv: Sequence[str] | None = None,
    *,
    guarded: bool = True,
) -> NoReturn:
    """Run `<service> COMMAND`. A command is a process module's `run`, or "package.module:run" to import it late.

    Parameters of `run` after `settings` and `stop` become options (`only` → `--only NAME`), or, without a default,
    words that must follow the command; a `Literal` says which. Nothing runs before `guard` has looked at what it
    needs; `guarded=False` is for a program without a database.
    """
    parser = _parser(service, commands)
    arguments, rest = parser.parse_known_args(argv)
    name: str = arguments.command
    try:
        if name == "migrate":
            from common.db.migrate import upgrade  # the other commands need no Alembic

            _options(parser, None, rest)
            loaded = load(settings)
            no_default_secrets(loaded)
            set_up_logging(service, name, loaded.log_level)
            upgrade(service, loaded.require_url("owner"))
            sys.exit(0)
        run = _resolve(commands[name])
        options = _options(parser, run, rest)
        loaded = load(settings)
        no_default_secrets(loaded)
        set_up_logging(service, name, loaded.log_level)
        set_up_tracing(service, loaded.otlp_endpoint)

        async def main(stop: asyncio.Event) -> None:
            these = [(service, name, loaded)]
            async with health(loaded, these):
                if not guarded or await guard(stop, loaded, these, options.get("only")):
                    await run(loaded, stop, **options)

        run_process(main, loaded.grace_s)
    except Misconfigured as error:
        fail(f"{service} {name}: {error.message}", MISCONFIGURED)
    except (BaridError, ExceptionGroup) as error:
        told = _told(error)
        if told is None:
            raise
        fail(f"{service} {name}: {told.message}" + (f" ({told.mend})" if told.mend else ""), FAILED)
    except (*_UNREACHABLE, _UNKNOWN_DATABASE) as error:
        fail(f"{service} {name}: the database cannot be used: {brief(error)}", FAILED)
    sys.exit(0)


def _told(error: Exception) -> BaridError | None:
    """The error that says for itself what is wrong, also from within task groups; None beside any other error."""
    if isinstance(error, ExceptionGroup):
        first, *others = error.exceptions
        return _told(first) if not others else None
    return error if isinstance(error, BaridError) else None


def run_process(
    main: Callable[[asyncio.Event], Awaitable[None]],
    grace_s: float = GRACE_S,
    loop: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop,
) -> None:
    """Run until it returns. SIGTERM and SIGINT set the event; then it has `grace_s` to drain.

    A second signal ends the draining. Raises what `main` raises, and SystemExit when it did not drain in time.
    """
    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(_until_stopped(main, grace_s))


async def _until_stopped(main: Callable[[asyncio.Event], Awaitable[None]], grace_s: float) -> None:
    settle_when_loaded()
    stop, hurry = asyncio.Event(), asyncio.Event()

    def signalled() -> None:
        (hurry if stop.is_set() else stop).set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, signalled)
    work = asyncio.ensure_future(main(stop))
    stopped = asyncio.ensure_future(stop.wait())
    await asyncio.wait({work, stopped}, return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    if not work.done():
        hurried = asyncio.ensure_future(hurry.wait())
        await asyncio.wait({work, hurried}, timeout=grace_s, return_when=asyncio.FIRST_COMPLETED)
        hurried.cancel()
    if work.done():
        await work
        return
    work.cancel()
    await asyncio.wait({work}, timeout=2)
    log.error("not drained in time", grace_s=grace_s)
    sys.exit(FAILED)


def _parser(service: str, commands: Mapping[str, Run | str]) -> argparse.ArgumentParser:
    names = [*commands, "migrate"]
    only = "worker" if "worker" in commands else next(iter(commands))
    words = [
        f"  {service} {name} {'|'.join(get_args(parameter.annotation))}\n"
        for name, run in commands.items()
        for parameter in _parameters(run)
        if parameter.default is parameter.empty
    ]
    parser = argparse.ArgumentParser(
        prog=service,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description=f"The processes of the {service} service. Settings come from the environment: `barid settings`.",
        epilog=f"examples:\n  {service} migrate\n  {service} {names[0]}\n"
        f"  {service} {only} --only {service}.main\n{''.join(words)}\n"
        "SIGTERM drains and ends. Exit status 2: a setting is missing or wrong.",
    )
    parser.add_argument("command", choices=names, metavar=f"{{{','.join(names)}}}")
    return parser


def _options(parser: argparse.ArgumentParser, run: Run | None, rest: Sequence[str]) -> dict[str, Any]:
    own = _OneLine(prog=parser.prog, add_help=False)
    for parameter in _parameters(run):
        if parameter.default is parameter.empty:
            own.add_argument(parameter.name, choices=get_args(parameter.annotation) or None)
            continue
        kind = int if "int" in str(parameter.annotation) else str
        flag = f"--{parameter.name.replace('_', '-')}"
        own.add_argument(flag, dest=parameter.name, type=kind, default=parameter.default)
    return vars(own.parse_args(rest))


class _OneLine(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise Misconfigured(message)


def _parameters(run: Run | str | None) -> list[inspect.Parameter]:
    return list(inspect.signature(run).parameters.values())[2:] if callable(run) else []


def _resolve(command: Run | str) -> Run:
    if not isinstance(command, str):
        return command
    module, _, name = command.partition(":")
    run: Run = getattr(import_module(module), name or "run")
    return run
