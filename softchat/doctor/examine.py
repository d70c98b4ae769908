"""The examination: every check in turn, llama.cpp asked in workers as sessions do it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from typing import Any

from softchat.doctor.machine import cpu_features, devices, machine, servers, versions
from softchat.doctor.model import default_model
from softchat.doctor.places import folders, settings
from softchat.doctor.private import Private
from softchat.doctor.report import Problem, Report, Tell
from softchat.engine import system
from softchat.engine.shortage import CLOSE, is_shortage
from softchat.engine.system import Build
from softchat.errors import SoftchatError, UsageError, WorkerDiedError
from softchat.models import Located
from softchat.talk.load import Load
from softchat.talk.worker.process import Worker, is_isolated
from softchat.talk.worker.remote import WorkerBackend, pace

_SHORT_CONTEXT = 512  # positions, as many as the self-test has


def look_at_build(environ: Mapping[str, str], servers: Sequence[str] = ()) -> Build:
    """What llama.cpp says of itself, and of these servers; in a worker, if it gets one.

    Raises:
        SoftchatError: the worker does not start, or dies.

    """
    if not is_isolated(environ):
        return system.build(servers)
    with closing(Worker()) as worker:
        return Build.read(worker.call("build", servers=servers))


def try_load(found: Located) -> None:
    """Have a worker load a model and prove it.

    Raises:
        SoftchatError: it is refused, or kills the worker.

    """
    with closing(Worker()) as worker:
        WorkerBackend(worker, Load.of(found, n_ctx=_SHORT_CONTEXT))


def try_steps(found: Located, environ: Mapping[str, str]) -> tuple[float, float]:
    """Soft step ÷ bare decode, and bare decodes a second; raises as `try_load`."""
    if is_isolated(environ):
        with closing(Worker()) as worker:
            return pace(worker, Load.of(found, n_ctx=_SHORT_CONTEXT))
    from softchat.talk.pace import soft_to_bare  # loads numpy and llama.cpp here

    return soft_to_bare(found.path, found.name)


def examine(
    environ: Mapping[str, str],
    *,
    build: Callable[[Mapping[str, str]], Build] = look_at_build,
    load: Callable[[Located], None] = try_load,
    self_test: Callable[[Located, Mapping[str, str]], tuple[float, float]] = try_steps,
) -> Report:
    """Look at everything.

    Args:
        environ: the variables.
        build: see `look_at_build`.
        load: see `try_load`.
        self_test: see `try_steps`.

    """
    problems: list[Problem] = []

    def tell(what: str, hint: str) -> None:
        problems.append(Problem(what=what, hint=hint))

    try:
        isolated = is_isolated(environ)
    except UsageError as error:
        tell(error.message, error.hint)
        environ = {name: value for name, value in environ.items() if name != "SOFTCHAT_WORKER"}
        isolated = is_isolated(environ)

    def test(found: Located) -> dict[str, Any]:
        if built is None:
            return {}
        try:
            if isolated:  # as a session does it
                load(found)
            ratio, bare = self_test(found, environ)
        except SoftchatError as error:
            tell(f"self-test: {error.message}", error.hint)
            return {}
        return {"exact": True, "soft_to_bare": ratio, "bare_steps_per_s": bare}

    built, starts = _built(environ, build, tell)
    facts: dict[str, Mapping[str, Any]] = {
        "versions": versions(built),
        "machine": machine(),
        "cpu_features": cpu_features(built, tell),
        "devices": devices(built, environ, tell),
        "folders": folders(environ, tell),
    }
    facts["settings"], config = settings(environ, tell)
    rpc = str(environ.get("SOFTCHAT_RPC") or config.values.get("rpc", ""))
    facts["servers"] = servers(rpc, tell)
    facts["worker"] = {"on": isolated, "starts": starts if isolated else None}
    try:
        facts["default_model"] = default_model(environ, config, tell, test=test)
    except OSError as error:
        tell(f"can't use {error.filename}: {error.strerror}", "give yourself the right to")
        facts["default_model"] = {"name": None, "here": False}
    private = Private(environ)
    return Report(
        facts=private.clean(facts),
        problems=tuple(
            Problem(what=private.clean(one.what), hint=private.clean(one.hint)) for one in problems
        ),
    )


def _built(
    environ: Mapping[str, str], build: Callable[[Mapping[str, str]], Build], tell: Tell
) -> tuple[Build | None, bool]:
    """What llama.cpp says of itself, or None; and whether the process that it runs in starts."""
    try:
        return build(environ), True
    except (SoftchatError, OSError) as error:
        if isinstance(error, SoftchatError) and not isinstance(error, WorkerDiedError):
            tell(error.message, error.hint)  # it has started, and says why it has no llama.cpp
            return None, True
        without = "SOFTCHAT_WORKER=0 does without; a crash of llama.cpp ends softchat then"
        tell(
            f"the process that llama.cpp runs in does not start: {error}",
            CLOSE if is_shortage(str(error)) else without,
        )
        return None, False
