"""`campaigns COMMAND`."""

import sys

from common.process import dispatch

from campaigns import jobs, main, relay, worker
from campaigns.settings import Settings

if __name__ == "__main__":
    sys.exit(
        dispatch(
            "campaigns",
            Settings,
            {"api": main.run, "worker": worker.run, "relay": relay.run, "jobs": jobs.run, "republish": jobs.republish},
        )
    )
