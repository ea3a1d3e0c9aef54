"""One thread a test process: two of them share a small machine, and spinning threads slow each other down.

And Ctrl-C is heard: a shell that runs the tests in its background has it ignored, by them and by all that they start.
"""

import os
import signal

os.environ["OMP_NUM_THREADS"] = "1"
os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
signal.signal(signal.SIGINT, signal.default_int_handler)
