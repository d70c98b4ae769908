"""What to load and how: one value, made of a model that was found and of what flags say.

It can be sent to another process; `open` makes a backend of it. Imports no engine before one is
opened.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from softchat.base.text import legible, one_line
from softchat.engine.placement import BY_DEFAULT, Placement
from softchat.engine.protocol import ANY_CONTEXT, LONGEST_DEFAULT_CONTEXT, Lora
from softchat.engine.threads import refuse_many
from softchat.errors import ModelRefusedError
from softchat.models.folders import merged_folder
from softchat.prompt.tags import ThinkTags

if TYPE_CHECKING:
    from softchat.engine.llama import LlamaEngine
    from softchat.models import Located  # a worker need not know how a model is found


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """A model's file, and how its engine is made."""

    path: Path
    name: str
    n_ctx: int = 0
    """Positions of context; 0 is what suits the model, but not more than `n_ctx_most`."""
    n_ctx_most: int = LONGEST_DEFAULT_CONTEXT
    n_threads: int = 0
    """0 is as many as cores are free."""
    placement: Placement = BY_DEFAULT
    """Where it computes, and how its KV cache is kept."""
    loras: tuple[Lora, ...] = ()
    merge: Path | None = None
    """The folder in which model and adapters are kept as one file, which is faster; None: the
    adapters are computed beside the layers."""
    tags: ThinkTags | None = None
    """How the thinking is opened and closed; None: as the chat template says."""
    prompt_cache: Path | None = None
    """The folder in which long prompts, once read, are kept for later processes; None: nowhere."""

    @classmethod
    def of(
        cls,
        found: Located,
        *,
        n_ctx: int = 0,
        n_ctx_most: int = ANY_CONTEXT,
        n_threads: int = 0,
        placement: Placement = BY_DEFAULT,
        loras: Sequence[Lora] | None = None,
    ) -> Load:
        """A model that was found; without `loras` with the model's own, if it has one.

        Raises:
            UsageError: there are far more threads than cores.

        """
        refuse_many(n_threads)
        merges = loras is None and found.lora and found.merge
        return cls(
            path=found.path,
            name=found.name,
            n_ctx=n_ctx,
            n_ctx_most=min(found.context or LONGEST_DEFAULT_CONTEXT, n_ctx_most),
            n_threads=n_threads,
            placement=placement,
            loras=own_adapters(found) if loras is None else tuple(loras),
            merge=merged_folder(os.environ) if merges else None,
            tags=found.tags,
        )

    def engine(self, *, sequences: int = 1, cancelled: Callable[[], bool]) -> LlamaEngine:
        """The model, loaded and proven in this process. Raises as `LlamaEngine` does.

        Args:
            sequences: how many runs there are at once, see `run_together`.
            cancelled: True stops loading and decoding.

        """
        from softchat.engine.llama import LlamaEngine

        make = partial(
            LlamaEngine,
            name=self.name,
            n_ctx=self.n_ctx,
            n_ctx_most=self.n_ctx_most,
            n_threads=self.n_threads,
            placement=self.placement,
            sequences=sequences,
            cancelled=cancelled,
        )
        path, loras, note = self.weights(cancelled)
        try:
            engine = make(path, loras=loras, note=note)
        except ModelRefusedError as error:
            if path == self.path:
                raise
            path.unlink(missing_ok=True)  # it is damaged, or something else is: that is told now
            why = one_line(f"{error.message}; it was removed, and is made again next time")
            return make(self.path, loras=self.loras, note=why)
        if path != self.path:
            told, names = legible(self.path), tuple(map(str, self.loras))
            engine.info = replace(engine.info, path=told, loras=names, merged=True)
        return engine

    def weights(
        self, cancelled: Callable[[], bool] = lambda: False
    ) -> tuple[Path, tuple[Lora, ...], str]:
        """The file that is loaded, adapters that are computed beside it, and what to tell of it.

        Makes model and adapters one file, if they are to be one and are not yet. Where that can't
        be, they are loaded as they are, and it is told.

        Raises:
            DecodeAbortedError: `cancelled` said so.

        """
        if self.merge is None or not self.loras:
            return self.path, self.loras, ""
        from softchat.engine.merge import merged

        try:
            return merged(self.path, self.loras, self.merge, cancelled=cancelled), (), ""
        except ModelRefusedError as error:
            why = error.message
        except OSError as error:
            why = f"can't keep model and adapter as one file: {error.strerror or error}"
        except MemoryError:
            why = "too little memory to make model and adapter one file"
        return self.path, self.loras, one_line(f"{why}; it is slower so")

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it; `read` makes it whole again."""
        loras = [{"path": str(one.path), "scale": one.scale} for one in self.loras]
        cache = str(self.prompt_cache) if self.prompt_cache else None
        merge = str(self.merge) if self.merge else None
        paths = {"path": str(self.path), "merge": merge, "prompt_cache": cache}
        return asdict(self) | {"loras": loras} | paths

    @classmethod
    def read(cls, values: dict[str, Any]) -> Load:
        """What `to_dict` and JSON made of one."""
        tags, placement = values["tags"], values["placement"]
        return cls(
            **values
            | {
                "path": Path(values["path"]),
                "loras": tuple(
                    Lora(path=Path(one["path"]), scale=one["scale"]) for one in values["loras"]
                ),
                "placement": Placement(
                    **placement | {name: tuple(placement[name]) for name in ("devices", "servers")}
                ),
                "tags": None if tags is None else ThinkTags(**tags),
                "merge": Path(values["merge"]) if values["merge"] else None,
                "prompt_cache": Path(values["prompt_cache"]) if values["prompt_cache"] else None,
            }
        )


def own_adapters(found: Located) -> tuple[Lora, ...]:
    """The LoRA adapters that models.toml has a model loaded with."""
    return (Lora(path=found.lora),) if found.lora else ()
