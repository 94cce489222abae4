"""The history of definitions: who changed what, whoever it was; on libvirt's test driver."""

import uuid
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from hosts.audit import Actor
from hosts.hypervisor.records import GuestRecord
from hosts.models import Operation
from vms import history
from vms.inventory import guests_seen
from vms.models import DefinitionVersion, Sighting, VirtualMachine
from vms.tests.making import make_host
from vms.tests.test_mirror import there  # noqa: F401
from vms.tests.test_operations import do

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "metrics"])
TEXT = "<domain type='test'><name>g</name><uuid>{uuid}</uuid><title>{title}</title>{more}</domain>"


@pytest.fixture
def guest(there, eventually):  # noqa: F811
    identity = there.define("guest")
    return eventually(lambda: VirtualMachine.objects.filter(uuid=identity).first())


def versions(vm):
    return list(history.versions_of(vm.pk))


def record(number, title="", live="", persistent=True, more=""):
    text = TEXT.format(uuid=uuid.UUID(int=number), title=title, more=more)
    return GuestRecord(
        uuid=str(uuid.UUID(int=number)), name="g", id=-1, state="shutoff", reason="", persistent=persistent, autostart=False,
        managed_save=False, live_definition=live or text, inactive_definition=text if persistent else "",
    )  # fmt: skip


def test_what_virsh_edits_is_in_the_history_without_a_name(there, guest, eventually):  # noqa: F811
    assert [version.actor_name for version in versions(guest)] == [""]
    there.raw.defineXML(there.domain(str(guest.pk)).XMLDesc(0).replace("65536", "131072"))
    newest = eventually(lambda: len(versions(guest)) == 2 and versions(guest)[0])
    assert newest.actor_name == "" and newest.operation is None and newest.host_name == "one"
    assert "131072" in newest.text and ["memory", "65536", "131072"] in newest.changes
    assert history.words(newest.changes[0]) == "memory: 64.0 MiB → 128.0 MiB"
    assert Sighting.objects.get(vm=guest).version == newest


def test_what_is_changed_here_is_in_the_history_with_who_and_the_operation(guest, people, eventually):
    ended = do(eventually, "set-metadata", guest, Actor(people["operator"]), title="Shop")
    newest = eventually(lambda: len(versions(guest)) == 2 and versions(guest)[0])
    assert (newest.actor, newest.actor_name, newest.operation) == (people["operator"], "operator", ended)
    assert history.words(newest.changes[0]) == "title: added (Shop)"


def test_starting_and_stopping_makes_no_version(there, guest, people, eventually):  # noqa: F811
    actor = Actor(people["operator"])
    for kind, state in (("start", "running"), ("destroy", "shutoff")):
        do(eventually, kind, guest, actor)
        eventually(lambda state=state: VirtualMachine.objects.filter(pk=guest.pk, power_state=state).exists())
    there.raw.defineXML(there.domain(str(guest.pk)).XMLDesc(0).replace("65536", "131072"))
    newest = eventually(lambda: len(versions(guest)) == 2 and versions(guest)[0])
    assert newest.actor_name == "", "an operation that changes no definition was named for one"


def test_other_letters_of_the_same_meaning_make_no_version(people):
    host = make_host()
    guests_seen(host.pk, [record(1, "a")], complete=True)
    same = record(1, "a", more="<!-- nothing -->\n").inactive_definition.replace("'test'", '"test"')
    again = GuestRecord(
        **{**{name: getattr(record(1), name) for name in GuestRecord.__slots__}, "inactive_definition": same}
    )
    guests_seen(host.pk, [again], complete=True)
    assert Sighting.objects.get().inactive_definition == same
    assert DefinitionVersion.objects.count() == 1


def test_a_definition_that_comes_back_is_a_version_again(people):
    host = make_host()
    for title in ("a", "b", "a"):
        guests_seen(host.pk, [record(1, title)], complete=True)
    assert [version.changes[0][1:] for version in history.versions_of(uuid.UUID(int=1))[:2]] == [["b", "a"], ["a", "b"]]


