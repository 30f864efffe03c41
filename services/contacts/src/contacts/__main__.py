"""`contacts COMMAND`."""

from common.process import Run, dispatch

from contacts import jobs, main, relay, worker
from contacts.settings import Settings

COMMANDS: dict[str, Run | str] = {
    "api": main.run,
    "worker": worker.run,
    "relay": relay.run,
    "jobs": jobs.run,
    "republish": jobs.republish,
    "reseal": jobs.reseal,
}

if __name__ == "__main__":
    dispatch("contacts", Settings, COMMANDS)
