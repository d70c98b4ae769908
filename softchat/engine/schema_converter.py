"""The child process that makes grammars of JSON schemas: `{"schema": …}` becomes `{"grammar": …}`.

Or `{"error": …}`, or `{"exhausted": true}`. The conversion is llama-cpp-python's, and fetches
nothing.
"""

from __future__ import annotations

import json
from typing import Any

from llama_cpp.llama_grammar import json_schema_to_gbnf

from softchat.base.limits import serve

_LONGEST_ERROR = 200  # characters of what is said to be wrong
# JSON has no control characters in its strings, which that conversion would allow.
_ANY, _PRINTABLE = r'char ::= [^"\\] |', r'char ::= [^"\\\x7F\x00-\x1F] |'


def main() -> None:
    """Convert for the process that started this one, until it ends."""
    serve(_converted)


def _converted(request: dict[str, Any]) -> dict[str, Any]:
    try:
        grammar = json_schema_to_gbnf(json.dumps(request["schema"]))
        return {"grammar": grammar.replace(_ANY, _PRINTABLE)}
    except (MemoryError, RecursionError):
        return {"exhausted": True}
    except KeyError as error:
        return {"error": f"it lacks {error}"[:_LONGEST_ERROR]}
    except Exception as error:  # noqa: BLE001  # a wrong schema can raise anything
        said, _, _ = str(error).partition(" (use --")  # a flag of another program
        return {"error": said[:_LONGEST_ERROR] or type(error).__name__}
