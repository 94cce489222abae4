"""Volumes fetched from a URL on a real libvirtd: resumed, checked, and never from where they must not come."""

from __future__ import annotations

import hashlib
import ipaddress
import socket
from typing import Any

import pytest

from hosts.models import AuditEntry, Filling, Operation, OperationSecret, StoragePool
from hosts.operations import queue
from hosts.operations.kind import InvalidArguments
from hosts.operations.volume_fetch import file_of
from hosts.tests.images_host import some_bytes
from hosts.tests.storage_making import make_host, make_pool
from hosts.tests.test_uploads import daemon, images, operator  # noqa: F401
from hosts.tests.web_server import WebServer
from hosts.transfer import checksums, guard
from hosts.transfer.source import checked

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "metrics"])
MIB = 1 << 20


@pytest.fixture
def web(settings):
    settings.FETCH_FROM = ["127.0.0.1"]
    server = WebServer()
    server.files["/debian.iso"] = some_bytes(3 * MIB + 5)
    yield server
    server.close()


@pytest.fixture
def ask(images, operator, eventually):  # noqa: F811
    def fetch(url: str, **arguments: Any) -> Operation:
        pool = StoragePool.objects.get(name="images")
        asked = queue.enqueue("volume-fetch", pool, {"url": url, **arguments}, operator)
        rows = Operation.objects.filter(pk=asked.pk).exclude(state__in=Operation.ACTIVE)
        return eventually(rows.first, 60, "the fetch to end")

    return fetch


def test_a_file_is_fetched_under_its_name_and_checked(images, web, ask):  # noqa: F811
    data = web.files["/debian.iso"]
    done = ask(web.url("/debian.iso"), checksum=hashlib.sha512(data).hexdigest())
    assert done.state == "succeeded", done.error
    assert images.content("debian.iso") == data
    assert done.result["checksum"] == f"sha512:{hashlib.sha512(data).hexdigest()}"
    assert not Filling.objects.filter(partial=True).exists()


def test_a_server_that_breaks_off_is_asked_for_the_rest(images, web, ask):  # noqa: F811
    data = web.files["/debian.iso"]
    web.breaks = [MIB, 500_000]
    done = ask(web.url("/debian.iso"), checksum=hashlib.sha256(data).hexdigest())
    assert done.state == "succeeded" and images.content("debian.iso") == data
    assert [wanted for _path, wanted in web.asked] == ["", f"bytes={MIB}-", f"bytes={MIB + 500_000}-"]
    assert done.log.filter(text__contains="asked again").count() == 2


def test_a_server_without_ranges_sends_it_again_and_the_beginning_is_passed_over(images, web, ask):  # noqa: F811
    web.knows_ranges, web.breaks = False, [MIB]
    done = ask(web.url("/debian.iso"))
    assert done.state == "succeeded" and images.content("debian.iso") == web.files["/debian.iso"]


def test_a_file_that_is_another_by_now_is_not_put_together_with_the_first(images, web, ask, eventually):  # noqa: F811
    web.gate.clear()
    web.gate_at, web.breaks = MIB, [MIB]

    def change():
        if web.asked:
            web.version, web.files["/debian.iso"] = '"two"', some_bytes(3 * MIB + 5, 8)
            web.gate.set()
        return bool(web.asked)

    import threading

    changer = threading.Thread(target=eventually, args=(change,))
    changer.start()
    done = ask(web.url("/debian.iso"))
    changer.join()
    assert done.state == "failed" and "changed meanwhile" in done.error["message"]
    assert not (images.images / "debian.iso").exists()


def test_what_does_not_fit_its_checksum_is_deleted(images, web, ask):  # noqa: F811
    done = ask(web.url("/debian.iso"), checksum="0" * 64)
    assert done.state == "failed" and "checksum is wrong" in done.error["message"]
    assert not (images.images / "debian.iso").exists()


def test_the_checksum_is_looked_up_in_a_list(images, web, ask):  # noqa: F811
    digest = hashlib.sha256(web.files["/debian.iso"]).hexdigest()
    web.files["/SHA256SUMS"] = f"{'1' * 64}  other.iso\n{digest} *debian.iso\n".encode()
    assert ask(web.url("/debian.iso"), checksum=web.url("/SHA256SUMS")).state == "succeeded"
    web.files["/SHA256SUMS"] = f"{'1' * 64}  other.iso\n".encode()
    done = ask(web.url("/debian.iso"), name="second.iso", checksum=web.url("/SHA256SUMS"))
    assert done.state == "refused" and "does not name debian.iso" in done.error["message"]


