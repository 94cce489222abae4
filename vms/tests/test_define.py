"""Storing definitions through the queue and the runner, on libvirt's test driver: by hand, restored, and refused."""

import pytest

from hosts.audit import Actor
from hosts.models import AuditEntry, Operation, OperationLog
from hosts.operations import queue
from hosts.operations.kind import InvalidArguments, Refused, get
from vms import history
from vms.definition import secrets
from vms.models import DefinitionVersion, TypedSecrets, VirtualMachine
from vms.tests.test_mirror import there  # noqa: F401
from vms.tests.test_operations import do

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "metrics"])
SECURE_INACTIVE = 3
SCREEN = "<graphics type='vnc' port='-1' autoport='yes' passwd='old-secret'/>"


@pytest.fixture
def admin(people):
    return Actor(people["administrator"], "192.0.2.1")


@pytest.fixture
def guest(there, eventually):  # noqa: F811
    identity = there.define("guest")
    text = there.domain(identity).XMLDesc(0).replace("</devices>", SCREEN + "</devices>")
    there.raw.defineXML(text)
    return eventually(lambda: VirtualMachine.objects.filter(uuid=identity, graphics__0__type="vnc").first())


def now(vm):
    """What an editor begins with: the text and its digest."""
    sighting = history.sighting_of(VirtualMachine.objects.get(pk=vm.pk))
    return sighting.inactive_definition, history.digest_now(sighting)


def secure(there, vm):  # noqa: F811
    return there.domain(str(vm.pk)).XMLDesc(SECURE_INACTIVE)


def define(eventually, vm, admin, text, base, **more):
    return do(eventually, "define", vm, admin, definition=text, base=base, **more)


def everything_kept():
    """All that rows say, as one text."""
    operations = [f"{o.arguments} {o.virsh} {o.result} {o.error} {o.progress}" for o in Operation.objects.all()]
    lines = [line.text for line in OperationLog.objects.all()]
    rows = [f"{v.text} {v.changes}" for v in DefinitionVersion.objects.all()]
    return "\n".join([*operations, *lines, *rows, *(str(entry.__dict__) for entry in AuditEntry.objects.all())])


def test_an_edit_is_stored_seen_and_told_and_the_password_stays(there, guest, admin, eventually):  # noqa: F811
    text, base = now(guest)
    assert "old-secret" not in text
    ended = define(eventually, guest, admin, text.replace("65536", "131072"), base)
    assert ended.state == "succeeded", ended.error
    assert "passwd='old-secret'" in secure(there, guest) and "131072" in secure(there, guest)
    assert "lost" not in ended.result and ended.result["changes"] == 2
    assert ended.virsh == "virsh define guest.xml --validate"
    assert "memory: 64.0 MiB → 128.0 MiB" in ended.log.values_list("text", flat=True)
    newest = eventually(lambda: history.versions_of(guest.pk).filter(digest=ended.result["digest"]).first())
    assert (newest.actor_name, newest.operation) == ("administrator", ended)
    assert "old-secret" not in everything_kept()


def test_a_password_that_is_typed_is_set_and_kept_nowhere(there, guest, admin, eventually):  # noqa: F811
    text, base = now(guest)
    typed = text.replace("<graphics type='vnc'", "<graphics type='vnc' passwd='new-secret'")
    operation = queue.enqueue("define", guest, {"definition": typed, "base": base}, admin)
    assert "new-secret" not in str(operation.arguments)
    ended = eventually(lambda: Operation.objects.filter(pk=operation.pk, state="succeeded").first())
    assert "passwd='new-secret'" in secure(there, guest)
    eventually(lambda: not TypedSecrets.objects.exists())
    assert "new-secret" not in everything_kept() and ended.result["changes"] == 0


def test_while_it_waits_a_typed_password_is_stored_encrypted_and_goes_with_the_operation(there, guest, admin, roles):  # noqa: F811
    roles[1].stop()
    text, base = now(guest)
    typed = text.replace("<graphics type='vnc'", "<graphics type='vnc' passwd='new-secret'")
    operation = queue.enqueue("define", guest, {"definition": typed, "base": base}, admin)
    row = TypedSecrets.objects.get(operation=operation)
    assert "new-secret" in row.sealed.open() and "new-secret" not in row.sealed.token
    assert "new-secret" not in everything_kept()
    queue.cancel(operation, admin)
    assert not TypedSecrets.objects.exists()


def test_passwords_are_taken_away_when_that_is_asked_for(there, guest, admin, eventually):  # noqa: F811
    text, base = now(guest)
    assert define(eventually, guest, admin, text, base, keep_secrets=False).state == "succeeded"
    assert "passwd" not in secure(there, guest)


