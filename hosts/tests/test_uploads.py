"""Uploads on a real libvirtd: what arrives, what breaks off and goes on, what is refused, and what is left behind."""

from __future__ import annotations

import base64
import hashlib
import os
from typing import Any

import pytest

from hosts import fillings, notify, storage_selection
from hosts.audit import Actor
from hosts.models import Filling, Host, Operation, StoragePool, StorageVolume
from hosts.operations import queue
from hosts.operations.kind import InvalidArguments, Refused
from hosts.operations.storage_base import NotNow
from hosts.storage_queries import orphans
from hosts.tests.images_host import ImagesHost, Sender, some_bytes
from hosts.tests.storage_making import make_host, make_pool
from hosts.transfer import desk, standing, tickets, writer
from lab.testhosts import libvirtd_path
from vms.console.gateway import Gateway

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "metrics"])
MIB = 1 << 20


def sum_of(data: bytes) -> str:
    return "sha256 " + base64.b64encode(hashlib.sha256(data).digest()).decode()


@pytest.fixture(scope="module")
def daemon():
    if libvirtd_path() is None:
        pytest.skip("libvirtd is not installed")
    host = ImagesHost.create("images")
    host.start()
    yield host
    host.remove()


@pytest.fixture
def images(daemon, roles, eventually):
    daemon.restore()
    Host.objects.create(name="one", uri=daemon.uri)
    notify.changed("hosts-configured")
    eventually(lambda: StoragePool.objects.filter(name="images", active=True).exists(), what="the pool")
    return daemon


@pytest.fixture
def gateway(images):
    made = Gateway(lambda vm: None)
    made.start()
    yield made
    made.stop()


@pytest.fixture
def operator(people) -> Actor:
    return Actor(people["operator"], "192.0.2.1")


@pytest.fixture
def begin(images, gateway, operator, eventually):
    """Ask for an upload and wait until it takes bytes: (operation, sender)."""

    def ask(size: int, name: str = "new.raw", **arguments: Any) -> tuple[Operation, Sender]:
        pool = StoragePool.objects.get(name="images")
        operation = queue.enqueue("volume-upload", pool, {"name": name, "size": size, **arguments}, operator)
        eventually(lambda: Filling.objects.get(operation=operation).state == "open", what="the upload to be open")
        told = standing.of(Filling.objects.select_related("operation").get(operation=operation), operator.user)
        return operation, Sender(gateway.port, told["bytes"], told["ticket"])

    return ask


@pytest.fixture
def ended(eventually):
    def wait(operation: Operation) -> Operation:
        rows = Operation.objects.filter(pk=operation.pk).exclude(state__in=Operation.ACTIVE)
        return eventually(rows.first, what="the upload to end")

    return wait


def test_a_file_arrives_in_pieces_and_is_what_was_sent(images, begin, ended, eventually):
    data = some_bytes(5 * MIB + 123)
    checksum = hashlib.sha256(data).hexdigest()
    operation, sender = begin(len(data), checksum=checksum)
    row = eventually(lambda: StorageVolume.objects.filter(name="new.raw", absent_since=None).first())
    assert "still being filled" in fillings.why_not_whole(row)
    assert not storage_selection.library(StorageVolume.objects.all()).exists()
    assert not orphans(StorageVolume.objects.all()).exists()
    at = 0
    for piece in (data[: 2 * MIB], data[2 * MIB : 4 * MIB], data[4 * MIB :]):
        status, headers, _body = sender.send(piece, at, sum_of(piece))
        at += len(piece)
        assert (status, headers["upload-offset"]) == (204, str(at))
    done = ended(operation)
    assert done.state == "succeeded", done.error
    assert images.content("new.raw") == data
    assert done.result["checksum"] == f"sha256:{checksum}" and done.result["format"] == "raw"
    assert "vol-upload" in done.virsh
    assert fillings.why_not_whole(row) == ""
    assert sender.send(b"more", at)[0] == 410


def test_what_breaks_off_in_the_middle_goes_on_where_it_was(images, begin, ended, eventually):
    data = some_bytes(3 * MIB)
    operation, sender = begin(len(data))
    assert sender.send(data[:MIB], 0, sum_of(data[:MIB]))[0] == 204
    sender.send(data[MIB : MIB + 70_000], MIB, sum_of(data[MIB : 2 * MIB]), length=MIB)
    # A piece with a checksum counts whole or not at all.
    again = eventually(lambda: (found := sender.send(data[MIB:], MIB, sum_of(data[MIB:])))[0] != 423 and found)
    assert again[0] == 204, again
    assert ended(operation).state == "succeeded" and images.content("new.raw") == data


def test_without_a_checksum_what_arrived_counts(images, begin, ended, eventually):
    data = some_bytes(2 * MIB)
    operation, sender = begin(len(data))
    sender.send(data[:300_000], 0, length=len(data))
    filling = Filling.objects.get(operation=operation)

    def arrived():
        filling.refresh_from_db()
        return filling.offset == 300_000

    eventually(arrived, what="what was sent to count")
    wrong = sender.send(data, 0)
    assert wrong[0] == 409 and wrong[1]["upload-offset"] == "300000"
    assert sender.send(data[300_000:], 300_000)[0] == 204
    assert ended(operation).state == "succeeded" and images.content("new.raw") == data


