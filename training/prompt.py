"""The prompt that softchat makes of a question, and how a trained answer is put behind it."""

from __future__ import annotations

from softchat.engine.protocol import Engine
from softchat.prompt.tags import ThinkTags
from softchat.prompt.template import make_prompt, single_turn
from softchat.thinking.prompt import Prompt

SYSTEM = "You are a helpful assistant. First think, then answer."
"""The system prompt that the adapter is trained with; models.toml gives the same."""

TAGS = ThinkTags()
CLOSE = TAGS.before_close + TAGS.close + TAGS.after_close
END = "<|im_end|>"


def make_question_prompt(engine: Engine, question: str, system: str = SYSTEM) -> Prompt:
    """The prompt up to the open thinking tag, exactly as `softchat ask` makes it."""
    return make_prompt(engine, single_turn(question, system), tags=TAGS)
