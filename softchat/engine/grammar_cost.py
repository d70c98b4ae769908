"""What a grammar (GBNF) leaves open at once, bounded: llama.cpp tries all of it with each token.

Its sampler holds each token of the vocabulary against each way there is to go on, and where these
multiply it comes to no end, which nothing can stop. Knows no llama.cpp.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from softchat.errors import UsageError

_MOST_WAYS = 1000  # to go on, anywhere in it
_MOST_EMPTY = 30  # times that something may come that may also be nothing
_MOST_LOOPS = 16  # in one another
_MOST_SIGNS = 4096  # of a class, as it is written
_MOST_PASSES = 20  # until it is known what can be nothing; 5 do for any that makes sense
_FOREVER = 10**6
_PART = re.compile(
    r"""(?P<skip>\s+|\#[^\n]*) | (?P<rule>[\w-]+(?=\s*::=)) | (?P<is>::=) | (?P<name>[\w-]+)
    | (?P<text>"(?:\\.|[^"\\])*") | (?P<signs>\[(?:\\.|[^\]\\])*\]|\.) | (?P<token>!?<[^>]*>)
    | (?P<open>\() | (?P<close>\)) | (?P<or>\|) | (?P<often>[*+?]|\{[\d\s]*(?:,[\d\s]*)?\})""",
    re.VERBOSE | re.DOTALL,
)


@dataclass(slots=True)
class _Item:
    """A part of a rule."""

    of: str = ""
    """The rule that it is; empty: signs."""
    empty: bool = False
    """Whether it may be left out, or has no signs."""
    most: int = 1
    """How often it may come."""


_Rules = dict[str, list[list[_Item]]]  # by name, the ways that each has; brackets are rules too


def check_cost(text: str) -> None:
    """Raise UsageError if llama.cpp may come to no end with this grammar.

    What is no grammar at all is left to llama.cpp, which says so.
    """
    rules = _parsed(text)
    try:
        _Cost(rules).check()
    except RecursionError:
        raise _refused("rules within rules, too deep") from None


def _refused(why: str) -> UsageError:
    return UsageError(f"the grammar leaves too much open: {why}", hint="a simpler one")


def _parsed(text: str) -> _Rules:
    """The rules, up to what is none."""
    rules: _Rules = {}
    outer: list[str] = []
    here, at = "", 0
    while found := _PART.match(text, at):
        at = found.end()
        kind, part = found.lastgroup, found[0]
        if kind == "rule":
            here, outer = part, []
            rules[here] = [[]]
        elif kind in ("skip", "is"):
            continue
        elif not here:
            break
        elif kind == "or":
            rules[here].append([])
        elif kind == "open":
            outer.append(here)
            here = f"({len(rules)}"
            rules[here] = [[]]
        elif kind == "close" and outer:
            here, inner = outer.pop(), here
            rules[here][-1].append(_Item(of=inner))
        elif kind == "often" and rules[here][-1]:
            rules[here][-1].append(_often(part, rules[here][-1].pop(), rules))
        elif kind in ("name", "text", "signs", "token"):
            if kind == "signs" and len(part) > _MOST_SIGNS:
                raise _refused(f"a class of more than {_MOST_SIGNS} signs")
            name = part if kind == "name" else ""
            rules[here][-1].append(_Item(of=name, empty=part == '""'))
        else:
            break
    return rules


def _often(sign: str, item: _Item, rules: _Rules) -> _Item:
    """The item with what says how often it comes, which can stand behind another such."""
    if item.most > 1 or item.empty:
        name = f"({len(rules)}"
        rules[name] = [[item]]
        item = _Item(of=name)
    if sign[0] == "{":
        least, _, most = sign[1:-1].partition(",")
        low = int("".join(least.split())[:9] or 0)
        high = "".join(most.split())[:9] if "," in sign else str(low)
        if high and int(high) < low:
            raise _refused(f"{sign[:40]}, where the least is above the most")
        return _Item(of=item.of, empty=low == 0, most=int(high) if high else _FOREVER)
    return _Item(of=item.of, empty=sign in "*?", most=1 if sign == "?" else _FOREVER)


class _Cost:
    """How many ways there are to go on in each place."""

    def __init__(self, rules: _Rules) -> None:
        self._rules = rules
        self._nothing = _can_be_nothing(rules)
        self._begins: dict[str, tuple[int, int] | None] = {}

    def check(self) -> None:
        for name in self._rules:
            self._begin(name)
        for ways in self._rules.values():
            for items in ways:
                count = 0
                for item in reversed(items):
                    count = self._of(item)[0] + (count if self._is_nothing(item) else 0)
                    if count > _MOST_WAYS:
                        raise _refused(f"more than {_MOST_WAYS} ways to go on")

    def _begin(self, name: str) -> tuple[int, int]:
        """In how many ways a rule can begin, and how many loops in one another do."""
        if name in self._begins:
            known = self._begins[name]
            if known is None:
                raise _refused("a rule begins with itself")
            return known
        self._begins[name] = None
        count = loops = 0
        for items in self._rules.get(name, []):
            for item in items:
                some, inner = self._of(item)
                count, loops = count + some, max(loops, inner)
                if not self._is_nothing(item):
                    break
        if count > _MOST_WAYS:
            raise _refused(f"more than {_MOST_WAYS} ways to go on")
        if loops > _MOST_LOOPS:
            raise _refused(f"more than {_MOST_LOOPS} loops in one another")
        self._begins[name] = count, loops
        return count, loops

    def _of(self, item: _Item) -> tuple[int, int]:
        count, loops = self._begin(item.of) if item.of else (1, 0)
        if item.of in self._nothing and item.most > 1:
            if item.most > _MOST_EMPTY:
                raise _refused(f"what may be nothing, more than {_MOST_EMPTY} times")
            count *= item.most
        return count, loops + (item.most >= _FOREVER)

    def _is_nothing(self, item: _Item) -> bool:
        return item.empty or item.of in self._nothing


def _can_be_nothing(rules: _Rules) -> set[str]:
    """The rules that the empty text fits."""
    found: set[str] = set()
    for _ in range(_MOST_PASSES):
        before = len(found)
        for name in reversed(rules):
            if name not in found and any(
                all(item.empty or item.of in found for item in items) for items in rules[name]
            ):
                found.add(name)
        if len(found) == before:
            return found
    raise _refused("rules within rules, too deep")