def test_a_piece_that_was_changed_on_the_way_is_sent_again(images, begin, ended):
    data = some_bytes(2 * MIB)
    operation, sender = begin(len(data), checksum=hashlib.sha256(data).hexdigest())
    assert sender.send(data[:MIB], 0, sum_of(data[:MIB]))[0] == 204
    status, headers, _body = sender.send(b"x" * MIB, MIB, sum_of(data[MIB:]))
    assert (status, headers["upload-offset"]) == (460, str(MIB))
    assert sender.send(data[MIB:], MIB, sum_of(data[MIB:]))[0] == 204
    assert ended(operation).state == "succeeded" and images.content("new.raw") == data


def test_what_is_not_what_it_must_be_is_deleted(images, begin, ended):
    data = some_bytes(MIB)
    operation, sender = begin(len(data), checksum=hashlib.sha512(b"another").hexdigest())
    assert sender.send(data, 0)[0] == 204
    done = ended(operation)
    assert done.state == "failed" and "checksum is wrong" in done.error["message"]
    assert not (images.images / "new.raw").exists()
    assert not Filling.objects.filter(partial=True).exists()


def test_pieces_that_come_by_several_gateways_in_turn_arrive(images, gateway, begin, ended):
    data = some_bytes(4 * MIB)
    operation, sender = begin(len(data), checksum=hashlib.sha256(data).hexdigest())
    other = Gateway(lambda vm: None)
    other.start()
    ports = [gateway.port, other.port]
    try:
        at, answers = 0, []
        for turn in range(8):
            sender.port = ports[turn % 2]
            status, headers, _body = sender.send(data[at : at + MIB], at)
            answers.append(status)
            at = int(headers["upload-offset"])
            if at == len(data):
                break
        # The first piece was not confirmed when another took over, and is sent again.
        assert answers == [204, 409, 204, 204, 204, 204]
        assert ended(operation).state == "succeeded" and images.content("new.raw") == data
    finally:
        other.stop()


def test_bytes_that_passed_through_who_is_gone_are_read_again_for_the_checksum(images, gateway, begin, ended):
    data = some_bytes(2 * MIB)
    for name, wanted in (("good.raw", data), ("bad.raw", data[::-1])):
        operation, sender = begin(len(data), name, checksum=hashlib.sha256(wanted).hexdigest())
        assert sender.send(data[:MIB], 0)[0] == 204
        first = Gateway(lambda vm: None)
        gateway.desk.stop()
        first.start()
        try:
            sender.port = first.port
            assert sender.send(data[MIB:], MIB)[0] == 204
            assert ended(operation).state == ("succeeded" if name == "good.raw" else "failed")
        finally:
            first.stop()


def test_giving_up_deletes_what_had_come(images, begin, ended, operator, eventually):
    data = some_bytes(2 * MIB)
    operation, sender = begin(len(data))
    assert sender.send(data[:MIB], 0)[0] == 204
    queue.cancel(operation, operator)
    done = ended(operation)
    assert done.state == "cancelled" and "deleted" in done.error["message"]
    assert not (images.images / "new.raw").exists()
    assert sender.send(data[MIB:], MIB)[0] == 410
    # The mirror may have been reading the pool just then; it looks once more.
    eventually(lambda: not StorageVolume.objects.filter(name="new.raw", absent_since=None).exists())
    begin(len(data))


def test_nobody_waits_for_ever_for_who_does_not_come_back(images, begin, ended, settings):
    settings.UPLOAD_SECONDS = 0.5
    operation, _sender = begin(MIB)
    done = ended(operation)
    assert done.state == "failed" and "Nothing came" in done.error["message"]
    assert not (images.images / "new.raw").exists()


def test_a_pool_that_is_stopped_in_the_middle_is_told_and_it_goes_on_when_it_is_back(
    images, begin, ended, eventually, monkeypatch
):
    monkeypatch.setattr(desk, "IDLE_SECONDS", 0.3)
    data = some_bytes(2 * MIB)
    operation, sender = begin(len(data))
    assert sender.send(data[:MIB], 0)[0] == 204
    filling = Filling.objects.get(operation=operation)
    desk_seen = eventually(
        lambda: Filling.objects.filter(pk=filling.pk, confirmed=MIB).exists(), 20, "it to be confirmed"
    )
    assert desk_seen
    images.pool().destroy()
    status, _headers, body = sender.send(data[MIB:], MIB)
    assert status == 503 and "not active" in body, body
    eventually(operation.log.filter(level="warning", text__contains="not active").exists)
    images.pool().create()
    again = eventually(lambda: (found := sender.send(data[MIB:], MIB))[0] == 204 and found)
    assert again[0] == 204
    assert ended(operation).state == "succeeded" and images.content("new.raw") == data


