"""What to load and how: one value, made of a model that was found and of what flags say.

It can be sent to another process; `open` makes a backend of it. Imports no engine before one is
opened.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from softchat.engine.placement import BY_DEFAULT, Placement
from softchat.engine.protocol import ANY_CONTEXT, LONGEST_DEFAULT_CONTEXT, Lora
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
        """A model that was found; without `loras` with the model's own, if it has one."""
        return cls(
            path=found.path,
            name=found.name,
            n_ctx=n_ctx,
            n_ctx_most=min(found.context or LONGEST_DEFAULT_CONTEXT, n_ctx_most),
            n_threads=n_threads,
            placement=placement,
            loras=own_adapters(found) if loras is None else tuple(loras),
            tags=found.tags,
        )

    def engine(self, *, sequences: int = 1, cancelled: Callable[[], bool]) -> LlamaEngine:
        """The model, loaded and proven in this process. Raises as `LlamaEngine` does.

        Args:
            sequences: how many runs there are at once, see `run_together`.
            cancelled: True stops loading and decoding.

        """
        from softchat.engine.llama import LlamaEngine

        return LlamaEngine(
            self.path,
            name=self.name,
            n_ctx=self.n_ctx,
            n_ctx_most=self.n_ctx_most,
            n_threads=self.n_threads,
            placement=self.placement,
            loras=self.loras,
            sequences=sequences,
            cancelled=cancelled,
        )

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it; `read` makes it whole again."""
        loras = [{"path": str(one.path), "scale": one.scale} for one in self.loras]
        cache = str(self.prompt_cache) if self.prompt_cache else None
        return asdict(self) | {"path": str(self.path), "loras": loras, "prompt_cache": cache}

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
                "prompt_cache": Path(values["prompt_cache"]) if values["prompt_cache"] else None,
            }
        )


def own_adapters(found: Located) -> tuple[Lora, ...]:
    """The LoRA adapters that models.toml has a model loaded with."""
    return (Lora(path=found.lora),) if found.lora else ()
