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


# The close is all that stands between the thought and the answer, if it is more than a tag: so the
# thinking has not ended before all of it is there.
KNOWN = (
    ThinkTags(),  # DeepSeek R1, Qwen3, QwQ and most others
    ThinkTags(open="[THINK]", close="[/THINK]", before_close="", after_close=""),  # Mistral
    ThinkTags(open="<seed:think>", close="</seed:think>", before_close="", after_close="\n"),
    ThinkTags(  # Cohere Command R7B
        open="<|START_THINKING|>",
        close="<|END_THINKING|>",
        before_close="",
        after_close="<|START_RESPONSE|>",
    ),
    ThinkTags(  # gpt-oss
        open="<|channel|>analysis<|message|>",
        close="<|end|><|start|>assistant<|channel|>final<|message|>",
        before_close="",
        after_close="",
    ),
    ThinkTags(  # Apertus
        open="<|inner_prefix|>", close="<|inner_suffix|>", before_close="", after_close=""
    ),
    ThinkTags(  # Sky-T1, OpenThinker
        open="<|begin_of_thought|>\n\n",
        close="<|end_of_thought|>",
        before_close="\n\n",
        after_close="\n\n<|begin_of_solution|>\n\n",
    ),
)
"""Tags of models whose templates do not show where thoughts go."""
