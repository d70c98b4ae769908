"""Chat templates that want too much: each must be stopped. Run as a program, it renders some.

`python -m tests.hostile NAME…` gives itself 10 seconds of CPU for each and 512 MB more of address
space than it starts with, so that a template that is not stopped ends the process.
"""

from __future__ import annotations

import sys

SECONDS, BYTES = 10, 512 * 2**20

MESSAGES = [{"role": "user", "content": "hello"}]

# A list in which each level names the one below it twice: 2^40 leaves in 41 lists.
_TREE = "{% set n = namespace(x=['leaf']) %}{% for i in range(40) %}{% set n.x = [n.x, n.x] %}"
_TREE += "{% endfor %}"
_TUPLES = _TREE.replace("['leaf']", "('leaf',)").replace("[n.x, n.x]", "(n.x, n.x)")
_DEEP = "{% set n = namespace(x=()) %}{% for i in range(90000) %}{% set n.x = (n.x,) %}{% endfor %}"
_LONG = "{% set a = 'a' * 9000000 %}"

HOSTILE = {
    # long text
    "times": "{{ 'a' * 10**9 }}",
    "times_backwards": "{{ 10**9 * 'a' }}",
    "times_unused": "{% set x = 'a' * 10**10 %}",
    "times_list": "{{ ([0] * 10**9) | length }}",
    "times_tuple": "{% set x = (0, 1) * 10**9 %}",
    "times_twice": "{{ ('a' * 10**5) * 10**5 }}",
    "times_in_a_filter": "{{ ('a' * 10**9) | length }}",
    "double_plus": "{% set n = namespace(x='aa') %}{% for i in range(99) %}"
    "{% set n.x = n.x + n.x %}{% endfor %}",
    "double_tilde": "{% set n = namespace(x='aa') %}{% for i in range(99) %}"
    "{% set n.x = n.x ~ n.x %}{% endfor %}",
    "double_list": "{% set n = namespace(x=[1]) %}{% for i in range(99) %}"
    "{% set n.x = n.x + n.x %}{% endfor %}",
    "double_block": "{% set n = namespace(x='aa') %}{% for i in range(99) %}"
    "{% set y %}{{ n.x }}{{ n.x }}{% endset %}{% set n.x = y %}{% endfor %}",
    "double_join": "{% set n = namespace(x='aa') %}{% for i in range(99) %}"
    "{% set n.x = [n.x, n.x] | join %}{% endfor %}",
    "double_join_method": "{% set n = namespace(x='aa') %}{% for i in range(99) %}"
    "{% set n.x = n.x.join(['', '', '']) %}{% endfor %}",
    "double_replace": "{% set n = namespace(x='aa') %}{% for i in range(99) %}"
    "{% set n.x = n.x | replace('a', 'aa') %}{% endfor %}",
    "double_replace_method": "{% set n = namespace(x='aa') %}{% for i in range(99) %}"
    "{% set n.x = n.x.replace('a', 'aa') %}{% endfor %}",
    "double_format": "{% set n = namespace(x='aa') %}{% for i in range(99) %}"
    "{% set n.x = '{0}{0}'.format(n.x) %}{% endfor %}",
    "double_escape": "{% set n = namespace(x='&&') %}{% for i in range(99) %}"
    "{% set n.x = (n.x | e) ~ n.x %}{% endfor %}",
    "double_macro": "{% macro d(x, n) %}{% if n %}{{ d(x ~ x, n - 1) }}{% endif %}{% endmacro %}"
    "{{ d('aa', 99) }}",
    "double_filter_block": "{% set n = namespace(x='aa') %}{% for i in range(99) %}{% set n.x %}"
    "{% filter upper %}{{ n.x }}{{ n.x }}{% endfilter %}{% endset %}{% endfor %}",
    "replace_nothing": _LONG + "{{ a | replace('', a) }}",
    "write_again": _LONG + "{% for i in range(99999) %}{{ a }}{% endfor %}",
    "write_plain": "{% for i in range(99999) %}" + "x" * 99_999 + "{% endfor %}",
    "write_plain_in_a_block": "{% set x %}{% for i in range(99999) %}"
    + "x" * 99_999
    + "{% endfor %}{% endset %}",
    "write_plain_in_a_macro": "{% macro m() %}" + "x" * 99_999 + "{% endmacro %}"
    "{% set x %}{% for i in range(99999) %}{{ m() }}{% endfor %}{% endset %}",
    "indent": "{{ ('\n' * 10**6) | indent(10**6, true, true) }}",
    "indent_text": _LONG + "{{ ('\n' * 10**6) | indent(a, true, true) }}",
    "json_indent": "{{ [1, 2] | tojson(indent=10**9) }}",
    "json_separators": _LONG + "{{ range(99999) | list | tojson(separators=(a, a)) }}",
    "join_named": _LONG + "{{ range(99999) | join(attribute=none, d=a) }}",
    "indent_named": "{{ ('\n' * 10**6) | indent(blank=true, width=10**6) }}",
    "replace_named": _LONG + "{{ a | replace(new=a, old='') }}",
    "split_named": _LONG + "{{ (a * 2).split(maxsplit=-1, sep='b') }}",
    # widths
    "odd": "{{ '%1000000000d' is odd }}",
    "even": "{{ '%1000000000d' is even }}",
    "divisible": "{{ '%1000000000d' is divisibleby(3) }}",
    "strftime": _LONG + "{{ strftime_now('%1000000000Y' * 1000) }}",
    "percent": "{{ '%1000000000s' % 1 }}",
    "percent_star": "{{ '%*d' % (10**9, 1) }}",
    "format_width": "{{ '{:1000000000}'.format(1) }}",
    "format_nested_width": "{{ '{:{}}'.format(1, 10**9) }}",
    "format_named": "{{ '{a:>{b}}'.format(a=1, b=10**9) }}",
    "format_map": "{{ '{a:1000000000}'.format_map({'a': 1}) }}",
    "format_filter": "{{ '%1000000000s' | format(1) }}",
    "center": "{{ 'a' | center(10**9) }}",
    "center_method": "{{ 'a'.center(10**9) }}",
    "zfill": "{{ 'a'.zfill(10**9) }}",
    "ljust": "{{ 'a'.ljust(10**9) }}",
    "expandtabs": "{{ '\t'.expandtabs(10**9) }}",
    "translate": "{{ 'aaaa'.translate({97: 'a' * 1000}) }}",
    "lipsum": "{{ lipsum(n=10**9) }}",
    "batch": "{{ [1] | batch(10**9, 0) | list }}",
    "slice_filter": "{{ [1] | slice(10**9) | list }}",
    "wordwrap": "{{ ('a' * 10**6) | wordwrap(1, wrapstring='a' * 10**6) }}",
    "map_to_center": "{{ ['a'] | map('center', 10**9) | list }}",
    # loops
    "range": "{% for i in range(10**12) %}{% endfor %}",
    "loops": "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
    "loops_that_write": "{% for i in range(99999) %}{% for j in range(99999) %}a{% endfor %}"
    "{% endfor %}",
    "loops_with_if": "{% for i in range(99999) %}{% for j in range(99999) if j < 0 %}{% endfor %}"
    "{% endfor %}",
    "loops_over_text": _LONG + "{% for i in a %}{% for j in a %}{% endfor %}{% endfor %}",
    "loops_over_a_filter": "{% for i in range(99999) %}{% for j in range(99999) | map('string') %}"
    "{% endfor %}{% endfor %}",
    "long_body": "{% for i in range(99999) %}" + "{% if i %}{% endif %}" * 9_999 + "{% endfor %}",
    "lists_in_a_loop": "{% for i in range(99999) %}{% set x = range(99999) | list %}{% endfor %}",
    "kept_lists": "{% set n = namespace(x=none) %}{% for i in range(99999) %}"
    "{% set n.x = (n.x, range(99999) | list) %}{% endfor %}",
    "slices_in_a_loop": _LONG + "{% for i in range(99999) %}{% set x = a[1:] %}{% endfor %}",
    "search_in_a_loop": _LONG
    + "{% for i in range(99999) %}{% if 'b' in a %}{% endif %}{% endfor %}",
    "compare_in_a_loop": _LONG + "{% set b = 'a' * 9000000 %}"
    "{% for i in range(99999) %}{% if a == b %}{% endif %}{% endfor %}",
    "select_in_a_loop": "{% for i in range(99999) %}{{ range(99999) | select | first }}"
    "{% endfor %}",
    "reject_in_a_loop": "{% for i in range(99999) %}{{ range(99999) | reject('number') | first }}"
    "{% endfor %}",
    "sort_in_a_loop": "{% for i in range(99999) %}{% set x = range(99999) | sort %}{% endfor %}",
    "split_in_a_loop": _LONG + "{% for i in range(99999) %}{% set x = a.split('a') %}{% endfor %}",
    "test_in_a_loop": "{% set a = range(99999) | list %}{% set b = range(99999) | list %}"
    "{% for i in range(99999) %}{% if a is eq b %}{% endif %}{% endfor %}",
    "splat_in_a_loop": "{% macro m() %}{% endmacro %}{% set a = range(99999) | list %}"
    "{% for i in range(99999) %}{{ m(*a) }}{% endfor %}",
    "backward_search": _LONG + "{{ a.rfind('b' + a[1:]) }}",
    "strip": _LONG + "{{ a.strip(range(90000) | join ~ a) }}",
    "split_all": _LONG + "{{ a.split('a') | map('upper') | map('lower') | list | length }}",
    "long_attribute": "{% set a = 'a.' * 10**6 %}"
    "{{ range(99999) | map(attribute=a, default=1) | list }}",
    "long_name": _LONG + "{{ range(99999) | join('', attribute=(a | safe)) }}",
    "long_attribute_sort": "{% set a = 'a.' * 10**6 %}{{ range(99999) | sort(attribute=a) }}",
    # calls
    "macro": "{% macro m(n) %}{{ m(n + 1) }}{% endmacro %}{{ m(0) }}",
    "macro_twice": "{% macro m(n) %}{% if n %}{{ m(n - 1) }}{{ m(n - 1) }}{% endif %}{% endmacro %}"
    "{{ m(90) }}",
    "macros_around": "{% macro a(n) %}{{ b(n) }}{{ b(n) }}{% endmacro %}"
    "{% macro b(n) %}{% if n %}{{ a(n - 1) }}{% endif %}{% endmacro %}{{ a(60) }}",
    "caller": "{% macro m(n) %}{% if n %}{% call m(n - 1) %}{{ caller() }}{{ caller() }}"
    "{% endcall %}{% endif %}{{ caller() }}{{ caller() }}{% endmacro %}"
    "{% call m(90) %}a{% endcall %}",
    "recursive_loop": "{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}",
    "block": "{% block a %}{{ self.a() }}{% endblock %}",
    # numbers
    "power": "{{ 10 ** 10 ** 10 }}",
    "power_of_power": "{% set n = namespace(x=9) %}{% for i in range(99) %}"
    "{% set n.x = n.x ** 99 %}{% endfor %}",
    "squares": "{% set n = namespace(x=9) %}{% for i in range(99) %}{% set n.x = n.x * n.x %}"
    "{% endfor %}",
    "round": "{{ 1.5 | round(10**9, 'ceil') }}",
    "round_down": "{{ 5 | round(-10**9) }}",
    "round_named": "{{ 1.5 | round(method='ceil', precision=10**9) }}",
    # lists in lists
    "tree": _TREE + "{{ n.x }}",
    "tree_json": _TREE + "{{ n.x | tojson }}",
    "tree_string": _TREE + "{{ n.x | string | length }}",
    "tree_tilde": _TREE + "{{ n.x ~ '' }}",
    "tree_join": _TREE + "{{ [n.x] | join }}",
    "tree_format": _TREE + "{{ '{}'.format(n.x) }}",
    "tree_equal": _TREE + "{% set a = n.x %}" + _TREE + "{{ a == n.x }}",
    "tree_less": _TREE + "{% set a = n.x %}" + _TREE + "{{ a <= n.x }}",
    "tree_is_equal": _TREE + "{% set a = n.x %}" + _TREE + "{{ a is eq n.x }}",
    "tree_in": _TREE + "{% set a = n.x %}" + _TREE + "{{ a in [n.x] }}",
    "tree_sort": _TREE + "{% set a = n.x %}" + _TREE + "{{ [a, n.x] | sort }}",
    "tree_raise": _TREE + "{{ raise_exception(message=n.x) }}",
    "tree_macro": _TREE + "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(n.x) }}",
    "tree_replace": _TREE + "{{ n.x | replace('a', 'b') }}",
    "tree_replaced": _TREE + "{{ 'a'.replace(n.x, 'b') }}",
    "tree_split": _TREE + "{{ 'a'.split(n.x) }}",
    "tree_attr": _TREE + "{{ 'a' | attr(n.x) }}",
    "tree_no_test": _TREE + "{{ 'a' | reject(n) | list }}",
    "tree_no_filter": _TREE + "{{ 'a' | map(n.x) | list }}",
    "tree_filter": _TUPLES + "{{ n.x is filter }}",
    "tree_test": _TUPLES + "{{ n.x is test }}",
    "tree_as_key": _TUPLES + "{{ {n.x: 1} }}",
    "tree_looked_up": _TUPLES + "{{ {}[n.x].x }}",
    "tree_get": _TUPLES + "{{ {}.get(n.x) }}",
    "tree_in_dict": _TUPLES + "{{ n.x in {} }}",
    "tree_unique": _TUPLES + "{{ [n.x] | unique | list }}",
    "tree_dict": _TUPLES + "{{ dict([(n.x, 1)]) }}",
    "deep": _DEEP + "{{ n.x }}",
    "deep_key": _DEEP + "{{ {n.x: 1} }}",
    "deep_in_dict": _DEEP + "{{ n.x in {} }}",
    "deep_unique": _DEEP + "{{ [n.x] | unique | list }}",
    "deep_equal": _DEEP + "{% set a = n.x %}" + _DEEP + "{{ a == n.x }}",
    "itself": "{% set n = namespace() %}{% set n.x = [n] %}{{ n }}",
    # the source itself
    "long_source": "a" * 2**20,
    "deep_source": "{{ " + "(" * 9_999 + "1" + ")" * 9_999 + " }}",
    "deep_lists_source": "{{ " + "[" * 9_999 + "]" * 9_999 + " }}",
    "deep_nots_source": "{{ " + "not " * 30_000 + "1 }}",
    "long_sum_source": "{{ 1" + "+1" * 60_000 + " }}",
    "deep_ifs_source": "{% if 1 %}" * 9_999 + "{% endif %}" * 9_999,
    "long_elif_source": "{% if 0 %}" + "{% elif 0 %}" * 9_000 + "{% endif %}",
    "long_number_source": "{{ " + "9" * 90_000 + " ** 2 }}",
    "long_hex_source": "{{ 0x" + "f" * 90_000 + " * 2 }}",
    # code
    "classes": "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "globals": "{{ raise_exception.__globals__.x }}",
    "builtins": "{{ namespace.__init__.__globals__ }}",
    "attr_filter": "{{ '' | attr('__class__') | attr('x') | upper + 1 }}",
    "format_attribute": "{{ '{0.__class__}'.format('') | length + raise_exception }}",
    "change_messages": "{{ messages.append(1) }}",
    "change_a_message": "{{ messages[0].update(role='x') }}",
    "change_by_type": "{{ dict.update(messages[0], role='x') }}",
    "import": "{% import 'os' as os %}",
    "include": "{% include '/etc/passwd' %}",
    "extends": "{% extends 'x' %}",
    "generator_frame": "{{ (messages | map('upper')).gi_frame }}{{ 1 // 0 }}",
}


def main() -> None:
    """Render one of them within the limits; say how it ended."""
    import resource
    from pathlib import Path

    from softchat.errors import ModelRefusedError
    from softchat.prompt import sandbox  # noqa: F401  # imported before the limits begin
    from softchat.prompt.template import render

    pages = int(Path("/proc/self/statm").read_text().split()[0]) if sys.platform == "linux" else 0
    if pages:
        limit = pages * resource.getpagesize() + BYTES
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    for name in sys.argv[1:]:
        used = int(resource.getrusage(resource.RUSAGE_SELF).ru_utime) + 1
        resource.setrlimit(resource.RLIMIT_CPU, (used + SECONDS, resource.RLIM_INFINITY))
        try:
            render(HOSTILE[name], MESSAGES)
        except ModelRefusedError as error:
            print(f"{name}: {error}", flush=True)
        else:
            print(f"{name}: NOT STOPPED", flush=True)


if __name__ == "__main__":
    main()
