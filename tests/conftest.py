"""One thread a test process: two of them share a small machine, and spinning threads slow each other down."""

import os

os.environ["OMP_NUM_THREADS"] = "1"
os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
