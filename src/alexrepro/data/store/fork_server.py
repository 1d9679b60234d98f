"""Preloaded by the process from which workers are forked: says nothing of the threads that it has then.

They are OpenBLAS's and those of pyarrow's jemalloc, and both libraries prepare each fork (pthread_atfork); Python 3.12
warns of any thread.
"""

import warnings

warnings.filterwarnings("ignore", r"This process .* is multi-threaded", DeprecationWarning)
