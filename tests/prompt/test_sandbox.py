"""A stranger's template renders as jinja2 renders it, and is stopped when it wants too much."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import jinja2
import pytest
from jinja2.ext import Extension
from jinja2.sandbox import ImmutableSandboxedEnvironment

from softchat.errors import ModelRefusedError
from softchat.prompt import sandbox
from softchat.prompt.template import render
from tests.hostile import BYTES, HOSTILE, MESSAGES, SECONDS

FAMILIES = sorted((Path(__file__).parents[1] / "templates").glob("*.jinja"))
ROOT = Path(__file__).parents[2]
AT_ONCE = 16  # hostile templates in one process

USER = {"role": "user", "content": "Why is 'the sky' <b>blue</b>? \n"}
ANSWER = {"role": "assistant", "content": "It scatters </think> light."}
SYSTEM = {"role": "system", "content": "Be brief."}
CONVERSATIONS = {
    "single": [USER],
    "system": [SYSTEM, USER],
    "multi": [USER, ANSWER, USER, ANSWER, USER],
    "system and multi": [SYSTEM, USER, ANSWER, USER],
    "refused": [ANSWER],
}


class Generation(Extension):
    """transformers' block tag, as far as rendering goes: it writes what stands in it."""

    tags = {"generation"}  # noqa: RUF012  # as jinja2 declares it

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        call = self.call_method("_same")
        return jinja2.nodes.CallBlock(call, [], [], body).set_lineno(line)

    def _same(self, caller):
        return caller()


def raise_exception(message):
    raise jinja2.exceptions.TemplateError(message)


def strftime_now(form):
    return f"today as {form}"


def by_jinja2(source, variables):
    """As transformers' apply_chat_template renders it; None if that fails."""
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=[Generation, "jinja2.ext.loopcontrols"],
    )

    def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        return json.dumps(
            x,
            ensure_ascii=ensure_ascii,
            indent=indent,
            separators=separators,
            sort_keys=sort_keys,
        )

    environment.filters["tojson"] = tojson
    environment.globals["raise_exception"] = raise_exception
    environment.globals["strftime_now"] = strftime_now
    try:
        return environment.from_string(source).render(**variables)
    except jinja2.exceptions.TemplateError:
        return None


def by_softchat(source, variables):
    functions = {"raise_exception": raise_exception, "strftime_now": strftime_now}
    try:
        return sandbox.render(source, variables, functions)
    except jinja2.exceptions.TemplateError:
        return None


@pytest.mark.parametrize("conversation", CONVERSATIONS)
@pytest.mark.parametrize("thinking", [True, False])
@pytest.mark.parametrize("path", FAMILIES, ids=[path.stem for path in FAMILIES])
def test_families_render_as_jinja2_renders_them(path, conversation, thinking):
    """The meter changes nothing of what a real template writes, or refuses to write."""
    variables = {
        "messages": CONVERSATIONS[conversation],
        "tools": None,
        "documents": None,
        "add_generation_prompt": True,
        "enable_thinking": thinking,
        "thinking": thinking,
        "bos_token": "<s>",
        "eos_token": "</s>",
    }
    source = path.read_text(encoding="utf-8")
    text = by_jinja2(source, variables)
    assert by_softchat(source, variables) == text
    assert text is not None or conversation == "refused" or path.stem == "mistral-nemo"


