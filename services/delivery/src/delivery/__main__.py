"""`delivery COMMAND`."""

from common.process import Run, dispatch

from delivery.settings import Settings

COMMANDS: dict[str, Run | str] = {
    "api": "delivery.main:run",
    "worker": "delivery.worker:run",
    "relay": "delivery.relay:run",
    "jobs": "delivery.jobs:run",
    "mailer": "delivery.mailer:run",
    "tracker": "delivery.tracker:run",
    "reseal": "delivery.jobs:reseal",
    "inbound": "delivery.inbound:run",
}

if __name__ == "__main__":
    dispatch("delivery", Settings, COMMANDS)
