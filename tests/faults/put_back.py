"""Faults that were mended, put back one by one: each must be caught by the test that is for it.

`python -m tests.faults.put_back [NUMBER…]` tries all or some, each in a copy of the sources, and
says which are caught. It takes minutes; that each can still be put back is a test of every day.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
_SECONDS = 300  # a fault that makes its tests take longer is seen, too


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault: what it is, where, and which tests must fail with it."""

    what: str
    file: str
    right: str
    """As the file has it, once."""
    wrong: str
    tests: str
    """A file of tests, and which of them (`-k`)."""


FAULTS = (
    Fault(
        "what a model says is run by a verifier",
        "softchat/evaluate/gym_verifier.py",
        '    if run_text[request["kind"]] and not is_harmless(given):\n',
        "    if False:\n",
        "tests/evaluate/test_gym.py -k not_run",
    ),
    Fault(
        "what no answer can be held to is passed over in a schema",
        "softchat/engine/schema.py",
        "    for keyword in _NOT_HELD & schema.keys():\n",
        "    for keyword in set[str]():\n",
        "tests/engine/test_schema.py -k refused",
    ),
    Fault(
        "brackets without end reach llama.cpp's parser of grammars",
        "softchat/engine/grammar.py",
        "        if not text.strip() or len(text) > _LONGEST or _depth(text) > _DEEPEST:\n",
        "        if not text.strip():\n",
        "tests/engine/test_grammar.py -k no_grammar",
    ),
    Fault(
        "a signal whose exception is lost ends nothing",
        "softchat/cli/signals.py",
        "        if ending.number:  # whatever has become of `Ended` since\n",
        "        if False:\n",
        "tests/cli/test_signals.py -k ends",
    ),
    Fault(
        "the terminal is left to whoever drew on it",
        "softchat/cli/signals.py",
        "        if self._modes is None or not self._in_front():\n",
        "        if True:\n",
        "tests/cli/test_signals.py -k stop",
    ),
    Fault(
        "the log takes the name of a model that is no text",
        "softchat/record/log.py",
        "model=legible(saved.model),",
        "model=saved.model,",
        "tests/faults/test_no_files.py -k session_with_a_name",
    ),
    Fault(
        "a folder that one may not look into is empty",
        "softchat/base/files.py",
        "    except FileNotFoundError:\n        if folder.is_symlink():\n",
        "    except OSError:\n        if folder.is_symlink():\n",
        "tests/faults/test_no_files.py -k rights",
    ),
    Fault(
        "a trace may be a pipe that nobody reads",
        "softchat/base/files.py",
        "return os.open(path, flags | _AT_ONCE | _BINARY, 0o600)",
        "return os.open(path, flags | _BINARY, 0o600)",
        "tests/base/test_files.py -k sink",
    ),
    Fault(
        "a run that never began costs an older trace",
        "softchat/record/trace.py",
        "open_sink(path, keep=True)",
        "open_sink(path)",
        "tests/record/test_trace.py -k never_began",
    ),
    Fault(
        "a trace that has lost steps is forked",
        "softchat/thinking/fork.py",
        "if any(step.index != place",
        "if False and any(step.index != place",
        "tests/thinking/test_fork.py -k must_be_there",
    ),
    Fault(
        "a prompt cache that holds nothing is believed",
        "softchat/engine/decoder.py",
        "if not taken or llama_cpp.llama_memory_seq_pos_max(memory, 0) != position - 1:",
        "if not taken:",
        "tests/talk/test_prompt_cache.py -k lies",
    ),
    Fault(
        "another program's database is the log",
        "softchat/record/log.py",
        "if tables and not tables >= _NAMES:",
        "if False:",
        "tests/record/test_log.py -k another_program",
    ),
    Fault(
        "a result counts twice",
        "softchat/evaluate/results.py",
        "if result.key in seen:",
        "if False:",
        "tests/evaluate/test_results.py -k counts_once",
    ),
    Fault(
        "a name that is not UTF-8 is no text",
        "softchat/engine/llama.py",
        "path=legible(path),",
        "path=str(path),",
        "tests/faults/test_no_files.py -k utf8",
    ),
    Fault(
        "doctor goes on without a reader",
        "softchat/cli/signals.py",
        "os._exit(1)",
        "pass",
        "tests/faults/test_no_files.py -k reader",
    ),
    Fault(
        "logits that are none are a bug",
        "softchat/thinking/think.py",
        "    except NumericsError as error:\n",
        "    except ZeroDivisionError as error:\n",
        "tests/thinking/test_numerics.py -k where",
    ),
    Fault(
        "a trained context is believed",
        "softchat/engine/llama.py",
        "if trained <= 0:",
        "if trained == 0:",
        "tests/engine/test_llama.py -k trained_context",
    ),
    Fault(
        "a template has all the processor time there is",
        "softchat/base/limits.py",
        "signal.setitimer(signal.ITIMER_PROF, seconds)",
        "pass",
        "tests/prompt/test_sandbox.py -k processor_time",
    ),
    Fault(
        "a template has all the memory there is",
        "softchat/base/limits.py",
        "_lower(resource.RLIMIT_AS, pages * resource.getpagesize() + memory)",
        "pass",
        "tests/base/test_child.py -k limit_ends",
    ),
    Fault(
        "a template writes half a character",
        "softchat/prompt/renderer.py",
        "        text.encode()\n",
        "",
        "tests/prompt/test_sandbox.py -k half",
    ),
    Fault(
        "a number has any exponent",
        "softchat/evaluate/answers.py",
        "        return None  # Python would work it out to the last digit\n",
        "        pass\n",
        "tests/evaluate/test_answers.py -k numbers_have_a_bound",
    ),
    Fault(
        "results are taken as they are",
        "softchat/evaluate/results.py",
        'return read({**line, "outcome": line}, Result, "result")',
        """from softchat.evaluate.evaluate import Outcome
        own = [name for name in Result.__dataclass_fields__ if name != "outcome"]
        outcome = {name: value for name, value in line.items() if name not in own}
        return Result(**{name: line[name] for name in own}, outcome=Outcome(**outcome))""",
        "tests/evaluate/test_results.py -k damaged_line",
    ),
    Fault(
        "text of strangers reaches the terminal as it is",
        "softchat/base/text.py",
        "return text.translate(_FLOWING if newlines else _ONE_LINE)",
        "return text",
        "tests/faults/test_hostile_text.py -k mistakes",
    ),
    Fault(
        "each token is decoded by itself",
        "softchat/engine/detokenizer.py",
        "return self._decoder.decode(piece)",
        'return piece.decode(errors="replace")',
        "tests/faults/test_utf8.py",
    ),
    Fault(
        "an embedding may hold NaN",
        "softchat/engine/decoder.py",
        "if not np.isfinite(embedding).all():",
        "if False:",
        "tests/faults/test_engine_limits.py -k rows",
    ),
    Fault(
        "a narrow row goes to native code",
        "softchat/engine/decoder.py",
        "if embedding.shape != (self._width,) or embedding.dtype != np.float32:",
        "if embedding.dtype != np.float32:",
        "tests/faults/test_engine_limits.py -k rows",
    ),
    Fault(
        "a prompt that does not fit is tried",
        "softchat/engine/decoder.py",
        "if positions > self._n_ctx:",
        "if False:",
        "tests/engine/test_llama.py -k full_context",
    ),
    Fault(
        "a prompt may leave no room for an answer",
        "softchat/thinking/think.py",
        "if needed + reserved > n_ctx:",
        "if False:",
        "tests/faults/test_engine_limits.py -k full",
    ),
    Fault(
        "a decode that failed is not undone",
        "softchat/engine/decoder.py",
        "self.rollback(undo_to)\n",
        "pass\n",
        "tests/faults/test_return_codes.py -k engine",
    ),
    Fault(
        "of a prompt that failed, its last batch alone is undone",
        "softchat/engine/decoder.py",
        "self.decode(tokens[first : first + size], undo_to, logits=logits and last)",
        "self.decode(tokens[first : first + size], self._position, logits=logits and last)",
        "tests/faults/test_return_codes.py -k engine",
    ),
    Fault(
        "what a decode was to append is remembered though it failed",
        "softchat/engine/kv_cache.py",
        "        logits = self._engine.decode_tokens(tokens)\n        self.undecoded = ()\n",
        "        self._items.extend(tokens)\n        logits = self._engine.decode_tokens(tokens)\n"
        "        del self._items[-len(tokens) :]\n        self.undecoded = ()\n",
        "tests/faults/test_return_codes.py -k conversation",
    ),
    Fault(
        "of a batch of several runs that failed, a part stays",
        "softchat/engine/batch.py",
        "elif not self._cut(self.position):",
        "elif False:",
        "tests/faults/test_return_codes.py -k together",
    ),
    Fault(
        "a state is taken back to a copy behind the place",
        "softchat/engine/checkpoints.py",
        "            if place <= position:\n",
        "            if place <= position + 8:\n",
        "tests/engine/test_memory.py -k random",
    ),
    Fault(
        "two runs write to one trace",
        "softchat/record/trace.py",
        "        if stat.S_ISREG(found.st_mode) and not lock_file(file.fileno()):\n",
        "        if stat.S_ISFIFO(found.st_mode) and not lock_file(file.fileno()):\n",
        "tests/record/test_trace.py -k two_runs",
    ),
    Fault(
        "results that did not fit on the disk are written once more at the end",
        "softchat/evaluate/results.py",
        'os.fdopen(handle, "r+b", buffering=0)',
        'os.fdopen(handle, "r+b")',
        "tests/faults/test_full_disk.py -k results",
    ),
    Fault(
        "a fork takes tokens of another vocabulary",
        "softchat/thinking/think.py",
        "    if fork:\n        check_pieces(engine, fork)\n",
        "",
        "tests/cli/test_fork.py -k replaced",
    ),
    Fault(
        "llama.cpp runs in softchat's own process",
        "softchat/talk/worker/process.py",
        'return os.name == "posix" and meant',
        "return False and meant",
        "tests/faults/test_mutants.py -k mutated",
    ),
    Fault(
        "all parts that a header tells of are listed",
        "softchat/engine/gguf.py",
        "        if not parts[-1].is_file():\n",
        "        if n == count and not parts[-1].is_file():\n",
        "tests/faults/test_mutants.py -k parts",
    ),
    Fault(
        "a turn whose worker died is lost",
        "softchat/talk/conversation.py",
        "WorkerDiedError) as error:\n            if number is not None:\n",
        "WorkerDiedError) as error:\n            if False:\n",
        "tests/faults/test_worker.py -k random",
    ),
    Fault(
        "a worker gets all variables",
        "softchat/talk/worker/process.py",
        "        if (name in _PASSED_ON or name.startswith(_PASSED_ON_BY_BEGINNING))\n"
        "        and not any(word in name for word in _SECRET)\n",
        "",
        "tests/talk/worker/test_process.py -k secret",
    ),
    Fault(
        "too little memory is told as any failure",
        "softchat/engine/shortage.py",
        "return _SAID.search(message) is not None",
        "return False",
        "tests/faults/test_memory_limits.py",
    ),
    Fault(
        "softchat itself reads a model's header",
        "softchat/cli/model.py",
        "        self._idle = self._idle or self._new()\n",
        "        self._idle = None\n",
        "tests/faults/test_memory_limits.py -k look",
    ),
    Fault(
        "Ctrl-C is not heard",
        "softchat/base/interrupt.py",
        "        self.pressed = True\n",
        "        self.pressed = False\n",
        "tests/cli/test_terminal.py -k while_thinking",
    ),
    Fault(
        "a session is written where it lies",
        "softchat/base/files.py",
        "    with replacing(path) as half:\n",
        "    for half in [path]:\n",
        "tests/faults/test_kill.py",
    ),
    Fault(
        "a session ends when it can't be saved",
        "softchat/repl/loop.py",
        "            self._saved.write(self.session, pending=pending)\n"
        "        except OSError as error:\n",
        "            self._saved.write(self.session, pending=pending)\n"
        "        except ZeroDivisionError as error:\n",
        "tests/faults/test_full_disk.py -k session",
    ),
    Fault(
        "a full disk under stdout is a traceback",
        "softchat/cli/__init__.py",
        "if error.errno in _NO_ROOM:",
        "if False:",
        "tests/faults/test_full_disk.py -k output",
    ),
    Fault(
        "a history that is a folder ends the session",
        "softchat/repl/line.py",
        "        except OSError as error:\n            self._usable = False\n",
        "        except ZeroDivisionError as error:\n            self._usable = False\n",
        "tests/faults/test_damaged.py -k history",
    ),
    Fault(
        "a damaged session hides the others",
        "softchat/record/session_format.py",
        "except (ValueError, RecursionError) as error:",
        "except RecursionError as error:",
        "tests/faults/test_damaged.py -k sessions",
    ),
    Fault(
        "folders have the rights that the umask leaves",
        "softchat/base/files.py",
        "folder.mkdir(mode=0o700, exist_ok=True)",
        "folder.mkdir(exist_ok=True)",
        "tests/faults/test_modes.py -k commands",
    ),
    Fault(
        "a trace is everyone's to read",
        "softchat/base/files.py",
        "return os.open(path, flags | _AT_ONCE | _BINARY, 0o600)",
        "return os.open(path, flags | _AT_ONCE | _BINARY, 0o666)",
        "tests/faults/test_modes.py -k commands",
    ),
    Fault(
        "what is fetched is whatever came",
        "softchat/models/store.py",
        "if sha256 != file.sha256:",
        "if False:",
        "tests/models/test_fetch.py -k another_file",
    ),
    Fault(
        "doctor tells the home folder",
        "softchat/doctor/private.py",
        "                value = value.replace(text, self._known[text])\n",
        "                pass\n",
        "tests/doctor/test_examine.py -k private",
    ),
    Fault(
        "doctor tests a model that is not used",
        "softchat/doctor/model.py",
        "spec = named or own or catalogue.default",
        "spec = catalogue.default",
        "tests/doctor/test_examine.py -k used",
    ),
    Fault(
        "a server may claim any number of devices",
        "softchat/engine/servers.py",
        "    if count and (devices := _DEVICES.unpack(count)[1]) > _MOST_DEVICES:\n",
        "    if count and (devices := _DEVICES.unpack(count)[1]) < 0:\n",
        "tests/engine/test_servers.py -k devices",
    ),
    Fault(
        "a server's greeting may take its time, byte by byte",
        "softchat/engine/servers.py",
        "            connection.settimeout(max(0.001, until - time.monotonic()))\n            more",
        "            more",
        "tests/engine/test_servers.py -k drips",
    ),
    Fault(
        "what waits for a server hears no signal",
        "softchat/cli/watch.py",
        "                if left <= 0:\n",
        "                if left <= -1e9:\n",
        "tests/rpc/test_faults.py -k questions_are_answered",
    ),
    Fault(
        "a row of CSV may have more cells than the header",
        "softchat/evaluate/questions.py",
        "        if len(row) > len(header):\n",
        "        if len(row) > len(header) + 99:\n",
        "tests/evaluate/test_questions.py",
    ),
    Fault(
        "another model's file passes for a merged one",
        "softchat/engine/merge.py",
        "    if file.is_file() and _is_sealed(file, made_of):\n",
        "    if file.is_file():\n",
        "tests/engine/test_merge.py",
    ),
    Fault(
        "a trace's events may stand in any order",
        "softchat/record/trace.py",
        "        elif last and not _may_follow(event, last):\n",
        "        elif last and False:\n",
        "tests/record/test_trace.py",
    ),
    Fault(
        "nothing tells that settings of thinking do nothing without",
        "softchat/settings.py",
        "        if name in _OF_THOUGHT and not self.think:\n",
        "        if False:\n",
        "tests/thinking/test_idle.py",
    ),
)


