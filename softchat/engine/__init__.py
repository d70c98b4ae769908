"""The engine: tokens or embedding rows in, logits out. The one place that knows llama.cpp."""

import os

# An abort would start a debugger; ggml looks for this when it is loaded.
os.environ.setdefault("GGML_NO_BACKTRACE", "1")
