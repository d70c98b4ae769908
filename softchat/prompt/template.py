"""The chat template applied: a question as the tokens that a model wants, up to the open tag.

Knows an engine's vocabulary and chat template; decodes nothing. The template comes from the model's
file, so from a stranger: see `softchat.prompt.sandbox`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from softchat.base.child import ChildError
from softchat.base.text import one_line, storable
from softchat.engine.protocol import Engine
from softchat.engine.shortage import CLOSE
from softchat.errors import ContextError, ModelRefusedError, UsageError
from softchat.prompt import sandbox
from softchat.prompt.contents import Contents
from softchat.prompt.tags import KNOWN, ThinkTags
from softchat.settings import Effort, Settings
from softchat.thinking.prompt import Prompt

# For a model without a template: plain words that any base model has seen.
_PLAIN = (
    "{% for m in messages %}{{ m.role | capitalize }}: {{ m.content }}\n\n{% endfor %}Assistant:"
)
_LONG = 2**20  # characters of messages, of which a template that writes too much is not to blame

Message = dict[str, str]  # "role" (system, user, assistant) and "content"


def make_prompt(
    engine: Engine,
    messages: Sequence[Message],
    *,
    tags: ThinkTags | None = None,
    settings: Settings | None = None,
) -> Prompt:
    """The prompt that has the model answer the last of these messages.

    Args:
        engine: only its vocabulary and template are used.
        messages: the conversation so far.
        tags: how the thinking is opened and closed; None: as `tags_of` finds.
        settings: say whether to think, how much, and how contents are read.

    Raises:
        ModelRefusedError: the model's chat template fails.
        UsageError: it knows no effort, and one is wanted.

    """
    tags = tags or tags_of(engine)
    settings = settings or Settings()
    tokens = make_text(engine, messages, tags, settings).tokens()
    bos = engine.adds_bos
    if bos is not None and tokens[:1] != [bos]:
        tokens.insert(0, bos)
    words = settings.closing.replace("\\n", "\n")
    closing = f"\n{words}" if words else ""
    return Prompt(
        tokens=tuple(tokens),
        open=tags.open.strip(),
        close=tags.close,
        closing=closing,
        inject=tags.before_close + tags.close + tags.after_close,
        thinks=settings.think,
    )


@dataclass(frozen=True, slots=True)
class PromptText:
    """A prompt as the template wrote it, in which stand-ins may be: see `contents`."""

    text: str
    contents: Contents | None
    """None: markers in contents are the model's own."""
    engine: Engine

    def tokens(self) -> list[int]:
        """Its tokens."""
        if self.contents is None:
            return self.engine.tokenize(self.text, special=True)
        return self.contents.tokenize(self.text)


def make_text(
    engine: Engine,
    messages: Sequence[Message],
    tags: ThinkTags,
    settings: Settings,
) -> PromptText:
    """The messages in the model's chat template, up to the open thinking tag, or a closed one.

    Raises:
        ModelRefusedError: the template fails, or leaves out the question or the system prompt.
        UsageError: it knows no effort, and one is wanted.

    """
    template = engine.chat_template or _PLAIN
    contents = None
    if not settings.raw_special:
        contents = Contents(engine, template + tags.open + tags.close)
        messages = [{**one, "content": contents.hide(one["content"])} for one in messages]
    special: dict[str, object] = {
        "bos_token": engine.special_text("bos"),
        "eos_token": engine.special_text("eos"),
    }
    if settings.effort is not Effort.OWN:
        special["reasoning_effort"] = str(settings.effort)
        if "reasoning_effort" not in template:
            raise UsageError(
                "this model's chat template knows no effort",
                hint="without --effort (/unset effort); max-think is another limit",
            )
    text = render(template, messages, **special)
    _refuse_left_out(template, messages, text, special)
    if settings.think:
        return PromptText(_opened(text, tags), contents, engine)
    off = render(template, messages, **special, enable_thinking=False, thinking=False)
    has_switch = off != text and not off.rstrip().endswith(tags.open.strip())
    if not has_switch and _knows(engine, tags):
        off = _closed(text, tags)
    return PromptText(off, contents, engine)


def _refuse_left_out(
    template: str, messages: Sequence[Message], text: str, special: Mapping[str, object]
) -> None:
    """Raise ModelRefusedError if the question or the system prompt makes no difference to it.

    Args:
        template: the chat template.
        messages: what it was given.
        text: what it made of that.
        special: the other variables that it was given.

    """
    asked = [place for place, one in enumerate(messages) if one["role"] == "user"][-1:]
    for place in ([0] if messages[0]["role"] == "system" else []) + asked:
        one = messages[place]
        if not one["content"].strip() or one["content"].strip() in text:
            continue
        other = [*messages[:place], {**one, "content": _QUESTION}, *messages[place + 1 :]]
        try:  # it may have put it in changed, as in capitals
            left_out = render(template, other, **special) == text
        except ModelRefusedError:
            continue
        if left_out:
            what = "system prompt" if one["role"] == "system" else "question"
            raise ModelRefusedError(
                f"the model's chat template leaves out the {what}",
                hint="--system '' goes without one" if one["role"] == "system" else _DAMAGED,
            )


def _knows(engine: Engine, tags: ThinkTags) -> bool:
    """Whether the model knows these tags of itself; to another one an empty thought is noise."""
    both = (tags.open.strip(), tags.close.strip())
    return any(
        tag in (engine.chat_template or "") or len(engine.tokenize(tag, special=True)) == 1
        for tag in both
    )