def put_back(fault: Fault, folder: Path) -> None:
    """Have it in the sources below this folder.

    Raises:
        ValueError: what is right is not there just once.

    """
    path = folder / fault.file
    text = path.read_text(encoding="utf-8")
    if text.count(fault.right) != 1:
        raise ValueError(f"{fault.file} has it {text.count(fault.right)} times: {fault.right!r}")
    path.write_text(text.replace(fault.right, fault.wrong), encoding="utf-8")


def copy_sources(folder: Path) -> None:
    """All files of this repository that git knows, or would add."""
    named = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"],
        cwd=ROOT, capture_output=True, check=True,
    )  # fmt: skip
    for name in filter(None, named.stdout.decode().split("\0")):
        if not (ROOT / name).is_file():  # removed since
            continue
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((ROOT / name).read_bytes())


def outcome(fault: Fault) -> str:
    """`caught` if the tests that are for it fail, as they must, or take far too long; `MISSED`."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        copy_sources(folder)
        put_back(fault, folder)
        file, *which = fault.tests.split(" ")
        command = [sys.executable, "-m", "pytest", "-q", "-x", file, *which]
        command += ["-o", f"cache_dir={ROOT / '.pytest_cache'}"]  # the model is there
        try:
            done = subprocess.run(
                command, cwd=folder, env=os.environ | {"PYTHONPATH": name, "PYTHONUTF8": "1"},
                capture_output=True, text=True, timeout=_SECONDS, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return "caught (too long)"
        if done.returncode not in (0, 1):  # 5: no such test
            raise RuntimeError(done.stdout + done.stderr)
        return "caught" if done.returncode else "MISSED"


def main() -> int:
    """Try those of these numbers, or all; 1 if one is not caught."""
    chosen = [int(number) for number in sys.argv[1:]] or range(len(FAULTS))
    missed = 0
    for number in chosen:
        said = outcome(FAULTS[number])
        missed += said == "MISSED"
        print(f"{number:3} {said}: {FAULTS[number].what}", flush=True)
    print(f"{len(chosen) - missed} of {len(chosen)} caught")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
