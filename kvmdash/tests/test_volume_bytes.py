"""Volumes' bytes through kvmdash as people run it: the one-port road, kill -9 in the middle, memory, downloads, the browser."""

from __future__ import annotations

import hashlib
import shutil
import sqlite3
import threading
import urllib.error
import urllib.request

import pytest

from bench.running import resident, tree_of
from conftest import wait_until
from hosts.tests.images_host import ImagesHost, Sender, some_bytes
from kvmdash.tests.browsing import chromium, sign_in
from kvmdash.tests.program import Program
from lab.testhosts import libvirtd_path

MIB = 1 << 20


@pytest.fixture(scope="module")
def images():
    if libvirtd_path() is None:
        pytest.skip("libvirtd is not installed")
    host = ImagesHost.create("bytes")
    host.start()
    yield host
    host.remove()


@pytest.fixture(scope="module")
def program(images):
    running = Program(KVMDASH_LEASE_SECONDS="3")
    running.manage("migrate_all")
    running.manage("add_host", "one", images.uri)
    running.start()
    wait_until(lambda: running.get("pools?host=one")["items"], 60, "the pool")
    yield running
    running.stop()
    assert "Traceback" not in running.log(), running.log()[-4000:]
    shutil.rmtree(running.folder, ignore_errors=True)


def begin(program, name, size, **more):
    """(operation's id, sender through the dashboard's port)."""
    status, asked = program.api("pools/one/images/uploads", {"name": name, "size": size, **more})
    assert status == 202, asked
    told = wait_until(lambda: (found := program.get(f"uploads/{asked['id']}"))["open"] and found, 30, "the upload")
    return asked["id"], Sender(program.port, told["address"], told["ticket"])


def volume(program, name):
    def look():
        return next((one for one in program.get("pools/one/images/volumes")["items"] if one["name"] == name), None)

    return wait_until(look, 30, name)


def test_an_upload_survives_a_kill_of_everything_in_the_middle(program, images):
    data = some_bytes(8 * MIB)
    operation, sender = begin(program, "killed.raw", len(data), checksum=hashlib.sha256(data).hexdigest())
    assert sender.send(data[: 2 * MIB], 0)[0] == 204
    cut = threading.Thread(target=sender.send, args=(data[2 * MIB : 5 * MIB], 2 * MIB), kwargs={"length": 6 * MIB})
    cut.start()
    cut.join()
    program.kill()
    program.start()
    told = wait_until(lambda: (found := program.get(f"uploads/{operation}"))["state"] == "running" and found)

    def sent():
        at = program.get(f"uploads/{operation}")["offset"]
        status, _headers, _body = Sender(program.port, told["address"], told["ticket"]).send(data[at:], at)
        return status == 204

    wait_until(sent, 60, "the upload to go on")
    ended = program.ended(operation)
    assert ended["state"] == "succeeded", ended
    assert images.content("killed.raw") == data


def test_what_is_not_a_piece_of_an_upload_is_refused_on_the_road(program):
    _operation, sender = begin(program, "road.raw", MIB)
    request = urllib.request.Request(f"{program.url}{sender.address}", method="POST", data=b"x")
    with pytest.raises(urllib.error.HTTPError) as error:
        urllib.request.urlopen(request)
    assert error.value.code == 405
    assert sender.send(b"x" * (MIB + 1), 0)[0] == 413
    address, sender.address = sender.address, "/bytes/uploads/nothing"
    assert sender.send(b"x", 0)[0] == 404
    sender.address, sender.ticket = address, "none"
    assert sender.send(b"x", 0)[0] == 401


