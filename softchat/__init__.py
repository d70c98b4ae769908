"""softchat: chat with a local model that thinks in concept tokens, and watch it happen.

    with softchat.load("smollm2-135m") as model:
        for event in model.ask("Why is the sky blue?", tau=0.05):
            print(event)

What the package gives is imported when it is first asked for, so that `import softchat` is instant.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from softchat.base.version import __version__ as __version__
    from softchat.errors import SoftchatError as SoftchatError
    from softchat.events import Answer as Answer
    from softchat.events import Event as Event
    from softchat.events import Finished as Finished
    from softchat.events import Halted as Halted
    from softchat.events import Prefill as Prefill
    from softchat.events import Started as Started
    from softchat.events import Step as Step
    from softchat.model import Model as Model
    from softchat.model import load as load
    from softchat.record.runs import Run as Run
    from softchat.record.runs import split_runs as split_runs
    from softchat.record.trace import TraceWriter as TraceWriter
    from softchat.record.trace import replay as replay
    from softchat.settings import Settings as Settings
    from softchat.talk.conversation import Conversation as Conversation

_HOMES = {
    "base.version": ("__version__",),
    "talk.conversation": ("Conversation",),
    "errors": ("SoftchatError",),
    "events": ("Answer", "Event", "Finished", "Halted", "Prefill", "Started", "Step"),
    "model": ("Model", "load"),
    "record.runs": ("Run", "split_runs"),
    "settings": ("Settings",),
    "record.trace": ("TraceWriter", "replay"),
}

__all__ = [name for names in _HOMES.values() for name in names]  # once, above


def __getattr__(name: str) -> object:
    for home, names in _HOMES.items():
        if name in names:
            return getattr(importlib.import_module(f"softchat.{home}"), name)
    raise AttributeError(f"module 'softchat' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *(name for names in _HOMES.values() for name in names)])