def test_a_version_of_the_history_is_restored_and_the_password_stays(there, guest, admin, eventually):  # noqa: F811
    old = history.sighting_of(guest).version
    there.raw.defineXML(secure(there, guest).replace("65536", "131072"))
    eventually(lambda: "131072" in now(guest)[0])
    ended = do(eventually, "define", guest, admin, version=old.pk, base=now(guest)[1])
    assert ended.state == "succeeded", ended.error
    assert "65536" in secure(there, guest) and "old-secret" in secure(there, guest)
    newest = eventually(lambda: history.versions_of(guest.pk).filter(operation=ended).first())
    assert newest.digest == history.digest_of(old) and newest.pk != old.pk


def test_of_two_editors_the_second_is_refused_with_what_the_first_changed(there, guest, admin, eventually):  # noqa: F811
    text, base = now(guest)
    assert define(eventually, guest, admin, text.replace("65536", "131072"), base).state == "succeeded"
    eventually(lambda: now(guest)[1] != base)
    guest.refresh_from_db()
    with pytest.raises(Refused, match=r"memory: 64\.0 MiB → 128\.0 MiB"):
        queue.enqueue("define", guest, {"definition": text.replace("65536", "99999"), "base": base}, admin)
    assert "131072" in secure(there, guest)


def test_what_was_changed_but_not_seen_yet_is_not_overwritten_either(there, guest, admin, eventually, roles):  # noqa: F811
    text, base = now(guest)
    roles[0].stop()  # Nobody looks at the host any more.
    there.raw.defineXML(secure(there, guest).replace("65536", "131072"))
    ended = define(eventually, guest, admin, text.replace("65536", "99999"), base)
    assert ended.state == "refused" and "memory: 64.0 MiB → 128.0 MiB" in ended.error["message"]
    assert any('+  <memory unit="KiB">131072' in line for line in ended.log.values_list("text", flat=True))
    assert "131072" in secure(there, guest) and "99999" not in secure(there, guest)


def test_what_libvirt_does_not_know_is_refused_by_its_schema_or_told_as_dropped(there, guest, admin, eventually):  # noqa: F811
    text, base = now(guest)
    text = text.replace("</devices>", "<teleporter speed='9'/></devices>")
    ended = define(eventually, guest, admin, text, base)
    assert ended.state == "failed" and "schema" in ended.error["message"]
    ended = define(eventually, guest, admin, text, base, check_schema=False)
    assert ended.state == "succeeded"
    assert ended.result["lost"] == [["devices/teleporter", '<teleporter speed="9"/>']]
    assert any("dropped devices/teleporter" in line.text and line.level == "warning" for line in ended.log.all())


def test_a_guest_is_renamed_by_its_definition_only_while_it_is_off(there, guest, admin, eventually):  # noqa: F811
    text, base = now(guest)
    renamed = text.replace("<name>guest</name>", "<name>other</name>")
    there.domain(str(guest.pk)).create()
    eventually(lambda: VirtualMachine.objects.filter(pk=guest.pk, power_state="running").exists())
    guest.refresh_from_db()
    with pytest.raises(Refused, match="renamed while it is off"):
        queue.enqueue("define", guest, {"definition": renamed, "base": base}, admin)
    there.domain(str(guest.pk)).destroy()
    eventually(lambda: VirtualMachine.objects.filter(pk=guest.pk, power_state="shutoff").exists())
    ended = define(eventually, guest, admin, renamed, base)
    assert ended.state == "succeeded" and ended.result["renamed"] == "other", ended.error
    assert there.domain(str(guest.pk)).name() == "other" and "old-secret" in secure(there, guest)
    assert ended.virsh.splitlines()[0] == "virsh domrename guest other"


def test_a_definition_that_is_not_taken_leaves_the_name_as_it_was(there, guest, admin, eventually):  # noqa: F811
    text, base = now(guest)
    broken = text.replace("<name>guest</name>", "<name>other</name>").replace("</devices>", "<bogus/></devices>")
    ended = define(eventually, guest, admin, broken, base)
    assert ended.state == "failed"
    assert there.domain(str(guest.pk)).name() == "guest"


def test_another_uuid_is_refused(guest, admin):
    text, base = now(guest)
    for wrong in (text.replace(str(guest.pk), "00000000-0000-0000-0000-000000000001"),
                  text.replace(f"<uuid>{guest.pk}</uuid>", "")):  # fmt: skip
        with pytest.raises(InvalidArguments, match="must keep the guest's UUID"):
            queue.enqueue("define", guest, {"definition": wrong, "base": base}, admin)
    assert not Operation.objects.exists()


