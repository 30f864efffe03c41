"""Moving an installation from the `postgres` bus to `kafka` (docs/adr/0017)."""

from barid.drain.move import NotDrained, cancel, drain

__all__ = ["NotDrained", "cancel", "drain"]
