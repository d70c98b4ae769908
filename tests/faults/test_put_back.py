"""Faults that were mended can still be put back; `put_back` itself says whether they are caught."""

from __future__ import annotations

import re

import pytest

from tests.faults.put_back import FAULTS, ROOT


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.what)
def test_it_can_be_put_back(fault):
    """What is right is in its file just once, its wrong form is Python, and its tests exist."""
    text = (ROOT / fault.file).read_text(encoding="utf-8")
    assert text.count(fault.right) == 1
    compile(text.replace(fault.right, fault.wrong), fault.file, "exec")
    file, *which = fault.tests.split(" ")
    names = re.findall(r"^def (test_\w+)", (ROOT / file).read_text(encoding="utf-8"), re.MULTILINE)
    assert any(word in name for name in names for word in which[1:] or ["test_"])
