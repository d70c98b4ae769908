"""A stranger's template renders as jinja2 renders it, and is stopped when it wants too much."""

from __future__ import annotations

import json
import os
import resource
import sys
from datetime import datetime
from pathlib import Path

import jinja2
import pytest
from jinja2.ext import Extension
from jinja2.sandbox import ImmutableSandboxedEnvironment

from softchat.base.child import MEMORY, Child
from softchat.errors import ModelRefusedError
from softchat.prompt import sandbox
from softchat.prompt.template import find_tags, render
from tests.hostile import HARMLESS, HOSTILE, MESSAGES

FAMILIES = sorted((Path(__file__).parents[1] / "templates").glob("*.jinja"))
CPU_S = 0.25  # for each hostile template; the bound itself is four times that

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
    return datetime.now().strftime(form)


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
    try:
        return sandbox.render(source, variables)
    except sandbox.TemplateFailedError:
        return None


@pytest.mark.parametrize("conversation", CONVERSATIONS)
@pytest.mark.parametrize("thinking", [True, False])
@pytest.mark.parametrize("path", FAMILIES, ids=[path.stem for path in FAMILIES])
def test_families_render_as_jinja2_renders_them(path, conversation, thinking):
    """The child changes nothing of what a real template writes, or refuses to write."""
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
    """What goes to the child and comes from it is as it is in one process."""
    text = by_jinja2(source, {})
    assert text is not None
    assert by_softchat(source, {}) == text


@pytest.mark.parametrize("path", FAMILIES, ids=[path.stem for path in FAMILIES])
def test_long_conversations_are_no_offence(path):
    """A hundred turns of 1,000 characters are far from what a template may spend."""
    turn = [dict(USER, content="word " * 200), dict(ANSWER, content="word " * 200)]
    text = render(path.read_text(encoding="utf-8"), [*turn * 100, USER], bos_token="", eos_token="")
    assert text.count("word") == 200 * 200


@pytest.fixture(scope="module")
def child():
    """One that has less time than templates have, so that the tests do not take long."""
    child = Child("softchat.prompt.renderer", cpu_s=CPU_S)
    yield child
    child.close()


def cpu_s(pid):
    """Seconds of processor time that a process has had, all told."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.skipif(sys.platform != "linux", reason="of these limits others have not all")
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_templates_are_stopped(name, child):
    """Each is refused, by a child that the system bounds; the next template is rendered."""
    assert sandbox.render("{{ 'on' }}", {}, child=child) == "on"
    process = child._process
    most, _ = resource.prlimit(process.pid, resource.RLIMIT_AS)  # of its own: it may have no more
    assert most < 2 * MEMORY
    began = cpu_s(process.pid)
    try:
        sandbox.render(HOSTILE[name], {"messages": MESSAGES}, child=child)
        refused = False
    except (sandbox.ExhaustedError, sandbox.TemplateFailedError):
        refused = True
    assert refused or name in HARMLESS
    if child._process is process:  # it lives, so it has kept to its time
        assert cpu_s(process.pid) - began < CPU_S + 0.1
    assert sandbox.render("{{ 'on' }}", {}, child=child) == "on"


def test_what_takes_too_long_says_so():
    """In one line, with a hint; not as a template that is merely wrong."""
    with pytest.raises(ModelRefusedError, match="takes too long") as caught:
        render(HOSTILE["times"], MESSAGES)
    assert caught.value.hint


def test_a_second_of_processor_time_is_all():
    """Whatever a template does, the system ends its process then."""
    child = Child("softchat.prompt.renderer")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with pytest.raises(sandbox.ExhaustedError):
        sandbox.render(HOSTILE["loops"], {}, child=child)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert used < 3  # with the start of the process, which is none of the template's


def test_harmless_at_first():
    """A template that becomes hostile with the second question is stopped then; a third goes on."""
    template = "{% if messages | length == 3 %}" + HOSTILE["loops"] + "{% endif %}ok"
    turn = [USER, ANSWER]
    assert render(template, [USER]) == "ok"
    with pytest.raises(ModelRefusedError, match="takes too long"):
        render(template, [*turn, USER])
    assert render(template, [*turn, *turn, USER]) == "ok"


def test_half_a_character_is_refused():
    """What a template writes is text, or it is refused in words; a question's is made text."""
    with pytest.raises(ModelRefusedError, match="half a character"):
        render("{{ '\\ud800' }}", MESSAGES)
    said = [{"role": "user", "content": "a\udcffb"}]
    assert render("{{ messages[0].content }}", said) == "a?b"


def test_tags_are_looked_for_once_in_a_template_that_takes_too_long():
    """Another try would only take as long again."""
    thought = "{% if messages[1].reasoning_content %}" + HOSTILE["loops"] + "{% endif %}<think>"
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert find_tags(thought) is None
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime - before.ru_utime < 3


def test_messages_stay_as_they_are():
    """No template changes what it is given, by whatever way."""
    messages = [dict(USER)]
    for name in ("change_messages", "change_a_message"):
        with pytest.raises(ModelRefusedError):
            render(HOSTILE[name], messages)
    assert render(HOSTILE["change_by_type"], messages) == "None"
    assert messages == [USER]
