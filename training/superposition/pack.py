"""All that training needs, in parts: `python -m training.superposition.pack MODEL CHAT PACK`.

A card is often on a machine that has torch and nothing else, and takes only files of some size. So
the base (dequantised, as bfloat16: what Q4_1 holds, to three digits), the adapter that is there
already, the vocabulary and the rehearsed examples become one folder of files of at most 60 MB.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor

from training.superposition.vocabulary import Vocabulary, make_vocabulary

PART = 60_000_000  # bytes
_EXAMPLES = 14_000
_EVERYDAY_SHARE = 0.2  # of the problems: what is short is hardly forgotten
_SEED = 100
_CHAT_SHARE = 0.45  # more than where it was learned: facts are forgotten first


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsed:
    """An example of what the adapter beneath can do; see training.examples.Example."""

    tokens: tuple[int, ...]
    counts: tuple[bool, ...]
    thinking: tuple[int, int]
    """From where to where mixtures may be fed."""
    right: bool
    """Whether what is said is right: a problem's steps and answer, no ordinary answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pack:
    """What training needs."""

    weights: Mapping[str, Tensor]
    """Of the base, under transformers' names without `model.` before them."""
    beneath: Mapping[str, tuple[Tensor, Tensor]]
    """The adapter that is there already; empty if there is none."""
    vocabulary: Vocabulary
    rehearsed: Sequence[Rehearsed]

    def write(self, folder: Path, part: int = PART) -> None:
        """As files of at most so many bytes each, if no tensor is larger."""
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.glob("base-*.pt"):
            old.unlink()
        self.vocabulary.save(folder / "vocabulary.json")
        lines = [json.dumps(asdict(one)) for one in self.rehearsed]
        (folder / "rehearsed.jsonl").write_text("".join(f"{line}\n" for line in lines), "utf-8")
        torch.save(
            {k: (a.half(), b.half()) for k, (a, b) in self.beneath.items()}, folder / "adapter.pt"
        )
        some: dict[str, Tensor] = {}
        size, number = 0, 0
        for name, tensor in self.weights.items():
            mine = tensor.bfloat16().contiguous()
            if some and size + mine.nbytes > part:
                torch.save(some, folder / f"base-{number:02d}.pt")
                some, size, number = {}, 0, number + 1
            some[name] = mine
            size += mine.nbytes
        torch.save(some, folder / f"base-{number:02d}.pt")

    @classmethod
    def read(cls, folder: Path) -> Pack:
        """What `write` wrote."""
        weights: dict[str, Tensor] = {}
        for path in sorted(folder.glob("base-*.pt")):
            weights |= torch.load(path, weights_only=True)
        with (folder / "rehearsed.jsonl").open(encoding="utf-8") as lines:
            rehearsed = [_rehearsed(json.loads(line)) for line in lines]
        return cls(
            weights=weights,
            beneath=torch.load(folder / "adapter.pt", weights_only=True),
            vocabulary=Vocabulary.load(folder / "vocabulary.json"),
            rehearsed=rehearsed,
        )


def _rehearsed(line: dict[str, list]) -> Rehearsed:  # type: ignore[type-arg]  # JSON
    return Rehearsed(
        tokens=tuple(line["tokens"]),
        counts=tuple(line["counts"]),
        thinking=(line["thinking"][0], line["thinking"][1]),
        right=line["right"],
    )


def make_pack(
    model: Path, adapter: Path | None, chat: Path | None, examples: int, *, seed: int = _SEED
) -> Pack:
    """Read the base out of a GGUF, and make the examples, by this seed, with its tokenizer."""
    from softchat.engine.llama import LlamaEngine
    from training.examples import make_examples
    from training.superposition.adapters import read_adapter
    from training.train import load_base

    rehearsed: list[Rehearsed] = []
    with LlamaEngine(model, n_ctx=512) as engine:
        vocabulary = make_vocabulary(engine)
        if chat:
            made = make_examples(
                engine,
                chat,
                examples,
                seed=seed,
                everyday_share=_EVERYDAY_SHARE,
                chat_share=_CHAT_SHARE,
            )
            rehearsed = [
                Rehearsed(
                    tokens=one.tokens,
                    counts=one.counts,
                    thinking=(one.thinking.start, one.thinking.stop),
                    right=not one.taught,
                )
                for one in made
            ]
    return Pack(
        weights=load_base(model, torch.float32).model.state_dict(),
        beneath=read_adapter(adapter) if adapter else {},
        vocabulary=vocabulary,
        rehearsed=rehearsed,
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the pack."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path, help="the GGUF")
    parser.add_argument("chat", type=Path, help="what training.distil wrote")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--adapter", type=Path, help="the one that is there already")
    parser.add_argument("--examples", type=int, default=_EXAMPLES)
    parser.add_argument("--seed", type=int, default=_SEED, help="of the examples")
    options = parser.parse_args(arguments)
    pack = make_pack(
        options.model, options.adapter, options.chat, options.examples, seed=options.seed
    )
    pack.write(options.folder)
    for path in sorted(options.folder.iterdir()):
        print(f"{path.stat().st_size / 1e6:6.1f} MB  {path.name}")


if __name__ == "__main__":
    main()
