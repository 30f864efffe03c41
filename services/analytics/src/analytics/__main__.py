"""`analytics COMMAND`."""

import sys

from common.process import dispatch

from analytics import jobs, main, relay, worker
from analytics.settings import Settings

if __name__ == "__main__":
    sys.exit(
        dispatch("analytics", Settings, {"api": main.run, "worker": worker.run, "relay": relay.run, "jobs": jobs.run})
    )
