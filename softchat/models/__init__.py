"""From what a user calls a model to a GGUF file on disk, and to what models.toml says about it.

    locate     a name or path → a file              entry     what models.toml can say of a model
    catalogue  models.toml, read and checked        tables    TOML that knows its own lines
    fetch      a model that is not here → a file    wheel     fetching through pip
    store      the folder of fetched files          progress  how far a fetch has come
    folders    where softchat keeps things

Knows nothing of llama.cpp, of thinking or of terminals.
"""

from softchat.models.locate import Located, find_model

__all__ = ["Located", "find_model"]
