"""A softchat that gets no more than so much: `python -m tests.faults.limited FSIZE 300 ask why`.

FSIZE is a full disk: none of its files can grow beyond so many bytes. AS is a small memory: no more
addresses than that. What it starts has the same limit.
"""

from __future__ import annotations

import resource
import sys

# Python ignores SIGXFSZ: a write beyond the limit is cut short, the next fails, as on a full disk.
limit = int(sys.argv[2])
resource.setrlimit(getattr(resource, f"RLIMIT_{sys.argv[1]}"), (limit, limit))
sys.argv = ["softchat", *sys.argv[3:]]

from softchat.cli import main  # noqa: E402

main()
