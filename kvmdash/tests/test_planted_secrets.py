"""Recognisable secrets are given to a running dashboard on every road; none may turn up where it need not be."""

from __future__ import annotations

import shutil

import pytest

from kvmdash.tests.planted import Planted
from kvmdash.tests.watching import silent_port
from lab.testhosts import libvirtd_path

#: the fixture is the work of two whole runs
pytestmark = pytest.mark.timeout(480)

#: secret (how its name begins) → the only places where it must be
WHERE = {
    "session": {"cookie kvmdash_session"},
    "console ticket": {"own answers"},
    "API token from the page": {"own answers"},
    "secret of an authenticator app": {"own answers"},
    "TLS key": {"files for libvirt and ssh"},
    "ssh key": {"files for libvirt and ssh"},
}
#: place → what shows that something of the road was really seen there
MARKS = {
    "pages": b"planted",
    "API": b"planted",
    "pushes": b"planted",
    "log as text": b"host not connected",
    "log as json": b'"event": "host not connected"',
    "command lines": b"manage.py consoles",
    "file kvmdash.sqlite3": b"planted",
    "file kvmdash.sqlite3-wal": b"",
    "file metrics.sqlite3": b"SQLite",
    "files for libvirt and ssh": b"PRIVATE KEY",
    "own answers": b"/ws/console/",
    "cookie kvmdash_session": b"",
    "cookie kvmdash_csrf": b"",
}


@pytest.fixture(scope="module")
def planted():
    """After all roads were used, with logs as text and as JSON."""
    if libvirtd_path() is None:
        pytest.skip("libvirtd is not installed")
    made = Planted()
    try:
        made.start_hosts()
        with silent_port() as ssh_port:
            for form in ("text", "json"):
                made.run(form, ssh_port)
        yield made
    finally:
        made.close()
        shutil.rmtree(made.program.folder, ignore_errors=True)


@pytest.mark.parametrize("place", sorted(MARKS))
def test_every_road_was_used(planted, place):
    assert MARKS[place] in planted.places.whole(place)


def test_the_levels_of_logs_go_down_to_debug(planted):
    assert b"[debug" in planted.places.whole("log as text")
    assert b'"level": "debug"' in planted.places.whole("log as json")


def test_a_secret_is_only_where_it_must_be(planted):
    found = []
    for name, secret in planted.secrets.items():
        assert len(secret) >= 8, name
        allowed = next((places for start, places in WHERE.items() if name.startswith(start)), set())
        where = planted.places.where(secret)
        found += [f"{name} in {place}: {planted.places.around(secret, place)}" for place in sorted(where - allowed)]
        if not name.startswith("console ticket of the API"):
            assert where >= allowed, f"{name} is not even in {allowed - where}"
    assert found == []


def test_what_libvirt_and_ssh_read_is_for_their_eyes_alone(planted):
    files = [path for path in (planted.program.folder / "run").rglob("*") if path.is_file()]
    keys = [path for path in files if b"PRIVATE KEY" in path.read_bytes()]
    assert {path.name for path in keys} == {"clientkey.pem", "ssh_key"}
    assert {path.stat().st_mode & 0o777 for path in keys} == {0o600}
    assert {path.stat().st_mode & 0o777 for path in (planted.program.folder / "run").rglob("*") if path.is_dir()} == {
        0o700
    }