def test_what_cannot_be_had_is_refused_before_anything_is_made(images, web, ask):  # noqa: F811
    assert "404" in ask(web.url("/nothing.iso")).error["message"]
    web.says_length = False
    assert "how large" in ask(web.url("/debian.iso")).error["message"]
    assert list(images.images.iterdir()) == []


def test_giving_up_deletes_what_had_come(images, web, operator, eventually):  # noqa: F811
    web.gate.clear()
    web.gate_at = MIB
    pool = StoragePool.objects.get(name="images")
    asked = queue.enqueue("volume-fetch", pool, {"url": web.url("/debian.iso")}, operator)
    eventually(lambda: Filling.objects.get(operation=asked).state == "open")
    queue.cancel(asked, operator)
    web.gate.set()
    eventually(lambda: not Operation.objects.get(pk=asked.pk).is_active)
    # What was all there before it was heard stays.
    if Operation.objects.get(pk=asked.pk).state == "cancelled":
        assert not (images.images / "debian.iso").exists()


def test_keys_in_an_address_are_kept_out_of_the_records(images, web, ask, eventually):  # noqa: F811
    done = ask(web.url("/debian.iso?signature=top-secret"))
    assert done.state == "succeeded" and ("/debian.iso?signature=top-secret", "") in web.asked
    assert done.arguments["url"].endswith("/debian.iso?…")
    # It goes right after the end is written.
    eventually(lambda: not OperationSecret.objects.exists())
    written = [str(entry.detail) for entry in AuditEntry.objects.all()] + [line.text for line in done.log.all()]
    assert "top-secret" not in " ".join([*written, str(done.progress), str(done.result), done.virsh])


def test_a_process_that_takes_over_goes_on_at_what_was_confirmed(images, web, roles, operator, eventually):  # noqa: F811
    from hosts.operations.kind import registry
    from hosts.operations.task import Hold, Task

    data = web.files["/debian.iso"]
    pool = StoragePool.objects.get(name="images")
    _supervisor, runner = roles
    runner.stop()
    asked = queue.enqueue(
        "volume-fetch", pool, {"url": web.url("/debian.iso"), "checksum": hashlib.sha256(data).hexdigest()}, operator
    )
    # As another process left it: the volume made, the first megabyte confirmed, more of it written and not.
    Operation.objects.filter(pk=asked.pk).update(state="running", owner="second")
    asked.refresh_from_db()
    made = "<volume><name>debian.iso</name><capacity>{}</capacity><target><format type='raw'/></target></volume>"
    images.pool().createXML(made.format(len(data)))
    with (images.images / "debian.iso").open("r+b") as handle:
        handle.write(data[:MIB] + b"?" * 1000)
    columns = {"state": "open", "size": len(data), "offset": MIB + 1000, "confirmed": MIB, "partial": True}
    Filling.objects.filter(operation=asked).update(holder="first", version=web.version, **columns)
    kind = registry["volume-fetch"]
    task = Task(asked, kind, runner.connections.get, Hold())
    result = kind.recover(task)
    task.close()
    assert images.content("debian.iso") == data
    assert result["checksum"] == f"sha256:{hashlib.sha256(data).hexdigest()}"
    assert web.asked == [("/debian.iso", f"bytes={MIB}-")]


# --- where from


PRIVATE = [
    "127.0.0.1", "10.0.0.1", "172.16.5.5", "192.168.1.1", "169.254.169.254", "0.0.0.0", "100.64.0.1", "224.0.0.1",
    "255.255.255.255", "::1", "::", "fe80::1", "fc00::1", "fd12::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1",
    "64:ff9b::7f00:1", "64:ff9b::a00:1", "2002:7f00:1::", "2002:a9fe:a9fe::", "fec0::1", "2001:db8::1", "192.0.2.1", "240.0.0.1",
]  # fmt: skip


@pytest.mark.parametrize("text", PRIVATE)
def test_addresses_that_are_not_on_the_public_internet(text, settings):
    assert not guard.is_allowed("any.example", ipaddress.ip_address(text))


@pytest.mark.parametrize("text", ["8.8.8.8", "151.101.2.132", "2a04:4e42::644", "64:ff9b::808:808"])
def test_addresses_that_are(text):
    assert guard.is_allowed("any.example", ipaddress.ip_address(text))


def test_the_settings_allow_names_and_networks(settings):
    settings.FETCH_FROM = ["Mirror.lan", "10.1.0.0/16"]
    inside, outside = ipaddress.ip_address("10.1.2.3"), ipaddress.ip_address("10.2.2.3")
    assert guard.is_allowed("x", inside) and not guard.is_allowed("x", outside)
    assert guard.is_allowed("mirror.lan.", outside)


