"""From what a user calls a model to a GGUF file on disk, and to what models.toml says about it.

    locate     a name or path → a file              entry     what models.toml can say of a model
    catalogue  models.toml, read and checked        tables    TOML that knows its own lines
    fetch      a model that is not here → a file    wheel     fetching through pip
    store      the folder of fetched files          hub       fetching from the Hugging Face Hub
    verified   which files of the hub's cache count url       fetching from an https address
    own        the user's models.toml, changed      progress  how far a fetch has come
    local      models of other programs             machine   does it fit, how is it quantised
    folders    where softchat keeps things

Knows nothing of llama.cpp, of thinking or of terminals.
"""

from softchat.models.locate import Located, find_model

__all__ = ["Located", "find_model"]
