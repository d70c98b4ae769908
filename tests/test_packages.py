"""The wheel and the source archive: all that is needed is in them, and nothing else."""

from __future__ import annotations

import ast
import importlib.metadata
import pkgutil
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LISTED = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]


PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
_NEED = re.compile(r"(?P<name>[\w-]+)(\[.*\])?>=(?P<oldest>[\d.]+)(,<(?P<below>[\d.]+))?")
_ROW = re.compile(r"^\| ([\w-]+) \| (\d[^|]*) \| ([^|]+) \| (?:`(\w+)` \| )?[^|]+ \|$", re.M)


def needs() -> dict[str, tuple[str, str]]:
    """By package: its bounds, in words; and the extra that needs it, empty for none."""
    found = {}
    for extra, lines in {"": PROJECT["dependencies"], **PROJECT["optional-dependencies"]}.items():
        for line in lines:
            if line.startswith("softchat["):
                continue
            need = _NEED.fullmatch(line)
            assert need, line
            below = f", below {need['below']}" if need["below"] else ""
            found[need["name"]] = (need["oldest"] + below, extra)
    return found


def rows() -> list[tuple[str, str, str, str]]:
    """Of docs/dependencies.md: package, bounds, licence, extra."""
    return _ROW.findall((ROOT / "docs" / "dependencies.md").read_text("utf-8"))


def build(kind: str, source: Path, to: Path) -> Path:
    """A package of a source tree, made by the builder that pip calls."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", str(to)]
    subprocess.run(command, cwd=source, check=True, capture_output=True)
    (made,) = to.iterdir()
    return made


def holds(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture(scope="module")
def sdist(tmp_path_factory) -> Path:
    """The source archive, unpacked."""
    folder = tmp_path_factory.mktemp("sdist")
    with tarfile.open(build("sdist", ROOT, folder / "built")) as archive:
        if hasattr(tarfile, "data_filter"):  # Python 3.11.4, and what distributions give it to
            archive.extraction_filter = tarfile.data_filter
        archive.extractall(folder)
    (unpacked,) = (path for path in folder.iterdir() if path.name != "built")
    return unpacked


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> dict[str, bytes]:
    """What the wheel holds: name and content."""
    return holds(build("wheel", ROOT, tmp_path_factory.mktemp("wheel") / "built"))


def test_the_wheel_has_the_whole_package(wheel):
    """Each file of softchat/ as it is, the adapter and the page among them, and models.toml."""
    package = {path for path in (ROOT / "softchat").rglob("*") if path.is_file()}
    expected = {
        path.relative_to(ROOT).as_posix(): path.read_bytes()
        for path in package
        if path.suffix != ".pyc"
    } | {"softchat/models.toml": (ROOT / "models.toml").read_bytes()}
    found = {name: data for name, data in wheel.items() if ".dist-info/" not in name}
    assert sorted(found) == sorted(expected)
    assert found == expected


def test_the_wheel_says_what_a_package_must(wheel):
    """Its command, its licence, and that it has types."""
    (info,) = {name.partition("/")[0] for name in wheel if ".dist-info/" in name}
    assert b"softchat = softchat.cli:main" in wheel[f"{info}/entry_points.txt"]
    assert wheel[f"{info}/licenses/LICENSE"] == (ROOT / "LICENSE").read_bytes()
    assert "softchat/py.typed" in wheel


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="only git knows what is the project's")
def test_the_source_archive_has_what_git_has(sdist):
    """Tests, pages and scripts among it, and nothing that lies about."""
    listed = subprocess.run(LISTED, cwd=ROOT, check=True, capture_output=True)
    found = {path.relative_to(sdist).as_posix() for path in sdist.rglob("*") if path.is_file()}
    assert found - {"PKG-INFO"} == set(listed.stdout.decode().splitlines())


def test_a_wheel_of_the_source_archive_is_the_same(sdist, wheel, tmp_path):
    """File by file and byte by byte."""
    assert holds(build("wheel", sdist, tmp_path / "built")) == wheel


def test_every_dependency_has_its_row():
    """With the bounds that pyproject.toml has, and the extra."""
    assert {name: (bounds, extra) for name, bounds, _, extra in rows()} == needs()


@pytest.mark.parametrize(("name", "licence"), [(name, row) for name, _, row, _ in rows()])
def test_the_licence_is_what_the_package_says(name, licence):
    """Its family, as packages word it differently: BSD for BSD-3-Clause."""
    try:
        about = importlib.metadata.metadata(name)
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("not installed here")
    kinds = [kind for kind in about.get_all("Classifier", []) if kind.startswith("License ")]
    said = " ".join([about.get("License-Expression", ""), about.get("License", ""), *kinds])
    assert re.match(r"\w+", licence)[0] in said


def is_there(name: str) -> bool:
    """Whether a dotted name is a module, or something in one."""
    try:
        pkgutil.resolve_name(name)
    except (ImportError, AttributeError):
        return False
    return True


@pytest.mark.parametrize("folder", ["training", "benchmarks"])
def test_scripts_import_what_there_is(folder):
    """What moves in softchat moves in the scripts beside it, too, that no other test may run."""
    lost = []
    for file in sorted((ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("softchat"):
                names = [f"{node.module}.{one.name}" for one in node.names]
                lost += [(file.name, name) for name in names if not is_there(name)]
    assert not lost
