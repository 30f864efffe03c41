"""Telling the garbage collector what our processes are like."""

import asyncio
import gc

# How many more objects are made than freed before it looks at the youngest; how many such rounds before the older ones.
_SELDOM = (10_000, 20, 100)
_LOADED_S = 10.0


def settle() -> None:
    """Leave what is loaded now out of every later collection, and collect seldom.

    A batch is thousands of objects that live until its commit, and hold no cycles. By Python's defaults the collector
    walks them, and all that was imported, again and again: a third of the time that reading and decoding takes.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_SELDOM)


def settle_when_loaded() -> None:
    """Settle now, and once more when the start is over: much is imported only by whoever needs it."""
    settle()
    asyncio.get_running_loop().call_later(_LOADED_S, settle)
