"""Operating systems: as osinfo-db has them, from the folder that is installed or a tarball that somebody brought."""

from __future__ import annotations

import io
import tarfile

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from hosts.audit import Actor
from hosts.models import AuditEntry
from hosts.operations.kind import Refused
from vms.creation import databases, osinfo
from vms.models import SystemDatabase
from vms.tests.making import browser

pytestmark = pytest.mark.django_db(databases=["default", "metrics"])
SYSTEM = """<libosinfo><os id="http://example.com/os/{number}"><short-id>new{number}</short-id><name>New OS {number}</name>
<name xml:lang="vi">Mới</name><family>linux</family>{more}</os></libosinfo>"""


def archive(version: str = "20990101", *texts: str, mode: str = "w:xz", folder: str = "osinfo-db-20990101") -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as tar:
        files = {f"{folder}/VERSION": version} | {
            f"{folder}/os/example.com/new-{number}.xml": text for number, text in enumerate(texts)
        }
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text.encode())
            tar.addfile(member, io.BytesIO(text.encode()))
    return out.getvalue()


def a_system(number: int = 1, more: str = "") -> str:
    return SYSTEM.format(number=number, more=more)


@pytest.fixture
def administrator(people):
    return Actor(people["administrator"], "192.0.2.1")


def test_what_is_installed_tells_what_systems_need_and_which_drivers_they_have():
    known = osinfo.installed().systems
    debian, windows, mac = known["debian11"], known["win11"], known["macosx10.7"]
    assert debian.name == "Debian 11" and debian.devices & osinfo.VIRTIO_BLOCK and debian.minimum.memory == 1 << 30
    assert windows.is_windows and windows.firmwares == {"efi": True, "bios": False} and not debian.is_windows
    assert mac.is_macos and not mac.devices & osinfo.VIRTIO_BLOCK


def test_a_newer_one_counts_until_it_is_forgotten_and_both_are_on_record(administrator):
    needs = "<resources arch='all'><minimum><ram>1048576</ram></minimum></resources>"
    databases.bring(archive("20990101", a_system(1, needs)), administrator)
    known = databases.current()
    assert (known.version, list(known.systems)) == ("20990101", ["new1"])
    assert known.systems["new1"].minimum.memory == 1 << 20 and known.systems["new1"].name == "New OS 1"
    databases.bring(archive("20990202", a_system(2)), administrator)
    assert list(databases.current().systems) == ["new2"] and SystemDatabase.objects.count() == 1
    databases.forget(administrator)
    assert "debian11" in databases.current().systems
    assert list(AuditEntry.objects.order_by("id").values_list("action", flat=True)) == [
        "systems.bring", "systems.bring", "systems.forget",
    ]  # fmt: skip


def test_an_older_one_is_refused_and_one_that_grew_older_than_the_package_does_not_count(administrator):
    with pytest.raises(Refused):
        databases.bring(archive("20000101", a_system()), administrator)
    SystemDatabase.objects.create(version="20000101", count=1, data=archive("20000101", a_system()), brought_by="x")
    assert "debian11" in databases.current().systems


@pytest.mark.parametrize(
    "data",
    [
        b"", b"nonsense", archive("20990101"), archive("20990101", "<broken"), archive("20990101", a_system(), mode="w:gz")[:150],
        archive("20990101", a_system(), folder="../../etc"), archive("20990101", "x" * (osinfo.MOST_BYTES + 1)),
        archive("20990101", '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><libosinfo><os id="x">&b;</os></libosinfo>'),
    ],
)  # fmt: skip
def test_what_is_no_osinfo_db_is_refused_and_nothing_changes(people, data):
    file = SimpleUploadedFile("db.tar.xz", data)
    answer = browser(people["administrator"]).post("/vms/systems/", {"archive": file})
    assert answer.status_code == 422 and list(answer.context["form"].errors) == ["archive"]
    assert not SystemDatabase.objects.exists() and b"root:" not in answer.content


def test_it_is_brought_by_the_page_and_offered_for_new_guests(people):
    client = browser(people["administrator"])
    answer = client.post("/vms/systems/", {"archive": SimpleUploadedFile("db", archive("20990101", a_system()))})
    assert answer.status_code == 302
    assert "20990101" in client.get("/vms/systems/").content.decode()
    assert "New OS 1" in client.get("/vms/new/?road=cloud").content.decode()
    client.post("/vms/systems/forget/")
    assert "New OS 1" not in client.get("/vms/new/?road=cloud").content.decode()


def test_those_who_may_not_neither_see_nor_change_it(people):
    SystemDatabase.objects.create(version="20990101", count=1, data=archive("20990101", a_system()), brought_by="x")
    for role in ("viewer", "operator"):
        assert browser(people[role]).get("/vms/systems/").status_code == 403
        assert browser(people[role]).post("/vms/systems/forget/").status_code == 403
    assert SystemDatabase.objects.exists()


DATABASE = "/api/v1/systems/database"
BYTES = "application/octet-stream"


def told(client):
    answer = client.get(DATABASE)
    assert answer.status_code == 200, answer.content
    return answer.json()


def test_it_is_brought_and_forgotten_by_the_api(people):
    client = browser(people["administrator"])
    before = told(client)
    assert (before["brought"], before["brought_at"]) == ("", None) and before["version"] == before["installed"]
    answer = client.put(DATABASE, archive("20990101", a_system(1), a_system(2)), content_type=BYTES)
    assert answer.status_code == 200 and answer.json() == told(client), answer.content
    assert told(client) | {"brought_at": None} == before | {
        "version": "20990101", "count": 2, "brought": "20990101", "brought_by": "administrator",
    }  # fmt: skip
    assert [one["short_id"] for one in client.get("/api/v1/systems").json()] == ["new1", "new2"]
    older = client.put(DATABASE, archive("20000101", a_system()), content_type=BYTES)
    assert older.status_code == 409 and "older" in older.json()["detail"] and told(client)["brought"] == "20990101"
    assert client.delete(DATABASE).status_code == 204 and told(client) == before
    roads = AuditEntry.objects.filter(action__startswith="systems.").order_by("id").values_list("action", "road")
    assert list(roads) == [("systems.bring", "api"), ("systems.forget", "api")]


@pytest.mark.parametrize(
    ("data", "kind", "status"),
    [
        (b"nonsense", BYTES, 409), (archive("20990101", "<broken"), BYTES, 409), (b"{}", "application/json", 415),
        (b"x" * (databases.MOST_BYTES + 1), BYTES, 413), (archive("20990101", a_system()), "application/x-xz", 415),
        (archive("20990101", a_system(), folder="../../etc"), BYTES, 409),
    ],
)  # fmt: skip
def test_what_the_api_is_sent_and_is_none_changes_nothing(people, data, kind, status):
    answer = browser(people["administrator"]).put(DATABASE, data, content_type=kind)
    assert answer.status_code == status and answer.json()["detail"]
    assert not SystemDatabase.objects.exists()


@pytest.mark.parametrize("role", ["viewer", "viewer-watching", "operator", "stranger"])
def test_those_who_may_not_neither_see_nor_change_it_by_the_api(people, role):
    client = browser(people.get(role))
    wanted = 401 if role == "stranger" else 403
    assert client.get(DATABASE).status_code == wanted and client.delete(DATABASE).status_code == wanted
    assert client.put(DATABASE, archive("20990101", a_system()), content_type=BYTES).status_code == wanted
    assert not SystemDatabase.objects.exists() and not AuditEntry.objects.filter(action__startswith="systems.").exists()
