"""jinja2's immutable sandbox with a meter: a stranger's template ends soon and stays small.

jinja2's own sandbox bounds what a template can touch, not what it can use up: `'a' * 10**9`
renders. Here whatever costs more than a step pays for it before it is done, in units of about ten
nanoseconds or one byte, out of a purse that grows with what is to be rendered. So the same template
fails at the same place on every machine, without a clock, a signal or a process. This holds because
a template gets nothing else: each kind of statement, filter, test, function and method is let in by
name, and with its price. Knows nothing of models or prompts.
"""

from __future__ import annotations

import functools
import inspect
import json
import operator
import re
import types
from collections.abc import (
    Callable,
    ItemsView,
    Iterable,
    Iterator,
    KeysView,
    Mapping,
    ValuesView,
)
from contextvars import ContextVar
from typing import Any

from jinja2 import Template, Undefined, nodes, pass_context
from jinja2.exceptions import SecurityError
from jinja2.ext import Extension
from jinja2.filters import FILTERS
from jinja2.parser import Parser
from jinja2.runtime import Context, LoopContext, Macro
from jinja2.sandbox import ImmutableSandboxedEnvironment, safe_range
from jinja2.tests import TESTS
from jinja2.utils import Namespace
from jinja2.visitor import NodeTransformer

_PURSE = 20_000_000
"""What any template may spend…"""
_PER_CHARACTER, _PER_MESSAGE = 100, 100_000
"""…and what more for each character, and each message, of what it is to render."""
_LONGEST_SOURCE = 2**17  # characters; the longest of seventy real ones has 17,000
_STEP = 50  # a call into this module
_NODE = 10  # a node of the template's code
_ITEM = 16  # an item of a list
_DEEPEST = 50  # lists in lists: C code that compares or hashes deeper ones can run out of stack
_LARGEST_BITS = 256
_WIDEST = 8  # digits of round, spaces of an indent in JSON


class ExhaustedError(Exception):
    """The template has spent all it may."""


class _Purse:
    __slots__ = ("left",)

    def __init__(self, left: int) -> None:
        self.left = left


_purse: ContextVar[_Purse] = ContextVar("_purse")


def render(source: str, variables: Mapping[str, Any], functions: Mapping[str, Any]) -> str:
    """The template with these variables.

    Args:
        source: the template.
        variables: plain values: text, numbers, lists, dicts.
        functions: what it may call besides `namespace`, `dict` and `range`.

    Raises:
        ExhaustedError: it takes too long, or writes too much.
        Exception: whatever else a stranger's program raises.

    """
    messages = variables.get("messages") or ()
    budget = _PURSE + _PER_MESSAGE * len(messages)
    reset = _purse.set(_Purse(budget + _PER_CHARACTER * _weigh(variables, limit=2**40)))
    try:
        pieces = []
        for piece in _compile(source).generate(**variables, **functions):
            _spend(_STEP + len(piece))
            pieces.append(piece)
        return "".join(pieces)
    finally:
        _purse.reset(reset)


def _spend(cost: int) -> None:
    purse = _purse.get()
    purse.left -= cost
    if purse.left < 0:
        raise ExhaustedError


@functools.lru_cache(maxsize=8)
def _compile(source: str) -> Template:
    if len(source) > _LONGEST_SOURCE:
        raise ExhaustedError
    environment = _Environment()
    tree = environment.parse(source)
    environment.meter(tree)
    code = environment.compile(tree)
    return environment.template_class.from_code(environment, code, environment.make_globals(None))


# -- what values weigh -----------------------------------------------------------------------------

_SCALARS = (str, int, float, bool, type(None))
_VIEWS = (KeysView, ValuesView, ItemsView)
_SIZED = (str, list, tuple, dict, range, *_VIEWS)