def test_a_private_address_is_refused_when_it_is_asked_for(operator):  # noqa: F811
    pool = make_pool(make_host())
    for url in ("http://127.0.0.1/a.iso", "http://[::1]/a.iso", "https://169.254.169.254/latest/a.iso"):
        with pytest.raises(InvalidArguments, match="private"):
            queue.enqueue("volume-fetch", pool, {"url": url}, operator)


def test_a_name_that_resolves_to_a_private_address_is_refused(images, web, ask, settings):  # noqa: F811
    settings.FETCH_FROM = []
    done = ask(web.url("/debian.iso", "localhost"))
    assert done.state == "refused" and "KVMDASH_FETCH_FROM" in done.error["message"]
    assert web.asked == [], "nothing was asked of it"


def test_a_redirect_to_a_private_address_is_refused(images, web, ask, settings):  # noqa: F811
    other = WebServer()
    other.files["/secret"] = b"of the inside"
    settings.FETCH_FROM = ["localhost"]
    try:
        for target in (other.url("/secret"), "http://169.254.169.254/latest", "file:///etc/passwd", "gopher://x/"):
            web.sends_to["/sends-on"] = target
            done = ask(web.url("/sends-on", "localhost"), name="a.iso")
            assert done.state == "refused", (target, done.error)
        assert other.asked == []
        settings.FETCH_FROM = ["localhost", "127.0.0.1"]
        web.sends_to["/sends-on"] = other.url("/secret")
        assert ask(web.url("/sends-on", "localhost"), name="a.iso").state == "succeeded"
    finally:
        other.close()


@pytest.mark.parametrize("host", ["localhost", "0", "2130706433", "127.1", "0x7f.1"])
def test_other_spellings_of_loopback_are_loopback(host):
    with pytest.raises(guard.Forbidden):
        guard.addresses_of(host, 80)


def test_redirects_end(images, web, ask):  # noqa: F811
    web.sends_to["/round.iso"] = web.url("/round.iso")
    assert "on and on" in ask(web.url("/round.iso")).error["message"]


def test_the_connection_goes_to_the_address_that_was_looked_at(web, settings, monkeypatch):
    """A name server that says something public first and something private the second time (DNS rebinding)."""
    answers = [["127.0.0.1"], ["10.0.0.1"]]

    def resolve(host: str, port: int, *_: Any, **__: Any) -> Any:
        if host != "turns.example":
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, port))]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in answers.pop(0)]

    monkeypatch.setattr(guard.socket, "getaddrinfo", resolve)
    connection = guard.GuardedConnection("turns.example", web.server.server_port, timeout=5)
    connection.connect()
    assert connection.sock.getpeername()[0] == "127.0.0.1"
    connection.close()
    with pytest.raises(guard.Forbidden):
        guard.GuardedConnection("turns.example", web.server.server_port, timeout=5).connect()


@pytest.mark.parametrize(
    "url",
    [
        "ftp://x/a", "file:///etc/passwd", "http://", "http:///a", "http://user:pw@x/a", "http://x/a b", "http://x/\r\nHost: y",
        "x",
        "http://x:99999/a", "http://x:0/", "https://x/" + "a" * 3000, "http://ünï.example/a",
        "http://[::ffff:127.0.0.1]/",
    ],
)  # fmt: skip
def test_addresses_that_are_none_are_refused(url):
    with pytest.raises(ValueError):
        checked(url)


def test_names_of_files_in_addresses():
    assert file_of("https://x/a/debian-13.iso?x=1#y") == "debian-13.iso"
    assert [file_of(f"https://x/{path}") for path in ("", "a/..", "%2e%2e%2fpasswd", "a%0ab")] == ["", "", "passwd", ""]


def test_lists_of_checksums_are_understood():
    one, two = "a" * 64, "b" * 128
    text = f"# comment\n{one}  ./dir/x.iso\n{one} *x.iso\nSHA512 (y.iso) = {two}\n"
    assert checksums.listed(text, "x.iso") == f"sha256:{one}"
    assert checksums.listed(text, "y.iso") == f"sha512:{two}"
    assert checksums.listed(f"{one}\n", "any") == f"sha256:{one}"
    for wrong in ("abc", "md5:" + "a" * 32, "z" * 64, "sha256:" + two):
        with pytest.raises(ValueError):
            checksums.wanted(wrong)