def test_hundreds_of_megabytes_pass_in_constant_memory(program, images):
    piece = some_bytes(16 * MIB)
    operation, sender = begin(program, "large.raw", 320 * MIB)

    def memory():
        return sum(resident(pid) for pid in tree_of(program.process.pid))

    assert sender.send(piece, 0)[0] == 204
    before = most = memory()
    for number in range(1, 20):
        assert sender.send(piece, number * 16 * MIB)[0] == 204
        most = max(most, memory())
    assert program.ended(operation)["state"] == "succeeded"
    assert most - before < 48, f"from {before:.0f} to {most:.0f} MB"
    key = volume(program, "large.raw")["id"]
    request = urllib.request.Request(f"{program.url}/api/v1/volumes/{key}/download")
    request.add_header("Authorization", f"Bearer {program.token}")
    before = most = memory()
    digest, length = hashlib.sha256(), 0
    with urllib.request.urlopen(request, timeout=60) as answer:
        assert answer.headers["Content-Length"] == str(320 * MIB)
        while data := answer.read(MIB):
            digest.update(data)
            length += len(data)
            if length % (32 * MIB) == 0:
                most = max(most, memory())
    assert length == 320 * MIB
    assert digest.hexdigest() == hashlib.sha256(piece * 20).hexdigest()
    assert most - before < 48, f"from {before:.0f} to {most:.0f} MB"
    (images.images / "large.raw").unlink()


def fetch(program, key, **headers):
    request = urllib.request.Request(f"{program.url}/api/v1/volumes/{key}/download", headers=headers)
    request.add_header("Authorization", f"Bearer {program.token}")
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read()


def test_a_download_goes_on_from_where_it_broke_and_is_recorded(program, images):
    data = some_bytes(3 * MIB + 17)
    operation, sender = begin(program, "whole.raw", len(data))
    assert sender.send(data, 0)[0] == 204
    assert program.ended(operation)["state"] == "succeeded"
    key = volume(program, "whole.raw")["id"]
    status, headers, body = fetch(program, key)
    assert (status, body) == (200, data)
    assert 'filename="whole.raw"' in headers["Content-Disposition"]
    status, more, body = fetch(program, key, **{"Range": f"bytes={MIB}-", "If-Range": headers["ETag"]})
    assert (status, body) == (206, data[MIB:])
    assert more["Content-Range"] == f"bytes {MIB}-{len(data) - 1}/{len(data)}"
    assert fetch(program, key, Range="bytes=5-9")[::2] == (206, data[5:10])
    assert fetch(program, key, **{"Range": "bytes=5-9", "If-Range": '"another"'})[::2] == (200, data)
    assert fetch(program, key, Range=f"bytes={len(data)}-")[0] == 416

    def recorded():
        with sqlite3.connect(f"file:{program.folder}/kvmdash.sqlite3?mode=ro", uri=True) as database:
            rows = database.execute("SELECT result FROM hosts_auditentry WHERE action = 'volume.download'")
            return {row[0] for row in rows} >= {"begun", "done"}

    wait_until(recorded, 20, "the download to be recorded")


def test_what_is_not_whole_cannot_be_fetched(program):
    _operation, sender = begin(program, "half.raw", 2 * MIB)
    assert sender.send(b"x" * MIB, 0)[0] == 204
    status, _headers, body = fetch(program, volume(program, "half.raw")["id"])
    assert status == 409 and b"still being filled" in body


@pytest.mark.browser
def test_a_file_is_uploaded_through_the_page_and_goes_on_after_a_reload(program, images, tmp_path):
    file = tmp_path / "debian-13.iso"
    data = some_bytes(40 * MIB, 9)
    file.write_bytes(data)
    pool = program.get("pools?host=one")["items"][0]
    with chromium() as browser:
        page = sign_in(browser, program)
        page.goto(f"/hosts/storage/one/{pool['uuid']}/")
        page.click("text=Upload")
        page.set_input_files("#upload-file", str(file))
        wait_until(lambda: page.input_value("#upload-name") == "debian-13.iso", what="the file's name in the form")
        page.fill("#upload-checksum", hashlib.sha256(data).hexdigest())
        page.context.route("**/bytes/uploads/*", lambda route: route.abort())
        page.click("#upload button[type=submit]")
        page.wait_for_selector("text=Going on by itself")
        page.on("dialog", lambda dialog: dialog.accept())
        page.context.unroute("**/bytes/uploads/*")
        page.reload()
        page.wait_for_selector("[data-waiting]")
        page.set_input_files("#upload-file", str(file))
        page.wait_for_selector("#upload button[type=submit]:has-text('Go on')")
        page.click("#upload button[type=submit]")
        page.wait_for_selector("text=Uploaded and checked", timeout=30000)
        assert not [one for one in page.complaints if "ERR_FAILED" not in one], page.complaints
        page.click("[data-upload-back]")
        page.wait_for_selector("text=debian-13.iso")
    assert images.content("debian-13.iso") == data
