"""`delivery COMMAND`."""

from common.process import dispatch

from delivery.settings import Settings

if __name__ == "__main__":
    dispatch(
        "delivery",
        Settings,
        {
            "api": "delivery.main:run",
            "worker": "delivery.worker:run",
            "relay": "delivery.relay:run",
            "jobs": "delivery.jobs:run",
            "mailer": "delivery.mailer:run",
            "tracker": "delivery.tracker:run",
        },
    )
