"""From what a user calls a model to a GGUF file on disk, and to what models.toml says about it.

`locate` is where it begins. Knows nothing of llama.cpp, of thinking or of terminals.
"""

from softchat.models.locate import Located, find_model

__all__ = ["Located", "find_model"]
