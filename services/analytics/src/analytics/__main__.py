"""`analytics COMMAND`."""

from common.process import Run, dispatch

from analytics import jobs, main, relay, worker
from analytics.settings import Settings

COMMANDS: dict[str, Run | str] = {
    "api": main.run,
    "worker": worker.run,
    "relay": relay.run,
    "jobs": jobs.run,
}

if __name__ == "__main__":
    dispatch("analytics", Settings, COMMANDS)
