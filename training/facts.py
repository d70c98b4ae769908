"""What the adapter costs of what the model knew: the short questions of training.known.

    python -m training.facts MODEL ADAPTER

Asks each of them twice: the untrained model, as `training.distil` does, and the model with the
adapter, as softchat does. So it shows what the training has cost of what the model knew.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from softchat.engine.batch import run_together
from softchat.evaluate.statistics import wilson
from training.distil import answer
from training.engine import open_engine
from training.known import FACTS, is_right
from training.ordinary import ask
from training.search import WAYS

_MOST = 48  # tokens of an answer that are read


def main() -> None:
    """Print how many are right, and those that differ."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("model", type=Path)
    parser.add_argument("adapter", type=Path)
    options = parser.parse_args()
    with open_engine(options.model, None) as engine:
        before = [answer(engine, question, _MOST).answer for question in FACTS]
    with open_engine(options.model, options.adapter, sequences=8) as engine:
        jobs = (lambda e, q=question: ask(e, q, WAYS["soft T 0.6"])["answer"] for question in FACTS)
        found = dict(run_together(engine, jobs))
    after = [found[number] for number in range(len(FACTS))]
    for name, answers in (("without", before), ("with", after)):
        right = sum(map(is_right, answers, FACTS.values()))
        share = wilson(right, len(FACTS))
        print(f"{name} the adapter: {right} of {len(FACTS)} [{share.low:.2f}, {share.high:.2f}]")
    for (question, wanted), one, other in zip(FACTS.items(), before, after, strict=True):
        if is_right(one, wanted) != is_right(other, wanted):
            print(f"\n? {question}\n- {one[:160]!r}\n+ {other[:160]!r}")


if __name__ == "__main__":
    main()