def _opened(text: str, tags: ThinkTags) -> str:
    """A prompt that ends in the open tag."""
    opening, written = tags.open.strip(), text.rstrip()
    if written.endswith(opening):
        return text
    unclosed = written.removesuffix(tags.close).rstrip()
    if unclosed != written and unclosed.endswith(opening):  # an empty thought: it was not to think
        text = unclosed.removesuffix(opening)
    return text + tags.open


def _closed(text: str, tags: ThinkTags) -> str:
    """A prompt that ends behind a thought with nothing in it."""
    if text.rstrip().endswith(tags.close):
        return text
    return _opened(text, tags) + tags.before_close + tags.close + tags.after_close


def tags_of(engine: Engine) -> ThinkTags:
    """The thinking tags of this model, or the usual ones if it has none."""
    found = find_tags(
        engine.chat_template, lambda text: len(engine.tokenize(text, special=True)) == 1
    )
    return found or ThinkTags()


def find_tags(
    template: str | None, is_token: Callable[[str], bool] = lambda text: False
) -> ThinkTags | None:
    """The thinking tags that a model knows, with the white space it has learned; None: none found.

    A template that writes thoughts of its own accord shows where it puts them. Of others, and of
    the vocabulary, only tags that are known by name are found.

    Args:
        template: its chat template, if it has one.
        is_token: whether the vocabulary has a token for just this text.

    """
    try:
        if template is None or not _try(template):
            return None
        shown = _shown_tags(template)
        if shown:
            return shown
        for tags in KNOWN:
            if tags.open.strip() in template:
                return _spaced(tags, template)
    except _ExhaustedError:
        return None
    return next(
        (tags for tags in KNOWN if is_token(tags.open.strip()) and is_token(tags.close)), None
    )


_DAMAGED = "the file is damaged, or no chat model"
_QUESTION, _THOUGHT, _ANSWER = "~question~", "~thought~", "~answer~"
_TAG_AT_END = re.compile(r"(<[^<>\s]+>|\[[^\[\]\s]+\])\s*$")


def _shown_tags(template: str) -> ThinkTags | None:
    """What the template itself writes around a thought that it is given."""
    thought = dict.fromkeys(["reasoning_content", "reasoning", "thinking"], _THOUGHT)
    text = _try(template, {"role": "assistant", "content": _ANSWER, **thought})
    before, _, behind = text.partition(_THOUGHT)
    between, answered, _ = behind.partition(_ANSWER)
    close = between.strip()
    if not answered or not close:
        return None
    prompt = _try(template)
    opening = before[len(prompt) :] if before.startswith(prompt) else ""
    if not opening.strip():  # the prompt has opened the thought already
        tag = _TAG_AT_END.search(prompt.rstrip().removesuffix(close))
        if tag is None:
            return None
        opening = tag[0]
    start, end = between.split(close, 1)
    return ThinkTags(open=opening, close=close, before_close=start, after_close=end)


def _spaced(tags: ThinkTags, template: str) -> ThinkTags:
    """The tags with the white space that the template writes, as far as it shows any."""
    opening, prompt = tags.open.strip(), _try(template)
    if prompt.rstrip().endswith(opening):
        opening += prompt[len(prompt.rstrip()) :]
    else:
        opening = tags.open
    # What it writes for a turn that had no thoughts.
    empty = re.escape(tags.open.strip() + tags.close) + rf"(\s*){_ANSWER}"
    without = re.search(empty, _try(template, {"role": "assistant", "content": _ANSWER}))
    if without is None:
        return replace(tags, open=opening)
    return replace(tags, open=opening.strip(), before_close="", after_close=without[1])


def _try(template: str, *answer: Message) -> str:
    """A question in the template, and an answer or the prompt for one; empty if it fails."""
    messages = [{"role": "user", "content": _QUESTION}, *answer]
    try:
        text = render(
            template, messages, add_generation_prompt=not answer, bos_token="", eos_token=""
        )
    except _ExhaustedError:
        raise
    except ModelRefusedError:
        return ""
    return text.rpartition(_QUESTION)[2]


def single_turn(question: str, system: str = "") -> list[Message]:
    """The messages of a question without a history."""
    first = [{"role": "system", "content": system}] if system else []
    return [*first, {"role": "user", "content": question}]


def render(template: str, messages: Sequence[Message], **variables: object) -> str:
    """The messages in the words of a chat template, ready for the model to go on.

    Raises:
        ContextError: the messages are too long for it.
        ModelRefusedError: the template fails, takes too long, writes too much, or tries what the
            sandbox forbids.

    """
    # What templates expect, as transformers' apply_chat_template provides it.
    given = {
        "messages": [{key: storable(value) for key, value in one.items()} for one in messages],
        "tools": None,
        "documents": None,
        "add_generation_prompt": True,
        "enable_thinking": True,
        "thinking": True,
        **variables,
    }
    try:
        return sandbox.render(template, given)
    except sandbox.ExhaustedError as error:
        length = sum(len(one["content"]) for one in messages)
        if length > _LONG:
            raise ContextError(
                f"the prompt has {length} characters: too many for the model's chat template",
                hint="shorten it",
            ) from error
        raise _ExhaustedError(
            "the model's chat template takes too long, too much memory, or writes too much",
            hint="the file is damaged or hostile; real ones need a hundredth of what this one may",
        ) from error
    except ChildError as error:
        raise ModelRefusedError(
            f"the model's chat template can't be rendered: {error}", hint=CLOSE
        ) from error
    except sandbox.TemplateFailedError as error:
        raise ModelRefusedError(
            f"the model's chat template fails: {one_line(str(error))}",
            hint="the file is damaged, or the template does not allow this (a system prompt?)",
        ) from error


class _ExhaustedError(ModelRefusedError):
    """The chat template wants more than it may have: another try would only take as long."""
