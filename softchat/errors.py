"""The errors that softchat raises on purpose. Each says what is wrong and offers a way out.

SoftchatError                 exit status 1, kind "runtime"
├── UsageError                2, "usage"             a flag, a setting or the input is wrong
├── ModelError                3
│   ├── ModelNotFoundError    3, "model_not_found"   no such name or file, or it can't be fetched
│   └── ModelRefusedError     3, "model_refused"     it can't be loaded, or proven exact
├── ContextError              1, "context"           the prompt does not fit
├── DecodeError               1, "decode"            llama.cpp failed while running
├── NumericsError             1, "numerics"          the model's numbers are NaN or infinite
├── WorkerDiedError           1, "worker_died"       the process that llama.cpp runs in has ended
│   └── ServerError           1, "server"            an RPC server can't be reached, or has gone
└── DecodeAbortedError        130, "interrupted"     the user stopped a decode half way

The command line catches the root once; whatever else is raised is a bug and keeps its traceback.
"""

from __future__ import annotations

from types import UnionType
from typing import ClassVar


class SoftchatError(Exception):
    """An expected failure: one line for the user, a hint, and an exit status."""

    exit_status: ClassVar[int] = 1
    kind: ClassVar[str] = "runtime"

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(SoftchatError):
    """A flag, a setting or the input is wrong."""

    exit_status = 2
    kind = "usage"


class ModelError(SoftchatError):
    """Something about the model."""

    exit_status = 3
    kind = "model"


class ModelNotFoundError(ModelError):
    """No such name or file, or it cannot be fetched."""

    kind = "model_not_found"


class ModelRefusedError(ModelError):
    """The file is there, but it cannot be loaded, or soft thinking on it cannot be proven exact."""

    kind = "model_refused"


class ContextError(SoftchatError):
    """The prompt does not fit into the context."""

    kind = "context"


class DecodeError(SoftchatError):
    """llama.cpp failed while running."""

    kind = "decode"


BROKEN_NUMBERS = "the file may be damaged, or its numbers too large for this device"
"""The hint of a NumericsError."""


class NumericsError(SoftchatError):
    """The model's numbers are none: NaN or infinite."""

    kind = "numerics"


class WorkerDiedError(SoftchatError):
    """The process that llama.cpp runs in has ended, as nothing asked it to."""

    kind = "worker_died"


class ServerError(WorkerDiedError):
    """An RPC server that a model is to be on does not answer, or has gone and taken it along."""

    kind = "server"


class DecodeAbortedError(SoftchatError):
    """The user stopped a decode half way; the engine has rolled back to before it."""

    exit_status = 130
    kind = "interrupted"


def check_type(name: str, value: object, kind: type | UnionType, wanted: str) -> None:
    """Raise UsageError unless a value is of this kind, which bool never is: it may be anything."""
    if not isinstance(value, kind) or isinstance(value, bool):
        raise UsageError(f"{name} is {value!r:.99}", hint=f"it must be {wanted}")


def check_callable(name: str, value: object) -> None:
    """Raise UsageError unless a value can be called."""
    if not callable(value):
        raise UsageError(f"{name} is {value!r:.99}", hint="it must be a function")
