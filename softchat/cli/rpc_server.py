"""`softchat rpc-server`: this machine's devices, for a model that is loaded on another one."""

from __future__ import annotations

import os
import socket
import time
from contextlib import closing
from typing import Annotated

import typer

from softchat.base.text import one_line, printable
from softchat.cli.options import flag
from softchat.engine.servers import PORT
from softchat.errors import ServerError, UsageError

_LOOPBACK = "127."


def rpc_server(
    host: Annotated[
        str, flag("--host", metavar="ADDRESS", help="The address of this machine to listen at.")
    ] = "127.0.0.1",
    port: Annotated[
        int, flag("--port", metavar="N", min=0, max=65535, help="The port; 0: any that is free.")
    ] = PORT,
    device: Annotated[
        str,
        flag(
            "--device",
            metavar="NAME,…",
            help="What computes, as doctor names it; else accelerators, or the processor.",
        ),
    ] = "",
    threads: Annotated[
        int, flag("--threads", metavar="N", min=0, max=1024, help="Threads; 0: one a core.")
    ] = 0,
    cache: Annotated[
        bool, flag("--cache", help="Keep large weights on disk: they come over the wire once.")
    ] = False,
) -> int:
    """Compute a part of a model that softchat --rpc loads on another machine.

    It has one client at a time, until Ctrl-C.
    """
    from softchat.engine.threads import refuse_many
    from softchat.talk.worker.rpc_process import RpcServer, why_taken

    refuse_many(threads)
    address = _address(host)
    port = port or _free_port(address)
    if why := why_taken(address, port):
        raise UsageError(f"no server can be at {host}:{port}: {why}", hint="see --host and --port")
    if not address.startswith(_LOOPBACK):
        typer.echo(
            f"warning: no password and no encryption: whoever reaches {host}:{port} can use it, "
            f"read along and end it. Safer: leave out --host, and on the other machine\n"
            f"  ssh -N -L {port}:127.0.0.1:{port} {socket.gethostname()}",
            err=True,
        )
    names = [name.strip() for name in device.split(",") if name.strip()]
    folder = _cache_folder() if cache else None
    try:
        with closing(
            RpcServer(address, port, devices=names, n_threads=threads, cache=folder)
        ) as server:
            typer.echo(f"serving {', '.join(map(printable, server.offers))}")
            typer.echo(f"at {address}:{port}, protocol {server.version}; Ctrl-C ends it")
            for what in server.news():
                typer.echo(f"{time.strftime('%H:%M:%S')} {what}")
    except KeyboardInterrupt:
        typer.echo("ended")
    return 0


def _address(host: str) -> str:
    try:
        return socket.gethostbyname(host)
    except (OSError, UnicodeError) as error:
        shown = one_line(host)
        raise UsageError(
            f"{shown} is no address of this machine", hint="--host 0.0.0.0 is all of them"
        ) from error


def _free_port(address: str) -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as trial:
        try:
            trial.bind((address, 0))
        except OSError as error:
            raise ServerError(
                f"no server can be at {address}: {error.strerror}", hint="see --host"
            ) from error
        return int(trial.getsockname()[1])


def _cache_folder() -> str:
    from softchat.base.files import make_private
    from softchat.models.folders import models_folder

    folder = models_folder(os.environ).parent / "rpc"
    make_private(folder)
    return str(folder)
