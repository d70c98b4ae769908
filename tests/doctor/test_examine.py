"""What `softchat doctor` finds, and what it never tells."""

from __future__ import annotations

import json
import os
from contextlib import closing
from dataclasses import replace

import pytest

from softchat.doctor import examine as really_examine
from softchat.doctor.private import Private
from softchat.engine import system
from softchat.engine.system import Build, Device, parse_cpuinfo, parse_sysctl
from softchat.errors import ModelRefusedError, WorkerDiedError
from softchat.models.catalogue import user_catalogue
from softchat.talk.worker.process import Worker

INTEL_MAC = """machdep.cpu.features: FPU VME SSE3 SSSE3 FMA AVX1.0 F16C
machdep.cpu.leaf7_features: BMI1 AVX2 BMI2 AVX512F
hw.optional.avx2_0: 1
"""
APPLE = """hw.optional.neon: 1
hw.optional.arm.FEAT_DotProd: 1
hw.optional.arm.FEAT_I8MM: 1
hw.optional.arm.FEAT_SME: 0
"""


@pytest.fixture
def mine(tmp_path):
    folder = tmp_path / "home"
    folder.mkdir(mode=0o700)
    return folder


def never(*_):
    raise AssertionError("there is no model to test")


CPU = Device(backend="CPU", name="CPU", description="a processor", is_gpu=False)
BUILD = Build(version="1.0 (abc)", features=system.machine_features() or (), devices=(CPU,))


def examine(environ, *, self_test, build=lambda _: BUILD, load=lambda _: None):
    """As softchat does it, but that no process is started."""
    return really_examine(environ, build=build, load=load, self_test=self_test)


def whats(report):
    return [problem.what for problem in report.problems]


def with_model(home):
    """The environment of a user whose default model is here: a file of its very size."""
    environ = {"SOFTCHAT_HOME": str(home)}
    catalogue = user_catalogue(environ)
    source = catalogue.find(catalogue.default).source
    file = home / "models" / source.sha256[:16] / source.basename
    file.parent.mkdir(parents=True)
    make_model(file, source.size)
    return environ


def make_model(file, size=100):
    """A file that is no model but by its first bytes, of this very size."""
    with file.open("wb") as written:
        written.write(b"GGUF")
        written.truncate(size)


def test_a_new_user_is_well(mine):
    """Nothing is here yet: that is no problem, nothing is fetched, and nothing is made."""
    report = examine({"SOFTCHAT_HOME": str(mine)}, self_test=never)
    assert whats(report) == []
    assert report.facts["default_model"]["here"] is False
    assert list(mine.iterdir()) == []


def test_the_self_test_is_told(mine):
    """The ratio and the pace that it gives; a file that is refused is a problem with its hint."""
    environ = with_model(mine)
    told = examine(environ, self_test=lambda *_: (0.95, 104.0)).facts["default_model"]
    assert (told["soft_to_bare"], told["bare_steps_per_s"]) == (0.95, 104.0)

    def refused(found, environ):
        raise ModelRefusedError(f"can't be loaded: {found.path}", hint="fetch it again")

    report = examine(environ, self_test=refused)
    assert report.problems[0].what.startswith("self-test: can't be loaded: $SOFTCHAT_HOME/models/")
    assert report.problems[0].hint == "fetch it again"


def test_the_model_that_is_tested_is_the_one_that_is_used(mine, tmp_path):
    """SOFTCHAT_MODEL before config.toml before models.toml; a file as well as a name."""
    environ = with_model(mine)
    for name in ("mine.gguf", "other.gguf"):
        make_model(tmp_path / name)
    tested = []

    def told(**more):
        def self_test(found, environ):
            tested.append(found.path.name)
            return 0.9, 100.0

        report = examine(environ | more, self_test=self_test)
        model = report.facts["default_model"]
        return model["name"], model["by"], model["here"], whats(report)

    assert told()[1:] == ("models.toml", True, [])
    (mine / "config.toml").write_text(f"model = '{tmp_path}/mine.gguf'\n")
    assert told() == ("mine", "config.toml", True, [])
    other = {"SOFTCHAT_MODEL": f"{tmp_path}/other.gguf"}
    assert told(**other) == ("other", "SOFTCHAT_MODEL", True, [])
    assert tested[1:] == ["mine.gguf", "other.gguf"]
    assert told(SOFTCHAT_MODEL="qwen3-0.6b")[:3] == ("qwen3-0.6b", "SOFTCHAT_MODEL", False)
    (mine / "config.toml").write_text("model = 'nowhere'\n")
    report = examine(environ, self_test=never)
    assert whats(report)[0].startswith("no model 'nowhere'")


def test_settings_for_a_model_with_a_slip_in_its_name(mine, tmp_path):
    """They would be passed over in silence; a file of one's own can have any name."""
    (mine / "config.toml").write_text("[models.smolm2-135m]\ntopn = 3\n[models.mine]\ntopn = 3\n")
    report = examine(with_model(mine), self_test=lambda *_: (1, 1))
    assert whats(report) == ["config.toml has settings for 'smolm2-135m', which is no model"]
    assert report.problems[0].hint == "is 'smollm2-135m' meant?"