def test_a_host_that_is_killed_in_the_middle_gets_what_it_had_not_confirmed_again(images, begin, ended, eventually):
    data = some_bytes(3 * MIB)
    operation, sender = begin(len(data))
    assert sender.send(data[:MIB], 0)[0] == 204
    images.kill()
    status, _headers, _body = sender.send(data[MIB:], MIB)
    assert status == 503
    images.start()

    def sent():
        row = Filling.objects.get(operation=operation)
        answer = sender.send(data[row.offset :], row.offset)
        return answer[0] == 204 or None

    eventually(sent, 30, "the upload to go on")
    assert ended(operation).state == "succeeded" and images.content("new.raw") == data


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to make a small file system")
def test_a_pool_that_runs_full_is_told_and_goes_on_when_there_is_room(images, begin, ended, eventually):
    images.pool().destroy()
    images.limit("4m")
    try:
        images.pool().create()
        data = some_bytes(6 * MIB)

        def begun():
            # What the mirror reads of the small pool meanwhile may come in between: then it is refused for lack of room.
            StoragePool.objects.update(active=True, available=1 << 30)
            try:
                return begin(len(data))
            except Refused:
                return None

        operation, sender = eventually(begun, what="the upload to be let in")
        answers = []

        def is_full():
            row = Filling.objects.get(operation=operation)
            answers.append(sender.send(data[row.offset : row.offset + 2 * MIB], row.offset))
            return answers[-1][0] == 507

        eventually(is_full, what="the pool to be full")
        assert "full" in answers[-1][2]
        os.system(f"mount -o remount,size=16m {images.images}")
        at = Filling.objects.get(operation=operation).offset
        while at < len(data):
            status, headers, body = sender.send(data[at:], at)
            assert status == 204, body
            at = int(headers["upload-offset"])
        assert ended(operation).state == "succeeded" and images.content("new.raw") == data
    finally:
        images.pool().destroy()
        images.unlimit()


def test_a_name_that_was_taken_meanwhile_is_left_alone(images, gateway, operator, ended, roles):
    pool = StoragePool.objects.get(name="images")
    (images.images / "new.raw").write_bytes(b"somebody else's")
    images.pool().refresh(0)
    done = ended(queue.enqueue("volume-upload", pool, {"name": "new.raw", "size": MIB}, operator))
    assert done.state == "refused" and "by now" in done.error["message"]
    assert images.content("new.raw") == b"somebody else's"
    assert not Filling.objects.filter(partial=True).exists()


def test_two_cannot_upload_under_one_name(begin, operator):
    begin(MIB)
    with pytest.raises(Refused, match=r"made or changed|has a volume"):
        queue.enqueue(
            "volume-upload", StoragePool.objects.get(name="images"), {"name": "new.raw", "size": MIB}, operator
        )


@pytest.mark.parametrize(
    "name", ["../etc/passwd", "a\nb", "x" * 300, "ä" * 150, "-rf", ".hidden", "a/b", "a\\b", " a", "\u202egnp.iso", ""]
)
def test_hostile_names_are_refused(operator, name):
    pool = make_pool(make_host())
    with pytest.raises((InvalidArguments, NotNow)):
        queue.enqueue("volume-upload", pool, {"name": name, "size": MIB}, operator)
    assert not Operation.objects.filter(kind="volume-upload").exists()


def test_more_than_there_is_room_for_is_refused(operator):
    with pytest.raises(NotNow, match="free"):
        queue.enqueue("volume-upload", make_pool(make_host()), {"name": "n", "size": 1 << 59}, operator)


def test_tickets_are_for_one_upload_and_end_with_the_right(images, begin, people, operator):
    operation, sender = begin(MIB)
    filling = Filling.objects.get(operation=operation)
    good = sender.ticket
    sender.ticket = good[:-3] + "abc"
    assert sender.send(b"x" * 10, 0)[0] == 401
    sender.ticket = tickets.for_download(operator.user, 1)
    assert sender.send(b"x" * 10, 0)[0] == 401
    sender.ticket = tickets.for_upload(operator.user, operation.pk)
    assert sender.send(b"x" * 10, 0)[0] == 403
    sender.ticket = tickets.for_upload(people["viewer"], filling.pk)
    assert sender.send(b"x" * 10, 0)[0] == 403
    sender.ticket = good
    type(operator.user).objects.filter(pk=operator.user.pk).update(is_active=False)
    assert sender.send(b"x" * 10, 0)[0] == 403
    assert not standing.may_send(people["viewer"], filling)


def test_long_uploads_have_the_host_confirm_them_on_the_way(images, begin, ended, monkeypatch):
    monkeypatch.setattr(writer, "SECTION", MIB)
    monkeypatch.setattr(desk, "IDLE_SECONDS", 1000)
    data = some_bytes(3 * MIB)
    operation, sender = begin(len(data))
    assert sender.send(data[: 2 * MIB + 5], 0)[0] == 204
    row = Filling.objects.get(operation=operation)
    assert row.offset == 2 * MIB + 5 and MIB <= row.confirmed < row.offset
    assert sender.send(data[2 * MIB + 5 :], 2 * MIB + 5)[0] == 204
    assert ended(operation).state == "succeeded" and images.content("new.raw") == data
