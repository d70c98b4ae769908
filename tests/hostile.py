"""Chat templates that want too much, or what they may not have: each must be stopped."""

from __future__ import annotations

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

_CELLS = (
    "{% set n = namespace(x=[]) %}{% for i in range(300) %}{% set n.x = n.x + [i] %}{% endfor %}"
)
_AB = "{% set a = 'ab' * 100000 %}"
_LOOPS = "{% for i in range(99999) %}{% for j in range(99999) %}"
_ENDS = "{% endfor %}{% endfor %}"

HOSTILE |= {
    # what a list of prices did not foresee
    "earns": "{% set x = '' | indent(-(10 ** 18)) %}" + _LOOPS + _ENDS,
    "indent_negative": "{{ 'a\nb' | indent(-(10**9)) }}" + _LOOPS + "{{ i }}" + _ENDS,
    "round_huge": "{{ (10 ** 300) | round(300, 'floor') }}" + _LOOPS + _ENDS,
    "equal_numbers": "{% set a = [2 ** 4000] * 90000 %}{% for i in range(99999) %}"
    "{% if a == a | list %}{% endif %}{% endfor %}",
    "colliding_keys": "{% set n = namespace(d=[]) %}{% for i in range(20000) %}"
    "{% set n.d = n.d + [(i * (2 ** 61 - 1), 1)] %}{% endfor %}{{ dict(n.d) | length }}",
    "colliding_unique": "{% for k in range(9999) %}{% for i in [0] %}"
    "{{ range(0, 90000) | map('multiply') | list if false }}"
    "{% set x = range(90000) | unique | list %}{% endfor %}{% endfor %}",
    "power_by_power": "{{ (9 ** 9 ** 7) % 10 }}",
    "power_negative": "{{ 2.0 ** 100000 }}",
    "shift_by_product": "{% set n = namespace(x=3) %}{% for i in range(64) %}"
    "{% set n.x = n.x * n.x %}{% endfor %}{{ n.x % 7 }}",
    "divide": "{% set n = namespace(x=7 ** 90000) %}" + _LOOPS + "{% set n.y = n.x // 3 %}" + _ENDS,
    "to_text_of_a_number": "{{ (7 ** 900000) | string | length }}",
    "int_of_text": "{{ ('9' * 4000000) | int }}",
    "int_of_text_base": "{{ ('f' * 40000000) | int(base=16) }}",
    "float_of_text": "{{ ('1' * 90000000) | float }}",
    # the other filters and methods
    "truncate": "{{ ('a ' * 10**7) | truncate(10**9) | wordwrap(1) }}",
    "wordcount": "{% set a = 'a ' * 9000000 %}{% for i in range(99999) %}"
    "{% set x = a | wordcount %}{% endfor %}",
    "urlize": "{% set a = 'http://a.b/ ' * 900000 %}{{ a | urlize(10**6) }}",
    "striptags": "{% set a = '<' * 200000 %}{{ a | striptags }}{{ ('<!--' * 200000) | striptags }}",
    "xmlattr": "{% set a = 'a' * 9000000 %}{{ {'a': a, 'b': a} | xmlattr | length }}"
    + _LOOPS
    + _ENDS,
    "groupby": "{% for i in range(9999) %}{{ range(99999) | groupby('real') | first }}{% endfor %}",
    "sum_of_lists": "{{ ([[1] * 1000] * 100000) | sum(start=[]) | length }}",
    "sum_of_numbers": "{% for i in range(99999) %}{% set x = range(99999) | sum %}{% endfor %}",
    "pprint": _CELLS + "{% set b = [n.x] * 3000 %}{{ [b, b] | pprint }}",
    "random": "{% for i in range(99999) %}{{ range(99999) | random }}{{ range(99999) | last }}"
    "{% endfor %}",
    "filesizeformat": _LOOPS + "{{ (9 ** 99) | filesizeformat }}" + _ENDS,
    "batch_in_a_loop": "{% for i in range(99999) %}{{ range(99999) | batch(1) | list | length }}"
    "{% endfor %}",
    "center_twice": "{{ ('a' | center(10**7)) | center(10**10) }}",
    "format_precision": "{{ '%.999999999f' % 1.5 }}",
    "format_dictionary": "{{ '%(a)999999999d' % {'a': 1} }}",
    "splitlines": "{% set a = '\n' * 9000000 %}{% for i in range(999) %}"
    "{% set x = a.splitlines() %}{% endfor %}",
    "partition": _AB + "{% for i in range(99999) %}{% set x = a.partition('ba' * 50000) %}"
    "{% endfor %}",
    "count_method": _AB + "{% for i in range(99999) %}{% set x = a.count('b') %}{% endfor %}",
    "find_quadratic": "{% set a = ('a' * 5000 + 'b') * 200 %}{% for i in range(99999) %}"
    "{% set x = a.find('a' * 5001) %}{% endfor %}",
    "encode": "{% set a = 'a' * 9000000 %}{% for i in range(99999) %}{% set x = a.encode() %}"
    "{% endfor %}",
    "casefold": "{{ ('\u0390' * 20000000).casefold() | length }}{{ ('ß' * 90000000) | upper }}",
    "maketrans": "{{ ('a' * 5000000).translate(''.maketrans({'a': 'b' * 1000})) }}",
    "json_of_text": "{{ ('\x01' * 9000000) | tojson }}",
    "json_in_json": "{% set n = namespace(x='\"') %}{% for i in range(99) %}"
    "{% set n.x = n.x | tojson %}{% endfor %}",
    "escape_twice": "{% set n = namespace(x='&') %}{% for i in range(40) %}"
    "{% set n.x = (n.x ~ n.x) | e | forceescape | string | e %}{% endfor %}{{ n.x }}",
    # the language
    "namespaces": "{% set n = namespace(x=none) %}"
    + _LOOPS
    + "{% set n.x = namespace(x=n.x) %}"
    + _ENDS,
    "macro_arguments": "{% macro m() %}{{ varargs | length }}{% endmacro %}"
    "{{ m(*([0] * 20000000)) }}",
    "macro_names": "{% macro m() %}{{ kwargs | length }}{% endmacro %}"
    "{% for i in range(99999) %}{{ m(**dict(a=1, b=2)) }}{{ m(*range(9999)) }}{% endfor %}",
    "loop_cycle": _LOOPS + "{{ loop.cycle('a', 'b') }}" + _ENDS,
    "loop_previous": "{% for i in range(99999) %}{{ loop.previtem }}{{ loop.nextitem }}"
    "{% for j in range(99999) %}{{ loop.changed(j) }}{% endfor %}{% endfor %}",
    "many_variables": "".join(f"{{% set v{i} = 'a' * 100000 %}}" for i in range(4000)),
    "many_macros": "".join(
        f"{{% macro m{i}() %}}{{{{ m{i + 1}() }}}}{{{{ m{i + 1}() }}}}{{% endmacro %}}"
        for i in range(300)
    )
    + "{{ m0() }}",
    "long_condition": "{% if " + " or ".join(["0"] * 40_000) + " %}{% endif %}",
    "long_chain": "{{ a" + ".b" * 40_000 + " }}",
    "long_filters": "{{ 'a'" + "|upper" * 20_000 + " }}",
    "long_call": "{{ dict("
    + ",".join(f"a{i}=1" for i in range(20_000))
    + ") | length }}"
    + _LOOPS
    + _ENDS,
    "long_string": "{{ '" + "\\x41" * 1_000_000 + "' * 999 }}",
    "long_comment": "{#" + "a" * 20_000_000 + "#}" + _LOOPS + _ENDS,
    "raw": "{% raw %}" + "{{" * 3_000_000 + "{% endraw %}",
    "unclosed": "{{" * 500_000,
    "line_of_dashes": "{%" + "-" * 500_000 + "%}",
    "numbers_of_underscores": "{{ 1" + "_1" * 200_000 + " ** 2 }}",
    # lone surrogates and what is no text
    "surrogate": "{{ '\ud800' }}",
    "surrogate_pair_apart": "{{ '\ud83d' }}{{ '\ude00' }}" + "{{ raise_exception('\udfff') }}",
    "surrogate_raised": "{{ raise_exception('\ud800' * 1000) }}",
    "escapes_raised": "{{ raise_exception('\x1b]0;owned\x07\x9b2J\u202e') }}",
    # the walls
    "undefined_calls": _LOOPS + "{{ x.y.z }}" + _ENDS,
    "mro": "{{ ().__class__.__bases__[0].__subclasses__() }}",
    "mro_by_attr": "{{ () | attr('__cla' ~ 'ss__') | attr('__base__') }}",
    "mro_by_map": "{{ [()] | map(attribute='__class__') | map(attribute='__mro__') | list }}"
    "{{ 1 // 0 }}",
    "format_class": "{{ '{0.__class__.__mro__}'.format(()) }}{{ 1 // 0 }}",
    "format_map_class": "{{ '{a.__init__.__globals__}'.format_map({'a': range}) }}{{ 1 // 0 }}",
    "function_code": "{{ strftime_now.__code__ }}{{ 1 // 0 }}",
    "environment": "{{ self._TemplateReference__context.environment }}{{ 1 // 0 }}",
    "generator_code": "{% for x in messages | map('upper') %}{{ loop.__class__ }}{% endfor %}"
    "{{ 1 // 0 }}",
    "caller_globals": "{% macro m() %}{{ caller.__globals__ }}{% endmacro %}"
    "{% call m() %}{% endcall %}{{ 1 // 0 }}",
    "strftime_width": "{{ strftime_now('%099999999d') }}" + "{{ strftime_now('%999999999Y') }}",
    "strftime_null": "{{ strftime_now('\x00') }}{{ 1 // 0 }}",
    "strftime_surrogate": "{{ strftime_now('\ud800') }}",
    "autoescape": "{% autoescape true %}" + _LOOPS + "{{ '<' }}" + _ENDS + "{% endautoescape %}",
    "debug": "{% debug %}",
    "do": "{% do messages.append(1) %}",
    "trans": "{% trans %}a{% endtrans %}",
}

HARMLESS = {
    *("backward_search", "change_by_type", "float_of_text", "int_of_text", "itself", "long_source"),
    *("mro_by_attr", "power", "power_by_power", "strftime_width", "striptags", "translate"),
    *("deep_in_dict", "random"),  # refused by Python 3.11.7, and not by 3.11.2
}
"""Of these, what is within all bounds, or nearly so, and may be rendered."""