def test_a_model_that_kills_llama_cpp(mine):
    """It kills a worker, as it is loaded there first; in this process it then never is."""

    def load(found):
        raise ModelRefusedError(f"llama.cpp died of SIGABRT on {found.name}", hint="fetch it again")

    environ = with_model(mine)
    report = examine(environ, self_test=never, load=load)
    assert report.facts["worker"] == {"on": True, "starts": True}
    assert whats(report) == ["self-test: llama.cpp died of SIGABRT on smollm2-135m"]
    report = examine(environ | {"SOFTCHAT_WORKER": "0"}, self_test=lambda *_: (1, 1), load=load)
    assert report.facts["worker"] == {"on": False, "starts": None}
    assert whats(report) == []


@pytest.mark.parametrize(
    ("said", "hint"),
    [("status 1", "SOFTCHAT_WORKER=0"), ("status 1: bad_alloc", "close other programs")],
)
def test_a_llama_cpp_that_does_not_start(mine, said, hint):
    """All else is told, and nothing of it runs in this process."""

    def build(environ):
        raise WorkerDiedError(f"the worker ended with {said}")

    report = examine(with_model(mine), self_test=never, build=build, load=never)
    (problem,) = report.problems
    assert problem.what.endswith(f"does not start: the worker ended with {said}")
    assert problem.hint.startswith(hint)
    assert report.facts["worker"] == {"on": True, "starts": False}
    assert report.facts["versions"]["ggml"] == "can't be told"
    assert report.facts["devices"] == {"backends": None, "gpus": None, "rpc": None}
    assert report.facts["default_model"]["here"]


def test_a_build_for_another_processor(mine, monkeypatch):
    """Features that the processor lacks are fatal, those that the build leaves unused are slow."""
    build = replace(BUILD, features=("SSE3", "AVX512"))
    monkeypatch.setattr(system, "machine_features", lambda: ("SSE3", "AVX2", "BMI2"))
    report = examine({"SOFTCHAT_HOME": str(mine)}, self_test=never, build=lambda _: build)
    fatal, slow = whats(report)
    assert fatal == "llama.cpp was built for a processor with AVX512, this one has none"
    assert slow == "llama.cpp was built without AVX2, which this processor has"
    assert report.facts["cpu_features"]["unused"] == ["AVX2", "BMI2"]


def test_layers_for_a_gpu_that_is_not_there(mine):
    """SOFTCHAT_GPU_LAYERS without a GPU back end does nothing, and is told of."""
    environ = {"SOFTCHAT_HOME": str(mine), "SOFTCHAT_GPU_LAYERS": "-1"}
    gpu = Device(backend="CUDA", name="CUDA0", description="a card", is_gpu=True)
    build = replace(BUILD, devices=(CPU, gpu))
    assert whats(examine(environ, self_test=never, build=lambda _: build)) == []
    assert "no GPU back end" in whats(examine(environ, self_test=never))[0]


def test_folders_that_cannot_be_used(mine):
    """Below a file nothing can be written: what that costs is told, twice."""
    (mine / "file").write_text("")
    report = examine({"SOFTCHAT_HOME": str(mine / "file" / "x")}, self_test=never)
    assert len(report.problems) == 2
    assert "no session can be saved" in whats(report)[1]


def test_a_history_that_is_a_folder(mine):
    """What is typed is not remembered then."""
    (mine / "history").mkdir(mode=0o700)
    report = examine({"SOFTCHAT_HOME": str(mine)}, self_test=never)
    assert "is no file" in whats(report)[0]


def test_others_must_not_read_what_was_said(mine):
    """A folder of sessions that is open to all is a problem, its hint the way to close it."""
    (mine / "sessions").mkdir()
    (mine / "sessions").chmod(0o755)
    (problem,) = examine({"SOFTCHAT_HOME": str(mine)}, self_test=never).problems
    assert problem.hint == "chmod 700 $SOFTCHAT_HOME/sessions"


def test_files_of_settings(mine):
    """Those that are in force are named; a config.toml that is wrong, or none, is a problem."""
    config = mine / "config.toml"
    config.write_text("tau = 0.5")
    report = examine({"SOFTCHAT_HOME": str(mine)}, self_test=never)
    assert whats(report) == []
    assert report.facts["settings"]["files"][1:] == ["$SOFTCHAT_HOME/config.toml"]
    for text in ("tou = 0.5", "tau ="):
        config.write_text(text)
        (problem,) = examine({"SOFTCHAT_HOME": str(mine)}, self_test=never).problems
        assert problem.what.startswith("$SOFTCHAT_HOME/config.toml:1")
        assert problem.hint


