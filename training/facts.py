"""Short questions that need no steps, with the word that a right answer has in it.

    python -m training.facts MODEL ADAPTER

Asks each of them twice: the untrained model, as `training.distil` does, and the model with the
adapter, as softchat does. So it shows what the training has cost of what the model knew.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from softchat.engine.batch import run_together
from softchat.evaluate.statistics import wilson
from training.distil import answer
from training.engine import open_engine
from training.ordinary import ask
from training.search import WAYS

FACTS = {
    "What is the capital of France?": "Paris",
    "What is the capital of Germany?": "Berlin",
    "What is the capital of Italy?": "Rome",
    "What is the capital of Spain?": "Madrid",
    "What is the capital of Japan?": "Tokyo",
    "What is the capital of Russia?": "Moscow",
    "What is the capital of Egypt?": "Cairo",
    "What is the capital of Greece?": "Athens",
    "What is the capital of Austria?": "Vienna",
    "What is the capital of Portugal?": "Lisbon",
    "What is the capital of Canada?": "Ottawa",
    "What is the capital of Australia?": "Canberra",
    "What is the capital of India?": "Delhi",
    "What is the capital of China?": "Beijing",
    "What is the capital of Norway?": "Oslo",
    "What is the largest planet in the solar system?": "Jupiter",
    "Which planet is closest to the sun?": "Mercury",
    "Which planet is known as the red planet?": "Mars",
    "What is the largest ocean on Earth?": "Pacific",
    "What is the longest river in Africa?": "Nile",
    "What is the highest mountain on Earth?": "Everest",
    "On which continent is Brazil?": "South America",
    "On which continent is Kenya?": "Africa",
    "What language is spoken in Brazil?": "Portuguese",
    "What language is spoken in Austria?": "German",
    "What is the currency of Japan?": "yen",
    "What is the currency of the United Kingdom?": "pound",
    "Who wrote Romeo and Juliet?": "Shakespeare",
    "Who painted the Mona Lisa?": "Leonardo|Vinci",
    "Who wrote Pride and Prejudice?": "Austen",
    "Who discovered gravity?": "Newton",
    "Who developed the theory of relativity?": "Einstein",
    "Who was the first president of the United States?": "Washington",
    "Who was the first person on the moon?": "Armstrong",
    "What is the chemical symbol of gold?": "Au",
    "What is the chemical formula of water?": "H2O|H₂O",
    "What gas do plants take in?": "carbon dioxide|CO2",
    "What gas do we need to breathe?": "oxygen",
    "What is frozen water called?": "ice",
    "What do bees make?": "honey",
    "What do cows give us to drink?": "milk",
    "What is the opposite of hot?": "cold",
    "What is the opposite of up?": "down",
    "What is the opposite of happy?": "sad|unhappy",
    "What is the plural of mouse?": "mice",
    "What is the past tense of go?": "went",
    "What is a baby dog called?": "puppy",
    "What is a baby cat called?": "kitten",
    "What colour is the sky on a clear day?": "blue",
    "What colour is grass?": "green",
    "What colour do you get from blue and yellow?": "green",
    "How many days are in a week?": "7|seven",
    "How many months are in a year?": "12|twelve",
    "How many legs has a spider?": "8|eight",
    "How many sides has a triangle?": "3|three",
    "How many continents are there?": "7|seven",
    "What organ pumps blood through the body?": "heart",
    "Which organ do we think with?": "brain",
    "What season comes after winter?": "spring",
    "What is the first month of the year?": "January",
}
_MOST = 48  # tokens of an answer that are read


def is_right(text: str, wanted: str) -> bool:
    """Whether one of the wanted words is in the text."""
    return re.search(rf"(?<!\w)({wanted})(?!\w)", text, re.IGNORECASE) is not None


def main() -> None:
    """Print how many are right, and those that differ."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("model", type=Path)
    parser.add_argument("adapter", type=Path)
    options = parser.parse_args()
    with open_engine(options.model, None) as engine:
        before = [answer(engine, question, _MOST)[0] for question in FACTS]
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