def _weigh(*values: object, limit: int | None = None) -> int:
    """What it costs to look at all of these values, or to write them out.

    Raises:
        ExhaustedError: more than there is; said before the looking itself takes long.
        SecurityError: they are nested too deep, or no plain values.

    """
    limit = _purse.get().left if limit is None else limit
    total = 0
    left: list[tuple[object, int]] = [(value, 0) for value in values]
    while left:
        value, depth = left.pop()
        if isinstance(value, str):
            total += len(value)
        elif isinstance(value, (list, tuple, dict, *_VIEWS)):
            if depth == _DEEPEST:
                raise SecurityError("lists are nested too deep")
            total += _ITEM * len(value)
            if total <= limit:
                left += [(inner, depth + 1) for inner in value]
            if isinstance(value, dict) and total <= limit:
                left += [(inner, depth + 1) for inner in value.values()]
        elif isinstance(value, int):
            total += _check_number(value).bit_length() // 8
        elif isinstance(value, range):
            total += _ITEM * len(value)
        elif not isinstance(value, (float, type(None), Undefined)):
            raise SecurityError(f"a {type(value).__name__} is used as a plain value")
        total += _ITEM
        if total > limit:
            raise ExhaustedError
    return total


def _check_number(value: int) -> int:
    if value.bit_length() > _LARGEST_BITS:
        raise SecurityError("a number is too large")
    return value


def _counted(values: Iterable[Any], cost: int = 0) -> Iterator[Any]:
    for value in values:
        _spend(_STEP + cost)
        yield value


def _listed(values: Any) -> Any:  # noqa: ANN401  # whatever the template has
    """The values, all there; what makes them one by one is paid for."""
    plain = (*_SIZED, *_SCALARS, Undefined, LoopContext)
    if isinstance(values, plain) or not isinstance(values, Iterable):
        return values
    return list(_counted(values))


# -- prices ----------------------------------------------------------------------------------------

Price = Callable[..., int]  # of a call, from its arguments; may give up


def _free(*_: object) -> int:
    return 0


def _named(_: object, *names: object) -> int:
    return _weigh(*names)


def _number(*values: object) -> int:
    if not all(isinstance(value, (int, float)) for value in values):
        raise SecurityError("a number is wanted")  # % of text would be its formatting
    return _weigh(*values)


def _length(value: object, *_: object) -> int:
    return _ITEM * len(value) if isinstance(value, _SIZED) else 0


def _escaped(*values: object) -> int:
    return 6 * _weigh(*values)  # characters of &quot;


def _sorted(*values: object) -> int:
    return 20 * _weigh(*values)  # comparisons of each of a million items


def _search(text: object, *wanted: object) -> int:
    """Of methods that may look at all of `wanted` at each character of the text."""
    lengths = [len(value) for value in wanted if isinstance(value, str)]
    return _weigh(text, *wanted) * max(lengths, default=1)


def _split(text: object, *between: object) -> int:
    weight, text = _weigh(text, *between), str(text)  # weighed first: writing it out costs too
    parts = text.count(str(between[0])) if between and between[0] else len(text)
    return weight + 4 * _ITEM * parts


def _replace(text: object, old: object, new: object, *more: object) -> int:
    weight, written = _weigh(text, old, new, *more), str(new)
    return weight + str(text).count(str(old)) * len(written)


def _join(values: object, glue: object = "", *more: object) -> int:
    many = len(values) if isinstance(values, _SIZED) else 1
    return _weigh(values, glue, *more) + many * _weigh(glue)


def _joined_by(glue: object, values: object) -> int:
    return _join(values, glue)


def _indent(text: object, width: object = 4, *more: object) -> int:
    lines = str(text).count("\n") + 1 if isinstance(text, str) else 1
    wide = len(width) if isinstance(width, str) else _whole(width)
    return _weigh(text, width, *more) + lines * wide


def _round(*values: object) -> int:
    if len(values) > 1 and abs(_whole(values[1])) > _WIDEST:
        raise SecurityError("round to that many digits")
    return _weigh(*values)


