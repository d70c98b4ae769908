"""The one way from what is to be loaded to a backend that answers: here, or in a worker process.

Imports neither an engine nor what starts a worker before it is needed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from softchat.engine.llama import LlamaEngine
    from softchat.talk.backend import Backend
    from softchat.talk.load import Load
    from softchat.talk.worker.process import Worker

_BASE = "no chat template: a base model, which goes on with a text rather than answers"


def open_backend(
    load: Load, *, worker: Worker | None = None, cancelled: Callable[[], bool] = lambda: False
) -> Backend:
    """The model, loaded and proven: ready to answer.

    Args:
        load: which model, and how.
        worker: the process that it is loaded in, closed with the backend; None: this one.
        cancelled: True stops loading.

    Raises:
        ModelRefusedError: it can't be loaded, can't be proven, or its file has killed the worker.
        ServerError: an RPC server does not answer.
        DecodeAbortedError: `cancelled` said so.

    """
    if worker is not None:
        from softchat.talk.worker.remote import WorkerBackend

        return WorkerBackend(worker, load, cancelled=cancelled)
    from softchat.talk.local import LocalBackend
    from softchat.talk.prompt_cache import PromptCache

    engine = load.engine(cancelled=cancelled)
    folder = load.prompt_cache if engine.can_restore else None
    kept = PromptCache(folder, engine) if folder else None
    return LocalBackend(engine, tags=load.tags, prompt_cache=kept, note=note_of(engine))


def note_of(engine: LlamaEngine) -> str:
    """What its user should be told of a model that is loaded; empty: nothing."""
    return "; ".join(filter(None, (engine.note, "" if engine.chat_template else _BASE)))
