"""A process settles what it has loaded, so that the collector does not walk it with every batch."""

import subprocess
import sys

PROCESS = """
import asyncio, gc
from common.process import run_process

async def main(stop):
    assert gc.get_freeze_count() > 10_000, gc.get_freeze_count()
    assert gc.get_threshold()[0] > 5_000, gc.get_threshold()
    gc.collect()
    print("settled")

run_process(main)
"""


def test_a_process_leaves_what_it_loaded_out_of_collections() -> None:
    answer = subprocess.run([sys.executable, "-c", PROCESS], capture_output=True, text=True, check=False, timeout=60)
    assert answer.stdout == "settled\n", answer.stderr
