"""Whether a text can do anything where somebody runs it as Python, or has sympy read it.

Some verifiers of reasoning-gym do that with what a model has said. What passes is data: numbers,
lists of words, and formulas of numbers, names and well-known functions.
"""

from __future__ import annotations

import ast
import re

_LONGEST = 10_000  # characters
_FUNCTIONS = {
    "sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh", "exp", "log", "ln", "sqrt",
    "Abs", "abs", "Rational",
}  # fmt: skip
_DATA = (
    ast.Expression, ast.Constant, ast.List, ast.Tuple, ast.Set, ast.Dict, ast.Load, ast.UnaryOp,
    ast.unaryop,
)  # fmt: skip
_FORMULA = (*_DATA, ast.BinOp, ast.operator, ast.Compare, ast.cmpop, ast.Name, ast.Call)
_WORD = re.compile(r"[^\W\d]\w")
_QUOTES = re.compile(r"['\"\\]")


def is_harmless(text: str) -> bool:
    """Whether it is data or a formula; what is no Python at all must have no call in it."""
    if len(text) > _LONGEST:
        return False
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        # sympy may make something of it all the same.
        return not _QUOTES.search(text) and not ("(" in text and _WORD.search(text))
    nodes = list(ast.walk(tree))
    said = [one.value for one in nodes if isinstance(one, ast.Constant)]
    words = [one for one in said if isinstance(one, str)]
    if any(isinstance(one, bytes) for one in said) or any("(" in word for word in words):
        return False
    if words:  # text in a formula may be read as one in its turn
        return all(isinstance(node, _DATA) for node in nodes)
    return all(isinstance(node, _FORMULA) and _is_named_well(node) for node in nodes)


def _is_named_well(node: ast.AST) -> bool:
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Name) and node.func.id in _FUNCTIONS and not node.keywords
    return not isinstance(node, ast.Name) or not node.id.startswith("_")
