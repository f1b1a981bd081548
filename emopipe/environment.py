"""Environment variables that libraries read once, when they are loaded; they are set before any of them is.

What the user has set stays.
"""

from __future__ import annotations

import os

# Threads that wait for each other sleep instead of spinning. Alone it costs nothing; beside another process on the
# same cores (a queue of experiments, a busy machine) a training step is three times as fast. OpenMP reads it.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# oneDNN keeps code and buffers for every length of clip it has met, a thousand of them: memory would grow with the
# corpus for a while (measured: by a third over two hours of audio). PyTorch reads the second one for the same purpose.
os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "16")
os.environ.setdefault("LRU_CACHE_CAPACITY", "16")
