"""Bytes of anybody, for each reader of files: nothing but an error of softchat's may come of them.

`python -m tests.faults.fuzz TARGET SECONDS` looks for bytes that do worse, led by what the code did
with those before (atheris: `pip install 'softchat[fuzz]'`). `test_fuzz.py` tries bytes at random.
"""

from __future__ import annotations

import json
import random
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_MOST = 4096  # bytes of what is tried


@dataclass(frozen=True, slots=True)
class Target:
    """A reader of a file, and files that it reads, to begin with."""

    read: Callable[[Path], object]
    seeds: Callable[[Path], list[bytes]]
    """Given an empty folder."""
    name: str = "file"


def _header(path):
    from softchat.engine.describe import describe

    describe(path)


def _headers(folder):
    from tests import tiny

    # Without the weights: a header alone is what is read.
    return [tiny.write(folder / "m.gguf", leave_out="all", chat_template="{{ 1 }}").read_bytes()]


def _trace(path):
    from softchat.record.trace import is_trace, replay

    is_trace(path)
    list(replay(path, warn=lambda _: None))


def _traces(folder):
    from tests.recordings import run_of, step, write_trace

    return [write_trace(folder / "t", run_of(step(0), step(1, why="x"))).read_bytes()]


def _session(path):
    from softchat.record.log import Log
    from softchat.record.session_format import to_markdown
    from softchat.record.sessions import list_sessions

    for record in list_sessions(path.parent):
        to_markdown(record)
    Log(Path(":memory:"), path.parent).newest(9, words="a")


def _sessions(_folder):
    turn = {
        "question": "why?", "answer": "a", "settings": {"tau": 0.1}, "asked": "2026-11-28T10:00:00",
        "run": "r", "events": [],
    }  # fmt: skip
    data = {
        "schema": 1, "started": "2026", "updated": "2026", "model": "m", "system": "",
        "set": {"tau": 0.1}, "turns": [turn], "pending": "", "closed": False,
    }  # fmt: skip
    return [json.dumps(data).encode()]


def _models(path):
    from softchat.models.catalogue import load_catalogue, shipped_file

    load_catalogue([shipped_file(), path])


def _models_tomls(_folder):
    from softchat.models.catalogue import shipped_file

    text = shipped_file().read_bytes()
    return [b"[models" + one for one in text.split(b"\n[models")[1:8]]


def _config(path):
    from softchat.config.file import load_config

    load_config({"SOFTCHAT_HOME": str(path.parent)}, warn=lambda _: None)


def _configs(_folder):
    return [b'model = "m"\ntau = 0.5\n[prompts.a]\nprompt = "$x"\n[models.m]\ntau = 1\n']


def _template(path):
    from softchat.prompt.template import find_tags, render, single_turn

    text = path.read_bytes().decode("utf-8", "replace")
    find_tags(text)
    render(text, single_turn("hello"), bos_token="", eos_token="")


def _templates(_folder):
    folder = Path(__file__).parents[1] / "templates"
    files = sorted(folder.glob("*.jinja"))
    return [path.read_bytes() for path in files if path.stat().st_size < _MOST]


def _questions(path):
    from softchat.evaluate.questions import read_questions

    read_questions(path)


def _question_files(_folder):
    return [
        b'{"question": "a", "answer": "1"}\n{"prompt": [{"value": "b"}], "final_answer": 2}\n',
        b'[{"question": "a", "answer": "x #### 3"}]',
    ]


def _csvs(_folder):
    return [b'question,answer\n"a\nb",1\n']


TARGETS = {
    "header": Target(_header, _headers, "m.gguf"),
    "trace": Target(_trace, _traces, "t.jsonl"),
    "session": Target(_session, _sessions, "20260101-000000-aaaa.json"),
    "models": Target(_models, _models_tomls, "models.toml"),
    "config": Target(_config, _configs, "config.toml"),
    "template": Target(_template, _templates, "t.jinja"),
    "questions": Target(_questions, _question_files, "q.jsonl"),
    "csv": Target(_questions, _csvs, "q.csv"),
}


def attempt(target: Target, folder: Path, data: bytes) -> bool:
    """Have a file of these bytes read; whether it was taken. Raises what is no softchat error."""
    from softchat.errors import SoftchatError

    path = folder / target.name
    path.write_bytes(data)
    with suppress(SoftchatError):
        target.read(path)
        return True
    return False


def changed(rng: random.Random, data: bytes) -> bytes:
    """The bytes with some of them flipped, left out, doubled, put elsewhere, or cut off."""
    made = bytearray(data)
    for _ in range(rng.randint(1, 6)):
        at, size = rng.randrange(len(made) + 1), rng.randint(1, 12)
        match rng.randrange(6):
            case 0:
                made[at : at + 1] = rng.randbytes(1)
            case 1:
                del made[at : at + size]
            case 2:
                made[at:at] = made[at : at + size]
            case 3:
                made[at : at + size] = rng.choice(_WORDS)
            case 4:
                other = rng.randrange(len(made) + 1)
                made[at:at] = made[other : other + size]
            case 5 if rng.random() < 0.3:
                del made[at:]
    return bytes(made)


_WORDS = [
    b"", b"null", b"-1", b"1e999", b"NaN", b"[]", b"{}", b'"', b"\\ud800", b"\\u0000", b"\x00",
    b"\xff", b"\xff" * 7 + b"\x7f", b"9" * 400, b"[" * 300, b"true", b"\n", b"\r", b"../", b"=",
    b"{{", b"{%", b"1979-05-27", b"\xe2\x80\xae", b"'''", b"inf", b"\x1b]0;x\x07",
]  # fmt: skip


def main() -> None:
    """Look for the seconds that were given; atheris writes what it finds beside its corpus."""
    import atheris

    name, seconds = sys.argv[1], int(sys.argv[2])
    target = TARGETS[name]
    with atheris.instrument_imports(include=["softchat", "jinja2", "tomllib"]):
        with tempfile.TemporaryDirectory() as first:
            seeds = target.seeds(Path(first))
        folder = Path(tempfile.mkdtemp(prefix=f"fuzz-{name}-"))
        for seed in seeds:
            attempt(target, folder, seed)  # imports what it needs
    corpus = folder / "corpus"
    corpus.mkdir()
    for number, seed in enumerate(seeds):
        (corpus / str(number)).write_bytes(seed)
    print(f"{folder} has what is found", flush=True)
    work = folder / "work"
    work.mkdir()

    def once(data: bytes) -> None:
        attempt(target, work, data)

    flags = [f"-max_total_time={seconds}", f"-max_len={_MOST * 2}", f"-artifact_prefix={folder}/"]
    atheris.Setup([sys.argv[0], str(corpus), *flags, "-print_final_stats=1", *sys.argv[3:]], once)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