@pytest.mark.parametrize(
    "source",
    [
        "{{ [1, 2, 3][1:] }}{{ 'abc'[::-1] }}{{ 'abc'[-1] }}{{ [1][5] }}",
        "{{ 1 < 2 < 3 }}{{ 1 < 2 > 3 }}{{ 1 in [1] }}{{ 'a' not in {'a': 1} }}{{ none == 1 }}",
        "{{ 'a' ~ 1 ~ none ~ [1] ~ x }}{{ 'a' + 'b' * 3 }}{{ [1] + [2] }}{{ 7 // 2 ** 2 % 3 }}",
        "{% for a, b in {'x': 1, 'y': 2}.items() %}{{ loop.index }}{{ a }}{{ b }}"
        "{{ loop.last }}{{ loop.length }}{{ loop.cycle('i', 'j') }}{% endfor %}",
        "{% for a in [1, 2, 3] if a != 2 %}{{ a }}{{ loop.last }}{% else %}none{% endfor %}",
        "{% for a in [] %}{% else %}none{% endfor %}{% for a in nothing %}{% endfor %}",
        "{% for a in [3, 1] | sort | map('string') %}{{ a }}{{ loop.length }}{% endfor %}",
        "{% macro m(a, b=2) %}{{ a }}{{ b }}{{ caller() if caller }}{% endmacro %}{{ m(1) }}"
        "{{ m(*[1, 3]) }}{{ m(**{'a': 5}) }}{% call m(1) %}c{% endcall %}",
        "{% set n = namespace(a=1) %}{% for i in range(3) %}{% set n.a = n.a + i %}{% endfor %}"
        "{{ n.a }}{% set t %}x{{ n.a }}{% endset %}{{ t | upper }}"
        "{% with a = 1 %}{{ a }}{% endwith %}",
        "{{ '{} and {a:>5} {b!r}'.format('x', a=1, b='y') }}{{ ', '.join(['a', 'b']) }}",
        "{{ 'a b'.split() }}{{ 'a,b'.split(',', 1)[-1] }}{{ ' x '.strip() }}"
        "{{ 'x\n'.rstrip('\n') }}",
        "{{ ('<a>' | safe) + '<b>' }}{{ '<a>' | e }}{{ '<a>' | e | upper }}",
        "{{ [{'a': 1}, {'a': 2}] | selectattr('a', 'equalto', 2) | map(attribute='a') | list }}",
        "{{ [3, 1, 3] | unique | list }}{{ {'b': 1, 'a': 2} | dictsort }}{{ [1, 2] | last }}",
        "{{ {'a': '<é>', 'b': [1, none]} | tojson(indent=2) }}{{ 'a\nb' | indent(4) }}",
        "{{ x | default('d') }}{{ '5' | int + 1 }}{{ 2.567 | round(1) }}"
        "{{ 'abc' | replace('b', 'x') }}",
        "{% generation %}a{% set b = 1 %}{% endgeneration %}{{ b }}"
        "{% filter upper %}c{% endfilter %}",
        "{% for i in range(9) %}{% if i == 2 %}{% continue %}{% elif i > 4 %}{% break %}{% endif %}"
        "{{ i }}{% endfor %}{{ strftime_now('%Y') }}{{ dict(a=1) }}{{ -3 | abs }}",
        "{{ 'x' is string and 1 is number and [] is iterable and x is undefined }}{{ 1 is eq 1 }}",
    ],
)  # fmt: skip
def test_the_language_means_what_it_means_in_jinja2(source):
    """What the meter puts in the place of jinja2's own code does the same."""
    text = by_jinja2(source, {})
    assert text is not None
    assert by_softchat(source, {}) == text


@pytest.mark.parametrize("path", FAMILIES, ids=[path.stem for path in FAMILIES])
def test_long_conversations_are_no_offence(path):
    """A hundred turns of 1,000 characters are far from what a template may spend."""
    turn = [dict(USER, content="word " * 200), dict(ANSWER, content="word " * 200)]
    text = render(path.read_text(encoding="utf-8"), [*turn * 100, USER], bos_token="", eos_token="")
    assert text.count("word") == 200 * 200


NAMES = list(HOSTILE)


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such limits there")
@pytest.mark.parametrize("first", range(0, len(NAMES), AT_ONCE))
def test_hostile_templates_are_stopped(first):
    """Each ends with an error in words, within the processor time and memory it is given."""
    names = NAMES[first : first + AT_ONCE]
    done = subprocess.run(
        [sys.executable, "-m", "tests.hostile", *names],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,  # the limit is on processor time: this only ends a test that hangs
    )
    said = dict(line.split(": ", 1) for line in done.stdout.splitlines())
    assert (list(said), done.returncode) == (names, 0), f"{SECONDS} s, {BYTES} bytes: {done.stderr}"
    assert [
        text for text in said.values() if not text.startswith("the model's chat template")
    ] == []


def test_what_takes_too_long_says_so():
    """In one line, with a hint; not as a template that is merely wrong."""
    with pytest.raises(ModelRefusedError, match="takes too long, or writes too much") as caught:
        render(HOSTILE["times"], MESSAGES)
    assert caught.value.hint


def test_messages_stay_as_they_are():
    """No template changes what it is given, by whatever way."""
    messages = [dict(USER)]
    for name in ("change_messages", "change_a_message", "change_by_type"):
        with pytest.raises(ModelRefusedError):
            render(HOSTILE[name], messages)
    assert messages == [USER]
