"""Faults that a test of a launcher can switch on.

TREE_FAULTS is a comma-separated list of NAME or NAME:VALUE; the tree's README lists the names.
"""

import os
import threading
import time


def fault(name):
    """The value of a fault that is switched on ("" where it has none), else None."""
    for word in os.environ.get("TREE_FAULTS", "").split(","):
        key, _, value = word.strip().partition(":")
        if key == name:
            return value
    return None


def count(name):
    """The whole number behind a fault's name; 0 where the fault is off."""
    value = fault(name)
    return 0 if value is None else int(value or 1)


def seconds(name, default):
    """A time from the environment, in seconds."""
    return float(os.environ.get(name) or default)


def end_with_parent():
    """Ends this process when the one that started it is gone, as where pytest-timeout ends pytest in the middle of a test."""
    parent = os.getppid()

    def watch():
        while os.getppid() == parent:
            time.sleep(0.2)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
