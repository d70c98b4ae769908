"""The tokens of the problems, without an engine: a machine that trains need only have torch.

Told in these words, a problem's tokens are those of its words one after the other, as the
tokenizer never joins words. So a dictionary is enough; a test holds it against the engine.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from training.superposition.families import DEEPEST, KINDS, YES_NO, Puzzle, make
from training.superposition.phrases import PHRASES
from training.superposition.words import BEINGS

if TYPE_CHECKING:
    from softchat.engine.protocol import Engine

_PIECE = re.compile(r"\d| ?[^\W\d_]+| ?[^\s\w]+|\s")  # as SmolLM2 splits text before all else
_MARK = "@@"
_TOLD = 40  # problems of each kind, wording and depth from which the words are taken, …
_TOLD_FREELY = 3000  # … and of each kind, in phrases that are put together


@dataclass(frozen=True, slots=True, kw_only=True)
class Vocabulary:
    """What stands around a question, and the tokens of each word."""

    prefix: tuple[int, ...]
    suffix: tuple[int, ...]
    close: tuple[int, ...]
    """The closing tag with the white space around it."""
    end: tuple[int, ...]
    pieces: dict[str, list[int]]

    def tokens(self, text: str) -> list[int]:
        """Of a told problem or a question."""
        return [token for piece in _PIECE.findall(text) for token in self.pieces[piece]]

    def state(self, word: str) -> int:
        """The one token of a state: a digit as it is, a word with a space before it."""
        (token,) = self.pieces[word if word.isdigit() else f" {word}"]
        return token

    def save(self, path: Path) -> None:
        """As JSON."""
        path.write_text(json.dumps(asdict(self)), "utf-8")

    @classmethod
    def load(cls, path: Path) -> Vocabulary:
        """What `save` wrote."""
        data = json.loads(path.read_text("utf-8"))
        around = {name: tuple(data[name]) for name in ("prefix", "suffix", "close", "end")}
        return cls(pieces=data["pieces"], **around)


def make_vocabulary(engine: Engine) -> Vocabulary:
    """All that the problems need, from an engine's tokenizer."""
    from training.prompt import CLOSE, END, make_question_prompt  # not where torch is all there is

    marked = list(make_question_prompt(engine, _MARK).tokens)
    (mark,) = engine.tokenize(_MARK)
    at = marked.index(mark)
    words = {piece for text in _texts() for piece in _PIECE.findall(text)}
    words |= {" "}
    states = {*YES_NO} | {word for kind in KINDS.values() for word in kind.words}
    states |= {w for phrases in PHRASES.values() for some in phrases.words for w in some}
    words |= {word if word.isdigit() else f" {word}" for word in states}
    words |= states | {f"{word}s" for word in BEINGS}  # with which a text may begin
    return Vocabulary(
        prefix=tuple(marked[:at]),
        suffix=tuple(marked[at + 1 :]),
        close=tuple(engine.tokenize(CLOSE, special=True)),
        end=tuple(engine.tokenize(END, special=True)),
        pieces={word: engine.tokenize(word) for word in sorted(words)},
    )


def _texts() -> Iterable[str]:
    """Problems in which every word of every wording comes."""
    rng = Random("words")
    for name in KINDS:
        for held_out in (False, True):
            for depth in range(1, DEEPEST + 2):
                for _ in range(_TOLD):
                    puzzle = make(rng, name, depth, held_out=held_out)
                    yield from _told(puzzle)
    for name in PHRASES:
        for _ in range(_TOLD_FREELY):
            yield from _told(make(rng, name, 2, freely=True))


def _told(puzzle: Puzzle) -> Iterable[str]:
    yield puzzle.told
    yield from (f" {q.ask}" for q in puzzle.questions)
