"""Families of small problems with worked steps. Knows nothing of models; needs only Python.

`TRAINED` and `EVERYDAY` families are trained on; `HELD_OUT` ones are only ever asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from random import Random

from training.tasks import arithmetic, everyday, held_out, logic, sequences
from training.tasks.words import Problem

Family = Callable[[Random], Problem]

TRAINED: Mapping[str, Family] = {
    family.__name__: family
    for family in (
        arithmetic.gain_loss,
        arithmetic.groups,
        arithmetic.share,
        arithmetic.shopping,
        arithmetic.relation,
        arithmetic.compare,
        arithmetic.ages,
        arithmetic.fractions,
        arithmetic.rate,
        arithmetic.count_kinds,
        arithmetic.moves,
        arithmetic.expression,
        logic.ordering,
        logic.rank_numbers,
        logic.reachability,
        logic.route,
        logic.kinds,
        logic.coin,
        logic.who_has,
        logic.colour_rule,
        sequences.time_sum,
        sequences.minutes_sum,
        sequences.units,
        sequences.weekday,
        sequences.count_word,
        sequences.letters,
        sequences.pattern,
    )
}
EVERYDAY: Mapping[str, Family] = {
    family.__name__: family
    for family in (
        everyday.spending,
        everyday.bill,
        everyday.change,
        everyday.several,
        everyday.split,
        everyday.had,
        everyday.my_age,
        everyday.each_day,
        everyday.short_of,
        everyday.recipe,
        everyday.way,
        everyday.difference,
    )
}
HELD_OUT: Mapping[str, Family] = {
    family.__name__: family
    for family in (
        held_out.bus,
        held_out.rectangle,
        held_out.temperature,
        held_out.wages,
        held_out.queue,
        held_out.rumour,
        held_out.tank,
        held_out.switch,
        held_out.program,
        held_out.seats,
        held_out.team,
    )
}


def problems(
    families: Mapping[str, Family], seed: str, without: Iterable[str] = ()
) -> Iterator[tuple[str, Problem]]:
    """Problems without end, the families in turn, each with its family's name; none comes twice.

    Args:
        families: to take from.
        seed: the same one gives the same problems.
        without: questions that must not come.

    """
    rng = Random(seed)
    seen = set(without)
    while True:
        for name, family in families.items():
            problem = family(rng)
            while problem.question in seen:
                problem = family(rng)
            seen.add(problem.question)
            yield name, problem
