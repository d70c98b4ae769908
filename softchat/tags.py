"""How a model's thinking is opened and closed. Knows nothing of models or prompts."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ThinkTags:
    """The tags, and the white space around them that the model has learned.

    Where the chat template does not end in the open tag itself, softchat puts it there: so a model
    without tags of its own is made to think.
    """

    open: str = "<think>\n"
    close: str = "</think>"
    before_close: str = "\n"
    """What stands before the closing tag when softchat closes the thinking."""
    after_close: str = "\n\n"
    """What stands behind it, before the answer."""