def test_a_broken_models_toml_is_a_problem(mine):
    """With its line, and without the folder it is in."""
    (mine / "models.toml").write_text("default = 3\n")
    report = examine({"SOFTCHAT_HOME": str(mine)}, self_test=never)
    assert whats(report)[0].startswith("$SOFTCHAT_HOME/models.toml:1")


@pytest.mark.parametrize(
    ("path", "says"),
    [("/dev/zero", "is a device, not a file"), ("/", "a folder, not a file"), ("/x", "no file /x")],
)
def test_a_default_model_whose_file_is_none(mine, path, says):
    """It says what it is: nothing can be fetched for it."""
    source = f'source = {{ type = "path", path = "{path}" }}'
    (mine / "models.toml").write_text(f'default = "a"\n[models.a]\n{source}\n')
    report = examine({"SOFTCHAT_HOME": str(mine)}, self_test=never)
    assert says in whats(report)[0]
    assert report.facts["default_model"] == {"name": None, "here": False}


def test_nothing_private_is_told(mine, monkeypatch):
    """Neither home folder nor user name nor the value of any variable, in no part of it."""
    secrets = {
        "HF_TOKEN": "hf_planted", "SOFTCHAT_SYSTEM": "You are planted", "HOME": str(mine),
        "SOFTCHAT_MODELS": str(mine / "planted" / "models.toml"), "USER": "planteduser",
        "SOFTCHAT_HOME": str(mine / "planted"), "PIP_INDEX_URL": "https://planted@host/simple",
    }  # fmt: skip
    monkeypatch.setenv("HOME", str(mine))
    (mine / "planted" / "history").mkdir(parents=True)
    (mine / "planted" / "models.toml").write_text("default = 3\n")
    text = json.dumps(examine(secrets, self_test=never).to_dict())
    assert "planted" not in text
    assert str(mine) not in text
    assert {"HF_TOKEN", "SOFTCHAT_SYSTEM", "SOFTCHAT_MODELS"} <= set(
        json.loads(text)["settings"]["variables"]
    )


def test_paths_are_shortened_the_longest_first():
    """A variable's folder inside the home is the variable; a user's name in any path is gone."""
    private = Private({"HOME": "/home/ann", "SOFTCHAT_HOME": "/home/ann/chat", "USER": "ann"})
    assert private.clean("/home/ann/chat/models") == "$SOFTCHAT_HOME/models"
    assert private.clean("can't read /home/ann/x") == "can't read ~/x"
    assert private.clean({"a": ["/srv/ann/x", "/srv/annex", 3, None]}) == {
        "a": ["/srv/…/x", "/srv/annex", 3, None]
    }


def test_flags_of_processors():
    """As Linux tells them on x86 and ARM, and macOS on Intel and Apple chips."""
    assert parse_cpuinfo("processor: 0\nflags\t\t: fpu pni avx2\n") == {"fpu", "pni", "avx2"}
    assert parse_cpuinfo("Features\t: fp asimd i8mm\n") == {"fp", "asimd", "i8mm"}
    assert {"sse3", "fma", "avx1.0", "avx2", "bmi2", "avx512f"} <= parse_sysctl(INTEL_MAC)
    assert parse_sysctl(APPLE) == {"neon", "feat_dotprod", "feat_i8mm"}


def test_this_build_runs_on_this_processor():
    """llama.cpp says what it uses, and it is running: the processor must have all of it."""
    has, build = system.machine_features(), system.build()
    assert has is None or set(build.features) <= set(has)
    assert [one.backend for one in build.devices].count("CPU") == 1
    assert build.version
    if os.name == "posix":
        with closing(Worker()) as worker:
            assert Build.read(worker.call("build")) == build


def test_the_command(softchat, tmp_path):
    """On the real model each fact on a line, and status 0; as JSON where there is no model."""
    done = softchat("doctor")
    assert done.status == 0, done
    rows = {line[:18].strip(): line[18:] for line in done.out.splitlines()}
    assert "soft thinking is exact" in rows["self-test"]
    assert rows["default model"].endswith(" here")
    assert rows["worker"] == "on, and starts"
    last = done.out.splitlines()[-1]
    assert last.startswith(("all is well", "this machine is busy", "nothing is wrong; other"))
    assert ("tokens/s" in rows["self-test"]) == (last == "all is well")  # else it says nothing
    told = json.loads(softchat("doctor", "--json", SOFTCHAT_HOME=str(tmp_path)).out)
    assert told["default_model"]["here"] is False
    assert told["problems"] == []


@pytest.mark.skipif(os.name != "posix", reason="needs modes")
def test_a_problem_is_one_line_and_status_1(softchat, tmp_path):
    """What is wrong, with a hint."""
    (tmp_path / "home" / "history").mkdir(parents=True)
    done = softchat("doctor", SOFTCHAT_HOME=str(tmp_path / "home"))
    assert done.status == 1
    problems = [line for line in done.out.splitlines() if line.startswith("problem: ")]
    assert any("what is typed is not remembered (hint: " in line for line in problems)
