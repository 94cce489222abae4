"""docs/configuration.md tells every name that is read, and the defaults as they are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from kvmdash.tests.program import PROJECT

NAME = re.compile(r"KVMDASH_[A-Z]+(?:_[A-Z]+)*")
#: what our own programs tell each other
INTERNAL = {"KVMDASH_EMBEDDED", "KVMDASH_PARENT", "KVMDASH_SHOWN_PASSWORD"}
#: what only units and the API's readers' scripts name
ELSEWHERE = {"KVMDASH_LISTEN", "KVMDASH_TOKEN"}
DEFAULT = re.compile(r'env\.(\w+)\(\s*"(KVMDASH_[A-Z_]+)",\s*default=([^\n]+?)\)', re.DOTALL)


def rows() -> dict[str, tuple[str, str]]:
    """Name → (default, meaning), from the table; a row may tell several names and as many defaults."""
    found = {}
    for line in (PROJECT / "docs" / "configuration.md").read_text().splitlines():
        if line.startswith("| `KVMDASH_"):
            names, default, meaning = (cell.strip() for cell in line.strip("|").split(" | ", 2))
            for name in NAME.findall(names):
                assert name not in found, f"{name} is told twice"
                found[name] = (default, meaning)
    return found


def sources() -> list[Path]:
    return [
        path
        for room in ("kvmdash", "hosts", "vms")
        for path in (PROJECT / room).rglob("*.py")
        if "tests" not in path.parts and "migrations" not in path.parts
    ]


def names_in(path: Path) -> set[str]:
    return set(NAME.findall(path.read_text()))


def test_every_name_that_the_settings_read_is_told_and_no_other() -> None:
    read = set().union(*map(names_in, sources())) - INTERNAL - ELSEWHERE
    keys = {name for name in read if name.removesuffix("_FILE") != name and name.removesuffix("_FILE") in read}
    assert read - keys == set(rows())
    assert names_in(PROJECT / "kvmdash" / "settings.py") <= set(rows())


def test_the_files_of_keys_are_told() -> None:
    text = (PROJECT / "docs" / "configuration.md").read_text()
    assert {"KVMDASH_SECRET_KEY_FILE", "KVMDASH_ENCRYPTION_KEYS_FILE"} <= set(NAME.findall(text))


@pytest.mark.parametrize(
    "file", ["deploy/kvmdash.env.example", *sorted(str(p) for p in Path("deploy/systemd").iterdir())]
)
def test_what_the_example_and_the_units_set_is_told(file: str) -> None:
    set_there = names_in(PROJECT / file)
    assert {name.removesuffix("_FILE") for name in set_there} <= set(rows()) | ELSEWHERE


def test_the_defaults_are_told_as_they_are() -> None:
    found = DEFAULT.findall((PROJECT / "kvmdash" / "settings.py").read_text())
    assert len(found) > 25
    words = {"False": "off", "True": "on", '""': "none", "[]": "none"}
    for kind, name, value in found:
        told = rows()[name][0]
        if kind in ("int", "float"):
            number = str(eval(value, {}))
            assert number.removesuffix(".0") in re.split(r"[ ,]+", told), (name, value, told)
        elif value in words:
            assert words[value] in told, (name, value, told)
        elif kind == "str" and "str(" not in value:
            assert value.strip('"') in told, (name, value, told)


def test_every_row_says_what_it_means() -> None:
    for name, (default, meaning) in rows().items():
        assert default, name
        assert len(meaning) > 10, name
