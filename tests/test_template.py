"""From a question to the prompt."""

from __future__ import annotations

import pytest

from softchat.errors import ModelRefusedError
from softchat.tags import ThinkTags
from softchat.template import make_prompt, render, single_turn
from softchat.testing import FakeEngine

CHATML = (
    "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\\n' + "
    "message['content'] + '<|im_end|>' + '\\n'}}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
LETTERS = ["<end>", *(chr(code) for code in range(32, 127)), "\n"]


def text_of(engine, prompt):
    return b"".join(engine.piece(token) for token in prompt.tokens).decode()


@pytest.fixture
def engine():
    engine = FakeEngine(LETTERS, [{"a": 1.0}])
    engine.chat_template = CHATML
    return engine


def test_a_model_without_tags_gets_one_opened(engine):
    """Behind the template's own words stands the open tag."""
    prompt = make_prompt(engine, single_turn("Why?"))
    assert text_of(engine, prompt) == (
        "<|im_start|>user\nWhy?<|im_end|>\n<|im_start|>assistant\n<think>\n"
    )
    assert (prompt.close, prompt.inject) == ("</think>", "\n</think>\n\n")


def test_a_template_that_opens_the_tag_is_left_alone(engine):
    """The tag is not opened twice."""
    engine.chat_template = "{{ messages[0].content }}<think>\n\n"
    assert text_of(engine, make_prompt(engine, single_turn("Why?"))) == "Why?<think>\n"


def test_tags_are_the_models_own(engine):
    """Another model's tags are used as they are given."""
    tags = ThinkTags(open="[THINK]", close="[/THINK]", before_close="", after_close=" ")
    prompt = make_prompt(engine, single_turn("Why?"), tags=tags)
    assert text_of(engine, prompt).endswith("assistant\n[THINK]")
    assert (prompt.close, prompt.inject) == ("[/THINK]", "[/THINK] ")


def test_a_system_prompt_comes_first(engine):
    """It is there if it is given, and not if it is not."""
    with_system = text_of(engine, make_prompt(engine, single_turn("Why?", "Be brief.")))
    assert with_system.startswith("<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user")
    assert "system" not in text_of(engine, make_prompt(engine, single_turn("Why?")))


def test_a_model_without_a_template_gets_plain_words(engine):
    """A base model sees a dialogue."""
    engine.chat_template = None
    assert (
        text_of(engine, make_prompt(engine, single_turn("Why?")))
        == "User: Why?\n\nAssistant:<think>\n"
    )


def test_the_first_token_is_put_first_once(engine):
    """A model that wants a BOS gets one, whether its template writes it or not."""
    engine.adds_bos = engine.id("!")
    assert text_of(engine, make_prompt(engine, single_turn("Why?"))).startswith("!<|im")
    engine.chat_template = "!{{ messages[0].content }}"
    assert text_of(engine, make_prompt(engine, single_turn("Why?"))).startswith("!Why")


@pytest.mark.parametrize(
    "template",
    [
        "{{ raise_exception('no system prompt') }}",
        "{% for %}",
        "{{ messages[0].nothing.more }}",
        "{{ ''.__class__.__mro__ }}",
        "{{ messages.append(1) }}",
        "{{ 1 + 'a' }}",
        "{{ 1 // 0 }}",
        "{% include 'x' %}",
    ],
)
def test_a_template_that_fails_is_an_error_in_words(template):
    """Whatever is wrong with it, or forbidden, the model is refused and says why."""
    with pytest.raises(ModelRefusedError, match="chat template"):
        render(template, [{"role": "user", "content": "x"}])


def test_what_templates_expect_is_there():
    """tojson without HTML escapes, break in loops, the date, and that thinking is wanted."""
    text = render(
        "{{ {'a': '<é>'} | tojson }}{% for i in [1, 2] %}{% break %}{% endfor %}"
        "{{ strftime_now('%Y') | length }}{{ enable_thinking }}{{ eos_token }}",
        [],
        eos_token="</s>",
    )
    assert text == '{"a": "<é>"}4True</s>'
