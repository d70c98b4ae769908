"""A program on a full disk: none of its files can grow beyond so many bytes."""

from __future__ import annotations

import resource
import sys

# Python ignores SIGXFSZ: a write beyond the limit is cut short, the next fails, as on a full disk.
limit = int(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
sys.argv = ["softchat", *sys.argv[2:]]

from softchat.cli import main  # noqa: E402

main()
