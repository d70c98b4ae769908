"""What soft thinking costs, against llama.cpp's own bare decoding on the same machine.

    report    the figures of a run, and how they read
    timing    measuring: the loop, by strategy, panel and position; loading, memory
    machines  the loop with layers on RPC servers
    others    other programs and libraries that are installed here

Prints nothing. All times are medians of interleaved repeats, and ratios are taken within a repeat,
so that a machine that slows down slows both sides.
"""

from softchat.bench.machines import measure_machines
from softchat.bench.report import Report
from softchat.bench.timing import measure

__all__ = ["Report", "measure", "measure_machines"]
