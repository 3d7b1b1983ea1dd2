"""Stand-in for the check of perfMode: the CSV of test_perf.py, which test_perf_sanity.py never writes, must be there."""

import os
import sys

if not os.path.exists(sys.argv[1]):
    sys.exit(f"{sys.argv[1]} does not exist")