def _to_json(
    value: object, _: object = False, indent: object = None, separators: object = (), *more: object
) -> int:
    wide = len(indent) if isinstance(indent, str) else _whole(indent)
    if wide > _WIDEST:
        raise SecurityError("an indent of that many spaces")
    return _weigh(value) * (1 + 6 * wide + _weigh(separators, *more) // _ITEM)


_UNSAFE_FORM = re.compile(r":[^}]*(\{|[0-9]{3})")  # a width that is wide, or that a value gives


def _format(form: object, *values: object) -> int:
    text = str(form)
    if _UNSAFE_FORM.search(text):
        raise SecurityError("a width in format")
    return len(text) + (1 + text.count("{")) * _weigh(*values)


def _whole(value: object) -> int:
    return value if isinstance(value, int) else 0


def _compared(op: str, left: object, right: object) -> int:
    if op in ("in", "notin"):
        if isinstance(right, dict):
            return _weigh(left)
        return _weigh(left, right)
    if isinstance(left, str) and isinstance(right, str):
        return min(len(left), len(right))
    if isinstance(left, (list, tuple, dict, *_VIEWS)) and not isinstance(right, _SCALARS):
        return _weigh(left, right)
    return 0


_FILTERS: dict[str, Price] = {
    **dict.fromkeys(["count", "d", "default", "first", "items", "last", "length"], _free),
    **dict.fromkeys(["list", "reverse"], _length),
    **dict.fromkeys(["abs", "capitalize", "float", "int", "lower", "max", "min"], _weigh),
    **dict.fromkeys(["safe", "string", "title", "unique", "upper"], _weigh),
    **dict.fromkeys(["e", "escape"], _escaped),
    **dict.fromkeys(["dictsort", "sort"], _sorted),
    **{"attr": _named, "indent": _indent, "join": _join, "replace": _replace, "round": _round},
    "trim": _search,
}
_LAZY = ("map", "reject", "rejectattr", "select", "selectattr")  # they pay for each item
_COMPARING = {
    **dict.fromkeys(["==", "eq", "equalto"], "eq"),
    **dict.fromkeys(["!=", "ne"], "ne"),
    **dict.fromkeys([">", "gt", "greaterthan"], "gt"),
    **dict.fromkeys([">=", "ge"], "gteq"),
    **dict.fromkeys(["<", "lt", "lessthan"], "lt"),
    **dict.fromkeys(["<=", "le"], "lteq"),
    "in": "in",
}
_TESTS = (  # all free
    *("boolean", "callable", "defined", "escaped", "false", "float", "integer", "iterable"),
    *("mapping", "none", "number", "sameas", "sequence", "string", "true", "undefined"),
)
_NUMBER_TESTS = ("divisibleby", "even", "odd")
_TEXT_METHODS: dict[str, Price] = {
    **dict.fromkeys(["capitalize", "casefold", "lower", "swapcase", "title", "upper"], _weigh),
    **dict.fromkeys(["count", "endswith", "find", "index", "partition", "startswith"], _weigh),
    **dict.fromkeys(["removeprefix", "removesuffix"], _weigh),
    **dict.fromkeys(["isalnum", "isalpha", "isdecimal", "isdigit", "islower", "isnumeric"], _weigh),
    **dict.fromkeys(["isspace", "isupper"], _weigh),
    **dict.fromkeys(["lstrip", "rfind", "rindex", "rpartition", "rstrip", "strip"], _search),
    **{"format": _format, "join": _joined_by, "replace": _replace},
    **{"rsplit": _split, "split": _split, "splitlines": _split},
}
_METHODS: dict[type, dict[str, Price]] = {
    str: _TEXT_METHODS,
    dict: {**dict.fromkeys(["items", "keys", "values"], _free), "copy": _length},
    list: {**dict.fromkeys(["count", "index"], _weigh), "copy": _length},
    tuple: dict.fromkeys(["count", "index"], _weigh),
}


def _priced(function: Callable[..., Any], price: Price) -> Callable[..., Any]:
    signature = inspect.signature(function)
    first = 1 if hasattr(function, "jinja_pass_arg") else 0

    # wraps() takes along what jinja2 has noted on the function: that it wants the environment.
    @functools.wraps(function)
    def paid(*args: Any, **named: Any) -> Any:  # noqa: ANN401
        if named:  # put in their places, as prices know arguments by place
            bound = signature.bind(*args, **named)
            bound.apply_defaults()
            args, named = bound.args, bound.kwargs
        values = [_listed(value) for value in args[first:]]
        _spend(_STEP + price(*values, *named.values()))
        return function(*args[:first], *values, **named)

    return paid


def _lazy(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def paid(context: Context, value: Any, *args: Any, **named: Any) -> Any:  # noqa: ANN401
        _spend(_STEP + _weigh(*args, *named.values()))  # errors write out what they name
        counted = _counted(value) if isinstance(value, Iterable) else value
        return function(context, counted, *args, **named)

    return paid


def _comparing(op: str) -> Callable[..., bool]:
    return lambda left, right: _compare(None, left, op, right)


# -- what jinja2 would do unasked: the metering of a template's tree puts these in its place -------

# A name in a template has no space; through `map` they could be named, and are paid for then too.
_LOOP, _SLICE, _CONCAT, _COMPARE, _KEY = (
    f"metered {x}" for x in ("loop", "slice", "concat", "compare", "key")
)
_INTERNAL = ("_loop_vars", "_block_vars")
_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    **{"eq": operator.eq, "ne": operator.ne, "gt": operator.gt, "gteq": operator.ge},
    **{"lt": operator.lt, "lteq": operator.le},
    "in": lambda a, b: a in b,
    "notin": lambda a, b: a not in b,
}


@pass_context  # so that nothing is worked out while compiling, when nothing is paid for
def _loop(_: Context, values: Any, body: int) -> Any:  # noqa: ANN401
    if isinstance(values, _SIZED):
        _spend(_STEP + len(values) * (_STEP + body))
        return values
    if isinstance(values, Undefined) or not isinstance(values, Iterable):
        return values
    return _counted(values, body)


@pass_context
def _slice(_: Context, value: Any, *bounds: Any) -> Any:  # noqa: ANN401
    if isinstance(value, (str, list, tuple)):
        kept = len(range(*slice(*bounds).indices(len(value))))
        _spend(_STEP + kept * (1 if isinstance(value, str) else _ITEM))
    return value[slice(*bounds)]


@pass_context
def _concat(_: Context, *values: Any) -> str:  # noqa: ANN401
    _spend(_STEP + _weigh(*values))
    return "".join(map(str, values))


@pass_context
def _compare(_: Context | None, left: Any, *rest: Any) -> bool:  # noqa: ANN401
    for op, value in zip(rest[::2], rest[1::2], strict=True):
        right = _listed(value) if op in ("in", "notin") else value
        _spend(_STEP + _compared(op, left, right))
        if not _OPERATORS[op](left, right):
            return False
        left = right
    return True


@pass_context
def _key(_: Context, value: Any) -> Any:  # noqa: ANN401
    if not isinstance(value, _SCALARS):
        raise SecurityError("a key that is no text")
    return value


@pass_context
def _write(_: Context, value: Any) -> Any:  # noqa: ANN401
    _spend(_STEP + (len(value) if isinstance(value, str) else _weigh(value)))
    return value


_ALLOWED = (
    *(nodes.Template, nodes.Output, nodes.TemplateData, nodes.If, nodes.For, nodes.Break),
    *(nodes.Continue, nodes.Macro, nodes.CallBlock, nodes.FilterBlock, nodes.Assign, nodes.Scope),
    *(nodes.AssignBlock, nodes.With, nodes.ExprStmt, nodes.Name, nodes.NSRef, nodes.Const),
    *(nodes.List, nodes.Tuple, nodes.Dict, nodes.Pair, nodes.Keyword, nodes.CondExpr),
    *(nodes.Filter, nodes.Test, nodes.Call, nodes.Getattr, nodes.Getitem, nodes.Slice),
    *(nodes.Concat, nodes.Compare, nodes.Operand, nodes.BinExpr, nodes.UnaryExpr),
)


def _size(body: Iterable[nodes.Node]) -> int:
    """What it costs to run this code once, but for what pays for itself."""
    total = 0
    for node in body:
        for inner in (node, *node.find_all(nodes.Node)):
            total += _NODE + (len(inner.data) if isinstance(inner, nodes.TemplateData) else 0)
    return total


class _Metering(NodeTransformer):
    """Puts functions that pay in the place of what jinja2 turns into plain Python."""

    def __init__(self) -> None:
        self.macros: dict[str, int] = {}
        """What a call of each costs."""

    def generic_visit(self, node: nodes.Node, *args: Any, **more: Any) -> nodes.Node:  # noqa: ANN401
        if not isinstance(node, _ALLOWED):
            raise SecurityError(f"'{type(node).__name__.lower()}' is not for chat templates")
        return super().generic_visit(node, *args, **more)

    def visit_For(self, node: nodes.For) -> nodes.Node:  # noqa: N802  # jinja2 looks for that name
        if node.recursive:
            raise SecurityError("'recursive' is not for chat templates")
        body = _size([*node.body, *([node.test] if node.test else [])])
        self.generic_visit(node)
        node.iter = _call(_LOOP, node.iter, nodes.Const(body))
        return node

    def visit_Macro(self, node: nodes.Macro) -> nodes.Node:  # noqa: N802
        self.macros[node.name] = max(self.macros.get(node.name, 0), _size([node]))
        return self.generic_visit(node)

    def visit_CallBlock(self, node: nodes.CallBlock) -> nodes.Node:  # noqa: N802
        self.macros["caller"] = max(self.macros.get("caller", 0), _size([node]))
        return self.generic_visit(node)

    def visit_Getitem(self, node: nodes.Getitem) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        if not isinstance(node.arg, nodes.Slice):
            return node
        bounds = (node.arg.start, node.arg.stop, node.arg.step)
        return _call(_SLICE, node.node, *(bound or nodes.Const(None) for bound in bounds))

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        return _call(_CONCAT, *node.nodes)

    def visit_Compare(self, node: nodes.Compare) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        pairs = [(nodes.Const(operand.op), operand.expr) for operand in node.ops]
        return _call(_COMPARE, node.expr, *(part for pair in pairs for part in pair))

    def visit_Pair(self, node: nodes.Pair) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        node.key = _call(_KEY, node.key)
        return node


def _call(name: str, first: nodes.Node, *more: nodes.Node) -> nodes.Filter:
    return nodes.Filter(first, name, list(more), [], None, None, lineno=first.lineno)


class _Generation(Extension):
    """`{% generation %}` marks what is trained on; for rendering it is nothing."""

    tags = {"generation"}  # noqa: RUF012  # as jinja2 declares it

    def parse(self, parser: Parser) -> nodes.Node:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.Scope(body, lineno=line)


class _Environment(ImmutableSandboxedEnvironment):
    """One template's environment."""

    intercepted_binops = frozenset(ImmutableSandboxedEnvironment.default_binop_table)

    def __init__(self) -> None:
        super().__init__(
            trim_blocks=True,
            lstrip_blocks=True,
            optimized=False,
            finalize=_write,
            extensions=["jinja2.ext.loopcontrols", _Generation],
        )
        tests: Mapping[str, Any] = TESTS
        self.filters = {
            **{name: _priced(FILTERS[name], price) for name, price in _FILTERS.items()},
            **{name: _lazy(FILTERS[name]) for name in _LAZY},
            **{_LOOP: _loop, _SLICE: _slice, _CONCAT: _concat, _COMPARE: _compare, _KEY: _key},
            "tojson": _priced(to_json, _to_json),
        }
        self.tests = {
            **{name: TESTS[name] for name in _TESTS},
            **{name: _priced(tests[name], _number) for name in _NUMBER_TESTS},
            **{name: _comparing(op) for name, op in _COMPARING.items()},
        }
        self.globals = {"namespace": Namespace, "dict": dict, "range": safe_range}
        self._macros: dict[str, int] = {}

    def meter(self, tree: nodes.Template) -> None:
        """Have the template's code pay for what it does."""
        metering = _Metering()
        metering.visit(tree)
        tree.set_environment(self)
        self._macros = metering.macros

    def call(  # called by compiled templates
        __self,  # noqa: N805  # named so that a keyword argument can't be the same
        __context: Context,
        __obj: Any,  # noqa: ANN401
        *args: Any,  # noqa: ANN401
        **named: Any,  # noqa: ANN401
    ) -> Any:  # noqa: ANN401
        """Call a macro, a function or a method that is allowed, and pay for it."""
        args = tuple(_listed(value) for value in args)
        # jinja2 adds its own arguments, which no function gets.
        values = [value for name, value in named.items() if name not in _INTERNAL]
        _spend(_STEP + _ITEM * (len(args) + len(named)) + __self._price(__obj, args, values))
        return super().call(__context, __obj, *args, **named)

    def _price(self, called: object, args: tuple[Any, ...], named: list[Any]) -> int:
        if isinstance(called, Macro):
            return self._macros.get(called.name, _LONGEST_SOURCE)
        if isinstance(called, Undefined):
            return 0
        owner, name = _method(called)
        for kind, prices in _METHODS.items():
            if isinstance(owner, kind) and name in prices:
                if name == "format":
                    return prices[name](owner, *args, *named)
                return prices[name](owner, *args) + _weigh(*named)
        if isinstance(owner, dict) and name == "get":
            return _weigh(*args)
        if isinstance(owner, LoopContext) and name == "cycle":
            return 0
        if called in (dict, Namespace):  # they may hold anything, under names that are text
            return _weigh(*args)
        if isinstance(called, types.FunctionType):
            return _weigh(*args, *named)
        raise SecurityError(f"'{name}' is not for chat templates")

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:  # noqa: ANN401
        """Work out `left operator right`, and pay for it."""
        _spend(_STEP)
        for value in (left, right):
            if isinstance(value, int):
                _check_number(value)
        lists = isinstance(left, (list, tuple)) or isinstance(right, (list, tuple))
        if isinstance(left, str) and operator == "%":
            raise SecurityError("'%' of text is not for chat templates")
        if operator == "**" and isinstance(right, int) and abs(right) > _LARGEST_BITS:
            raise SecurityError("a number is too large")
        if operator == "+":
            many = sum(len(x) for x in (left, right) if isinstance(x, (str, list, tuple)))
            _spend(many * (_ITEM if lists else 1))
        if operator == "*":
            many = 1
            for value in (left, right):
                many *= len(value) if isinstance(value, (str, list, tuple)) else _whole(value)
            if not (isinstance(left, int) and isinstance(right, int)):
                _spend(max(0, many) * (_ITEM if lists else 1))
        return super().call_binop(context, operator, left, right)

    def getitem(self, obj: Any, argument: Any) -> Any:  # noqa: ANN401
        """Look something up; only text and numbers are keys, as others cost to look at."""
        # Filters look up each part of attribute='a.b.c' of each item.
        _spend(_STEP + (len(argument) if isinstance(argument, str) else 0))
        if not isinstance(argument, _SCALARS):
            return self.undefined(obj=obj, name=str(type(argument)))
        return super().getitem(obj, argument)


def _method(called: object) -> tuple[object, str]:
    """Whose method it is, and its name; None if it is a function."""
    # str.format comes wrapped: jinja2 has made it safe.
    inner = called.__wrapped__ if hasattr(called, "__wrapped__") else called
    if isinstance(inner, (types.BuiltinMethodType, types.MethodType)):
        return inner.__self__, inner.__name__
    return None, getattr(inner, "__name__", type(inner).__name__)


def to_json(
    value: Any,  # noqa: ANN401
    ensure_ascii: bool = False,
    indent: int | str | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """The filter as transformers has it: without HTML escapes, and characters as they are."""
    return json.dumps(
        value,
        ensure_ascii=ensure_ascii,
        indent=indent,
        separators=separators,
        sort_keys=sort_keys,
    )
