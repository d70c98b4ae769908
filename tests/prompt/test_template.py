"""From a question to the prompt."""

from __future__ import annotations

from pathlib import Path

import pytest

from softchat.errors import ContextError, ModelRefusedError, UsageError
from softchat.prompt.tags import ThinkTags
from softchat.prompt.template import find_tags, make_prompt, render, single_turn
from softchat.settings import Settings, resolve
from softchat.talk.conversation import Conversation
from softchat.testing import FakeEngine

CHATML = (
    "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\\n' + "
    "message['content'] + '<|im_end|>' + '\\n'}}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
LETTERS = ["<end>", *(chr(code) for code in range(32, 127)), "\n", "｜", "▁"]


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
    assert (prompt.open, prompt.close) == ("<think>", "</think>")
    assert prompt.inject == "\n</think>\n\n"


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


def test_a_conversation_that_no_template_may_write_is_too_long():
    """And that is what is said: the model's file is as it should be."""
    messages = single_turn("What is this?" + " y" * 2_200_000)
    with pytest.raises(ContextError, match="4400013 characters"):
        render("{{ messages[0].content }}", messages)


def test_what_templates_expect_is_there():
    """tojson without HTML escapes, break in loops, the date, and that thinking is wanted."""
    text = render(
        "{{ {'a': '<é>'} | tojson }}{% for i in [1, 2] %}{% break %}{% endfor %}"
        "{{ strftime_now('%Y') | length }}{{ enable_thinking }}{{ eos_token }}",
        [],
        eos_token="</s>",
    )
    assert text == '{"a": "<é>"}4True</s>'


FOLDER = Path(__file__).parents[1] / "templates"


def template(name):
    return (FOLDER / f"{name}.jinja").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "tags"),
    [
        ("apertus", ("<|inner_prefix|>", "", "<|inner_suffix|>", "")),
        ("deepseek-r1-distill", ("<think>\n", "\n", "</think>", "\n\n")),
        ("deepseek-v3.1", ("<think>", "", "</think>", "")),
        ("glm-4.6", ("\n<think>", "", "</think>", "\n")),
        (
            "gpt-oss",
            (
                "<|channel|>analysis<|message|>",
                "",
                "<|end|><|start|>assistant<|channel|>final<|message|>",
                "",
            ),
        ),
        ("granite-3.3", ("<think>\n", "\n", "</think>", "\n\n")),
        ("ministral-3-reasoning", ("[THINK]", "", "[/THINK]", "")),
        ("mistral-nemo", None),
        ("phi-3.5", None),
        ("qwen2.5", None),
        ("qwen3", ("<think>\n", "\n", "</think>", "\n\n")),
        ("qwq", ("<think>\n", "\n", "</think>", "\n\n")),
        ("seed-oss", ("<seed:think>", "", "</seed:think>", "\n")),
        ("smollm3", ("<think>\n", "\n", "</think>", "\n\n")),
    ],
)
def test_tags_of_families(name, tags):
    """The tags and the white space that each family has learned."""
    found = find_tags(template(name))
    assert tags == (found and (found.open, found.before_close, found.close, found.after_close))


def test_tags_are_found_in_the_vocabulary():
    """Where a template says nothing, tokens of their own do; and a model may have none."""
    assert find_tags(CHATML) is None
    found = find_tags(CHATML, lambda text: text in ("[THINK]", "[/THINK]"))
    assert found == ThinkTags(open="[THINK]", close="[/THINK]", before_close="", after_close="")
    assert find_tags(CHATML, lambda text: text == "[THINK]") is None
    assert find_tags(None) is None


def test_a_template_that_fails_shows_no_tags():
    """Whatever it does: the prompt says what is wrong when it is made."""
    assert find_tags("{{ 'a' * 10**9 }}") is None
    assert find_tags("{% if %}") is None


@pytest.mark.parametrize(
    ("name", "end"),
    [
        ("qwen3", "<|im_start|>assistant\n<think>\n"),
        ("qwq", "<|im_start|>assistant\n<think>\n"),
        ("glm-4.6", "<|assistant|>\n<think>"),
        ("gpt-oss", "<|start|>assistant<|channel|>analysis<|message|>"),
        ("seed-oss", "<seed:bos>assistant\n<seed:think>"),
        ("ministral-3-reasoning", "[/INST][THINK]"),
        ("phi-3.5", "<|assistant|>\n<think>\n"),
    ],
)
def test_a_prompt_ends_in_the_open_tag(engine, name, end):
    """Opened once, by the template or by softchat, as the model has learned it."""
    engine.chat_template = template(name)
    text = text_of(engine, make_prompt(engine, single_turn("Why?")))
    assert text.endswith(end)
    assert text.count(end.splitlines()[-1]) == 1 or name == "ministral-3-reasoning"


def test_an_empty_thought_in_the_prompt_is_opened_again(engine):
    """A template that will not think, as it knows another switch, is made to."""
    engine.chat_template = CHATML + "<think>\n\n</think>\n\n"
    text = text_of(engine, make_prompt(engine, single_turn("Why?")))
    assert text.endswith("<|im_start|>assistant\n<think>\n")
    assert "</think>" not in text


