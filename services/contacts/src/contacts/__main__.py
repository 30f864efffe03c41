"""`contacts COMMAND`."""

import sys

from common.process import dispatch

from contacts import jobs, main, relay, worker
from contacts.settings import Settings

if __name__ == "__main__":
    sys.exit(
        dispatch(
            "contacts",
            Settings,
            {"api": main.run, "worker": worker.run, "relay": relay.run, "jobs": jobs.run, "republish": jobs.republish},
        )
    )
