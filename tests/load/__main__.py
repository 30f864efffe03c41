"""`python -m tests.load [--only relay,import]`: run the benches, print one table, write var/bench.json."""

import argparse
import asyncio
import logging
import signal
import sys
from contextlib import nullcontext
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

import pytest
import structlog
import uvloop

import tests.load
from tests.load.broker import broker
from tests.load.figures import Figure, table, write
from tests.load.server import server
from tools.kafka import NoBroker

# Parts of the harness; every other module here is a bench with `async def run() -> list[Figure]`.
_PARTS = {"__main__", "broker", "crowds", "figures", "mailers", "processes", "server", "workers"}


def benches() -> list[str]:
    """The benches there are. `import_` is called `import`, which Python keeps for itself."""
    return sorted(module.name for module in iter_modules(tests.load.__path__) if module.name not in _PARTS)


def main() -> int:
    """Run them one after the other; a bench that breaks ends the run with status 1, after the others."""
    parser = argparse.ArgumentParser(prog="python -m tests.load", description=__doc__)
    parser.add_argument("--only", help=f"some of: {','.join(name.rstrip('_') for name in benches())}")
    parser.add_argument("--out", type=Path, default=Path("var/bench.json"))
    arguments = parser.parse_args()
    wanted = arguments.only.split(",") if arguments.only else [name.rstrip("_") for name in benches()]
    modules = {name.rstrip("_"): f"tests.load.{name}" for name in benches()}
    if unknown := set(wanted) - modules.keys():
        parser.error(f"no such bench: {', '.join(sorted(unknown))}; there are {', '.join(sorted(modules))}")
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    figures: list[Figure] = []
    broken, not_run = [], []
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that a time-out does not leave the server behind
    with server():
        for name in wanted:
            print(f"{name} …", file=sys.stderr, flush=True)
            needs = broker() if name.startswith("kafka_") else nullcontext()
            try:
                with needs, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                    figures += runner.run(import_module(modules[name]).run())
            except NoBroker as error:
                not_run.append(f"{name}: not run: {error}")
            except (Exception, pytest.fail.Exception) as error:
                broken.append(f"{name}: {type(error).__name__}: {error}")
                structlog.get_logger().exception("bench_broken", bench=name)
    print(table(figures))
    write(figures, arguments.out)
    for line in broken + not_run:
        print(line, file=sys.stderr)
    return 1 if broken or (not_run and arguments.only) else 0


sys.exit(main())