BOMB = (
    "<!DOCTYPE d [<!ENTITY a 'x'>"
    + "".join(f"<!ENTITY a{n} '{'&a;' * 9}'>" for n in range(9))
    + "]><domain>&a8;</domain>"
)
HOSTILE = {
    "a bomb": BOMB,
    "an entity": "<!DOCTYPE d [<!ENTITY e SYSTEM 'file:///etc/passwd'>]><domain><name>&e;</name></domain>",
    "2 MB": f"<domain><description>{'x' * 2_000_000}</description></domain>",
    "another root": "<network><name>n</name></network>",
    "a NUL": "<domain><name>a\0b</name></domain>",
    "half a character": "<domain><name>\ud800</name></domain>",
    "not closed": "<domain><name>a</domain>",
    "deep": "<domain>" + "<a>" * 5000 + "</a>" * 5000 + "</domain>",
    "many elements": "<domain>" + "<a/>" * 30_000 + "</domain>",
    "nothing": "",
    "no text": 7,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_definitions_are_refused_before_anything_is_queued(name):
    with pytest.raises(InvalidArguments) as refused:
        get("define").clean({"definition": HOSTILE[name], "base": "0" * 64})
    assert refused.value.field == "definition"


@pytest.mark.parametrize(
    "arguments",
    [
        {}, {"definition": "<domain/>"}, {"base": "0" * 64}, {"definition": "<domain/>", "base": "x"},
        {"version": "x", "base": "0" * 64},
        {"definition": "<domain/>", "version": 1, "base": "0" * 64}, {"version": 1, "base": "0" * 64, "check_schema": "perhaps"},
        {"version": 1, "base": "0" * 64, "colour": "red"}, {"version": 2**80, "base": "0" * 64},
        {"version": True, "base": "0" * 64},
    ],
)  # fmt: skip
def test_arguments_that_make_no_sense_are_refused(arguments):
    with pytest.raises(InvalidArguments):
        get("define").clean(arguments)


def test_what_is_wrong_is_told_with_its_place():
    with pytest.raises(InvalidArguments, match="Line 2, column"):
        get("define").clean({"definition": "<domain>\n<name></nam></domain>", "base": "0" * 64})


def test_it_is_not_asked_of_many(guest, admin):
    with pytest.raises(Refused, match="one at a time"):
        queue.enqueue_many("define", [guest], {"definition": "<domain/>", "base": "0" * 64}, admin)


class Interrupted:
    """A task of an operation whose process died after libvirt had been asked."""

    def __init__(self, operation, connection):
        self.operation, self.arguments, self.uuid, self.connection = (
            operation, operation.arguments, str(operation.subject_uuid), connection,
        )  # fmt: skip


def test_after_a_crash_it_is_found_out_what_was_stored(there, guest, admin, roles):  # noqa: F811
    from hosts.hypervisor.connection import Connection
    from hosts.hypervisor.errors import Failed
    from hosts.hypervisor.records import Target
    from hosts.operations.kind import Uncertain

    roles[1].stop()
    text, base = now(guest)
    wanted = text.replace("65536", "131072").replace("<graphics type='vnc'", "<graphics type='vnc' passwd='new-secret'")
    operation = queue.enqueue("define", guest, {"definition": wanted, "base": base}, admin)
    with Connection.open(Target(there.test_host.uri)) as connection:
        task = Interrupted(operation, connection)
        with pytest.raises(Failed, match="as it was"):
            get("define").recover(task)
        there.raw.defineXML(secure(there, guest).replace("65536", "131072"))
        with pytest.raises(Uncertain):
            get("define").recover(task)  # The password is another.
        there.raw.defineXML(secure(there, guest).replace("old-secret", "new-secret"))
        assert get("define").recover(task)["recovered"] is True
        there.raw.defineXML(secure(there, guest).replace("131072", "99328"))
        with pytest.raises(Uncertain, match="memory"):
            get("define").recover(task)


def test_secrets_are_carried_over_only_to_where_they_were():
    plain = (
        "<domain><devices><graphics type='vnc'/><disk><source name='a'/><target dev='vda'/></disk></devices></domain>"
    )
    whole = (
        "<domain><devices><graphics type='vnc' passwd='p'/><disk><source name='a'><cookies><cookie name='c'>k</cookie></cookies>"
        "</source><target dev='vda'/></disk></devices></domain>"
    )
    assert secrets.carry_over(plain, plain, whole).replace('"', "'") == whole
    typed = plain.replace("type='vnc'", "type='vnc' passwd='mine'")
    assert "'mine'" in secrets.carry_over(typed, plain, whole).replace('"', "'")
    gone = plain.replace("<graphics type='vnc'/>", "")
    assert "passwd" not in secrets.carry_over(gone, plain, whole)
    other = plain.replace("'vda'", "'vdb'").replace(
        "<disk>", "<disk><source name='b'/><target dev='vda'/></disk><disk>", 1
    )
    carried = secrets.carry_over(other, plain, whole)
    assert carried.index("<cookie ") < carried.index('"vda"') < carried.index('"vdb"')
