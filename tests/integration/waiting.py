"""Waits for what must come, however long it takes: a test asserts no time."""

import time

from proxy import PATIENCE_S


def until(condition, why="it never came"):
    """What condition() gives once it is true."""
    end = time.monotonic() + PATIENCE_S
    while not (got := condition()):
        assert time.monotonic() < end, why
        time.sleep(0.02)
    return got