@pytest.mark.parametrize("name", ["qwen3", "qwq", "glm-4.6", "gpt-oss", "seed-oss", "smollm3"])
def test_earlier_thoughts_are_not_in_the_history(name):
    """A conversation passes answers alone, and the template adds no thought to an earlier one."""
    turn = [{"role": "user", "content": "~Q~"}, {"role": "assistant", "content": "~A~"}]
    text = render(template(name), [*turn, *turn, turn[0]], bos_token="", eos_token="")
    assert (text.count("~Q~"), text.count("~A~")) == (3, 2)
    between = text.partition("~Q~")[2].rpartition("~Q~")[0]
    tags = find_tags(template(name))
    empty = tags.open.strip() + tags.close
    assert tags.open.strip() not in between.replace(empty, "")


def test_a_turn_renders_its_prompt_once(engine, monkeypatch):
    """What `room` has made, `ask` takes."""
    made = []
    monkeypatch.setattr(
        "softchat.talk.local.make_prompt",
        lambda *args, **more: made.append(args) or make_prompt(*args, **more),
    )
    talk = Conversation(engine, tags=ThinkTags())
    settings = resolve({"max_think": 1, "max_answer": 1, "seed": 1})
    for question in ("Why?", "How?"):
        talk.room(question, settings)
        list(talk.ask(question, settings))
    assert len(made) == 2
    talk.system = "Be brief."
    talk.room("How?", settings)
    assert len(made) == 3


OFF = Settings(think=False)


@pytest.mark.parametrize("name", sorted(path.stem for path in FOLDER.glob("*.jinja")))
def test_no_thinking_in_any_family(engine, name):
    """The thinking is closed, or was never opened, and the question is there."""
    engine.chat_template = template(name)
    on, off = (make_prompt(engine, single_turn("Why?"), settings=s) for s in (Settings(), OFF))
    assert on.thinks
    assert not off.thinks
    assert "Why?" in text_of(engine, off)
    assert not text_of(engine, off).rstrip().endswith(on.open)
    assert text_of(engine, on).rstrip().endswith(on.open)


def test_a_template_has_its_own_switch(engine):
    """Qwen writes an empty thought of its own; one that opens the tag always is closed at once."""
    engine.chat_template = template("qwen3")
    end = "<|im_start|>assistant\n<think>\n\n</think>\n\n"
    assert text_of(engine, make_prompt(engine, single_turn("Why?"), settings=OFF)).endswith(end)
    engine.chat_template = CHATML + "<think>\\n"
    text = text_of(engine, make_prompt(engine, single_turn("Why?"), settings=OFF))
    assert text.endswith("<think>\n\n</think>\n\n")


def test_a_model_without_tags_is_asked_as_its_template_has_it(engine):
    """An empty thought, which it has never seen, makes what it says worse."""
    text = text_of(engine, make_prompt(engine, single_turn("Why?"), settings=OFF))
    assert text == "<|im_start|>user\nWhy?<|im_end|>\n<|im_start|>assistant\n"
    knows = FakeEngine([*LETTERS, "<think>"], [{"a": 1.0}], special=["<think>"])
    knows.chat_template = CHATML
    text = text_of(knows, make_prompt(knows, single_turn("Why?"), settings=OFF))
    assert text.endswith("<think>\n\n</think>\n\n")


@pytest.mark.parametrize(
    ("template", "system", "said"),
    [
        ("{# nothing #}", "", "leaves out the question"),
        ("always the same", "", "leaves out the question"),
        ("{{ messages[-1].content }}", "Be brief.", "leaves out the system prompt"),
    ],
)
def test_a_template_that_leaves_something_out_is_refused(engine, template, system, said):
    """Or an answer to nothing would be taken for one."""
    engine.chat_template = template
    with pytest.raises(ModelRefusedError, match=said):
        make_prompt(engine, single_turn("Why?", system))


@pytest.mark.parametrize(
    "template",
    [
        "{{ messages[-1].content | upper }}{{ messages[0].content | trim }}",
        "{% for one in messages %}{{ one.content[:3] }}{% endfor %}",
        "{{ messages | tojson }}",
    ],
)
def test_a_template_may_change_what_it_is_given(engine, template):
    """As long as it makes a difference."""
    engine.chat_template = template
    assert make_prompt(engine, single_turn('  Why "so"?', " Be brief. ")).tokens


def test_effort_goes_to_the_template(engine):
    """gpt-oss is told how much to think; a template that can't be told says so."""
    engine.chat_template = template("gpt-oss")
    high = make_prompt(engine, single_turn("Why?"), settings=Settings(effort="high"))
    assert "Reasoning: high" in text_of(engine, high)
    engine.chat_template = CHATML
    with pytest.raises(UsageError, match="no effort"):
        make_prompt(engine, single_turn("Why?"), settings=Settings(effort="low"))


def test_closing_words_stand_before_the_closing_tag(engine):
    """As text: a tag in them is none."""
    prompt = make_prompt(engine, single_turn("Why?"), settings=Settings(closing="So it is"))
    assert prompt.closing + prompt.inject == "\nSo it is\n</think>\n\n"
    several = make_prompt(engine, single_turn("Why?"), settings=Settings(closing=r"Stop.\nIt is"))
    assert several.closing == "\nStop.\nIt is"