def test_a_guest_that_moves_to_another_host_brings_its_version_along(people):
    one, other = make_host("one"), make_host("two")
    guests_seen(one.pk, [record(1, "a")], complete=True)
    guests_seen(other.pk, [record(1, "a")], complete=True)
    assert DefinitionVersion.objects.count() == 1
    assert {sighting.version_id for sighting in Sighting.objects.all()} == {DefinitionVersion.objects.get().pk}


def test_of_a_transient_guest_the_live_definition_counts_without_what_belongs_to_a_run(people):
    host = make_host()
    live = TEXT.replace("<domain", "<domain id='{id}'").replace("{more}", "<devices>{more}</devices>")
    for run, title, more in (
        (1, "a", "<console type='pty' tty='/dev/pts/1'><source path='/dev/pts/1'/><alias name='console0'/></console>"),
        (2, "a", "<console type='pty' tty='/dev/pts/7'><source path='/dev/pts/7'/><alias name='console1'/></console>"),
        (2, "b", "<console type='pty' tty='/dev/pts/7'><source path='/dev/pts/7'/><alias name='console1'/></console>"),
    ):
        text = live.format(id=run, uuid=uuid.UUID(int=1), title=title, more=more)
        guests_seen(host.pk, [record(1, live=text, persistent=False)], complete=True)
    newest, first = history.versions_of(uuid.UUID(int=1))
    assert (newest.kind, newest.changes) == ("live", [["title", "a", "b"]]) and "pts/1" in first.text


def test_only_the_newest_are_kept_and_those_that_are_in_use(people, settings):
    settings.DEFINITION_VERSIONS = 3
    host, other = make_host("one"), make_host("two")
    for left in (other, host):
        guests_seen(left.pk, [record(1, "left behind")], complete=True)
    for number in range(6):
        guests_seen(host.pk, [record(1, f"t{number}")], complete=True)
    kept = [version.text.partition("<title>")[2].partition("<")[0] for version in history.versions_of(uuid.UUID(int=1))]
    assert kept == ["t5", "t4", "t3", "left behind"]


def test_many_guests_cost_as_many_statements_as_few(people):
    counts = {}
    for name, size in (("few", 2), ("many", 20)):
        host = make_host(name)
        base = 1000 * size
        for round_, title in enumerate(("a", "b")):
            with CaptureQueriesContext(connection) as queries:
                guests_seen(host.pk, [record(base + n, title) for n in range(size)], complete=True)
            counts[name, round_] = len(queries)
    assert counts["few", 0] == counts["many", 0]
    assert counts["few", 1] == counts["many", 1]
    assert DefinitionVersion.objects.count() == 44


@pytest.mark.parametrize(
    ("ended_ago", "made", "named"),
    [(None, None, True), (2, None, True), (60, None, False), (2, "other", False), (2, "same", True)],
)
def test_an_operation_is_named_only_for_what_can_be_its_doing(people, ended_ago, made, named):
    host = make_host()
    guests_seen(host.pk, [record(1, "a")], complete=True)
    now = timezone.now()
    ended = None if ended_ago is None else now - timedelta(seconds=ended_ago)
    digest = {"same": history.meaning("inactive", record(1, "b").inactive_definition), "other": "0" * 64}.get(
        made or ""
    )
    Operation.objects.create(
        kind="set-metadata", subject_uuid=uuid.UUID(int=1), host=host, actor=people["operator"], actor_name="operator",
        started_at=now, state="running" if ended_ago is None else "succeeded", finished_at=ended,
        result={"digest": digest} if digest else {},
    )  # fmt: skip
    DefinitionVersion.objects.update(seen_at=now - timedelta(seconds=120))
    guests_seen(host.pk, [record(1, "b")], complete=True)
    newest = history.versions_of(uuid.UUID(int=1)).first()
    assert newest.actor_name == ("operator" if named else "")
