"""Text consoles: many look, one writes or all, what was written before is there, and the guest is followed."""

from __future__ import annotations

import pytest

from conftest import wait_until
from hosts.hypervisor import errors
from hosts.models import AuditEntry
from hosts.operations.kind import Refused
from vms.console.access import open_console
from vms.console.serial import journal, line, owners, wire
from vms.console.serial.scrollback import KEPT_BYTES, Scrollback
from vms.models import ConsoleSession, SerialLine, SerialLog, VirtualMachine
from vms.tests.making import make_host


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(line, "LOOK_SECONDS", 0.02)
    monkeypatch.setattr(line, "HELD_SECONDS", 0.05)
    monkeypatch.setattr(line, "JOURNAL_SECONDS", 0.02)
    monkeypatch.setattr(line, "LINGER_SECONDS", 0.2)


def opened(bench, count: int = 1):
    """The streams, once so many were opened; the last of them."""
    wait_until(lambda: len(bench.consoles.streams) >= count, what="the console to be opened")
    return bench.consoles.streams[-1]


def test_many_look_at_one_stream_and_all_see_what_the_guest_writes(bench, people):
    vm = bench.text_guest("alpha")
    viewers = [bench.text(people[role], vm, view_only=role != "operator") for role in ("operator", "viewer-watching")]
    for viewer in viewers:
        viewer.told(state="open")
    opened(bench).heard(b"login: ")
    for viewer in viewers:
        viewer.sees(b"login: ")
    assert len(bench.consoles.streams) == 1
    assert {row.kind for row in ConsoleSession.objects.filter(closed_at=None)} == {"serial"}


def test_what_is_typed_reaches_the_guest(bench, people):
    viewer = bench.text(people["operator"], bench.text_guest("alpha")).told(state="open", mine=True)
    viewer.type(b"root\r")
    wait_until(lambda: opened(bench).sent == b"root\r")


def test_a_newcomer_sees_what_was_written_before_as_history(bench, people):
    vm = bench.text_guest("alpha")
    bench.text(people["operator"], vm).told(state="open")
    opened(bench).heard(b"booting\r\n")
    late = bench.text(people["administrator"], vm)
    late.until(lambda me: me.history == b"booting\r\n")
    opened(bench).heard(b"now")
    late.sees(b"now")
    assert late.history == b"booting\r\n"


def test_who_may_only_watch_writes_nothing_whatever_is_sent(bench, people):
    vm = bench.text_guest("alpha")
    watcher = bench.text(people["viewer-watching"], vm, view_only=True).told(state="open", may=False, pen="")
    for wish in ("take", "all", "break", "force", "give"):
        watcher.ask(wish)
    watcher.type(b"rm -rf /\r")
    writer = bench.text(people["operator"], vm).told(state="open", mine=True, all=False)
    writer.type(b"ok")
    wait_until(lambda: opened(bench).sent)
    assert opened(bench).sent == b"ok"
    assert bench.consoles.breaks == 0


def test_one_writes_until_another_takes_the_pen(bench, people):
    vm = bench.text_guest("alpha")
    first = bench.text(people["operator"], vm).told(state="open", mine=True)
    second = bench.text(people["administrator"], vm).told(state="open", mine=False, pen="operator")
    second.type(b"not this")
    second.ask("take")
    first.told(mine=False, pen="administrator")
    first.type(b"nor this")
    second.told(mine=True)
    second.type(b"but this")
    wait_until(lambda: opened(bench).sent)
    assert opened(bench).sent == b"but this"


def test_all_write_when_that_is_chosen_and_one_again_afterwards(bench, people):
    vm = bench.text_guest("alpha")
    first = bench.text(people["operator"], vm).told(state="open")
    second = bench.text(people["administrator"], vm).told(state="open", mine=False)
    first.ask("all")
    second.told(all=True)
    second.type(b"second")
    wait_until(lambda: opened(bench).sent == b"second")
    second.ask("one")
    first.told(all=False, pen="operator")
    second.told(all=False)
    second.type(b"no")
    first.type(b" first")
    wait_until(lambda: opened(bench).sent == b"second first")


def test_the_pen_goes_on_when_it_is_given_and_when_its_holder_leaves(bench, people):
    vm = bench.text_guest("alpha")
    first = bench.text(people["operator"], vm).told(state="open", mine=True)
    second = bench.text(people["administrator"], vm).told(state="open")
    first.ask("give")
    second.told(mine=True)
    second.websocket.close()
    first.told(mine=True)


def test_after_a_reboot_the_console_goes_on_by_itself(bench, people):
    viewer = bench.text(people["operator"], bench.text_guest("alpha")).told(state="open")
    opened(bench).end()
    opened(bench, 2).heard(b"again")
    viewer.sees(b"again")
    assert viewer.status["state"] == "open"


def test_a_guest_that_stops_is_waited_for(bench, people):
    vm = bench.text_guest("alpha")
    viewer = bench.text(people["operator"], vm).told(state="open")
    VirtualMachine.objects.update(power_state="shutoff")
    opened(bench).end()
    viewer.told(state="waiting", why="off")
    viewer.type(b"typed while it was off")
    VirtualMachine.objects.update(power_state="running")
    viewer.told(state="open")
    opened(bench, 2).heard(b"up")
    viewer.sees(b"up")
    assert opened(bench).sent == b""


def test_a_guest_that_moves_is_followed_to_its_host(bench, people):
    vm, other = bench.text_guest("alpha"), make_host("kvm2")
    viewer = bench.text(people["operator"], vm).told(state="open", host="kvm1")
    VirtualMachine.objects.update(host=other)
    opened(bench).end()
    viewer.told(state="open", host="kvm2")
    assert opened(bench, 2).vm.host == other


def test_a_host_that_is_cut_off_is_named_and_waited_for(bench, people):
    vm = bench.text_guest("alpha")
    viewer = bench.text(people["operator"], vm).told(state="open")
    bench.consoles.failure = errors.Unreachable("no answer")
    opened(bench).end()
    viewer.told(state="waiting", why="host", host="kvm1")
    bench.consoles.failure = None
    viewer.told(state="open")


def test_somebody_else_s_console_is_taken_over_only_when_that_is_asked_for(bench, people):
    bench.consoles.held = True
    vm = bench.text_guest("alpha")
    watcher = bench.text(people["viewer-watching"], vm, view_only=True).told(state="held")
    watcher.ask("force")
    viewer = bench.text(people["operator"], vm).told(state="held")
    assert bench.consoles.streams == []
    viewer.ask("force")
    viewer.told(state="open")
    wait_until(lambda: AuditEntry.objects.filter(action="console.force", actor_name="operator").count() == 1)
    assert not AuditEntry.objects.filter(action="console.force", actor_name="viewer-watching").exists()


def test_a_console_that_somebody_else_lets_go_is_had_without_asking(bench, people):
    bench.consoles.held = True
    viewer = bench.text(people["operator"], bench.text_guest("alpha")).told(state="held")
    bench.consoles.held = False
    viewer.told(state="open")


def test_a_break_is_sent_by_who_writes_and_recorded(bench, people):
    viewer = bench.text(people["operator"], bench.text_guest("alpha")).told(state="open")
    viewer.ask("break")
    viewer.until(lambda me: me.status["said"].startswith("break"))
    assert bench.consoles.breaks == 1
    wait_until(lambda: AuditEntry.objects.filter(action="console.break", actor_name="operator").exists())


def test_somebody_slow_skips_and_holds_up_nobody(bench, people):
    vm = bench.text_guest("alpha")
    slow = bench.text(people["administrator"], vm).told(state="open")
    quick = bench.text(people["operator"], vm).told(state="open")
    stream, piece, count = opened(bench), b"x" * 65535 + b"\n", 400
    for number in range(count):
        stream.heard(piece)
        quick.has((number + 1) * len(piece))
    assert quick.skipped == 0
    stream.heard(b"the end")
    slow.sees(b"the end")
    assert slow.skipped > 0
    assert len(slow.live) + slow.skipped == count * len(piece) + len(b"the end")


def test_a_guest_that_reads_nothing_stops_the_typing_and_not_what_it_writes(bench, people):
    vm = bench.text_guest("alpha")
    viewer = bench.text(people["operator"], vm).told(state="open")
    stream = opened(bench)
    stream.reads.clear()
    sent = b"y" * 60000
    for _ in range(10):
        viewer.type(sent)
    stream.heard(b"still here")
    viewer.sees(b"still here")
    stream.reads.set()
    wait_until(lambda: len(stream.sent) == 10 * len(sent), what="all of it to arrive")


def test_the_right_taken_away_closes_the_socket(bench, people):
    viewer = bench.text(people["operator"], bench.text_guest("alpha")).told(state="open")
    people["operator"].role = "viewer"
    people["operator"].save()
    assert viewer.close_code() == 4403
    wait_until(lambda: ConsoleSession.objects.get().closed_at is not None)


def test_a_guest_that_is_removed_closes_the_socket(bench, people):
    vm = bench.text_guest("alpha")
    viewer = bench.text(people["operator"], vm).told(state="open")
    vm.delete()
    assert viewer.close_code() == 4404


def test_nonsense_closes_the_socket_and_nobody_else_s(bench, people):
    vm = bench.text_guest("alpha")
    stays = bench.text(people["administrator"], vm).told(state="open")
    for nonsense in (b"RFB 003.008\n", wire.record(wire.ASK, b"[]"), b"\x01\xff\xff\xff\xff", wire.record(9, b"")):
        viewer = bench.text(people["operator"], vm)
        viewer.send(nonsense)
        assert viewer.close_code() == 1002
    opened(bench).heard(b"fine")
    stays.sees(b"fine")


def test_the_stream_is_let_go_when_nobody_looks_and_what_was_written_is_there_again(bench, people):
    vm = bench.text_guest("alpha")
    viewer = bench.text(people["operator"], vm).told(state="open")
    opened(bench).heard(b"before\r\n")
    viewer.sees(b"before")
    viewer.websocket.close()
    wait_until(lambda: opened(bench).closed and not SerialLine.objects.exists(), what="the stream to be let go")
    again = bench.text(people["operator"], vm)
    again.until(lambda me: b"before\r\n" in me.history)
    opened(bench, 2)


def test_one_gateway_carries_a_console_and_another_takes_over_when_it_is_dead(bench, people):
    vm = bench.text_guest("alpha")
    assert owners.claim(vm.uuid, "serial0", "elsewhere:1:x")
    assert bench.text(people["operator"], vm).close_code() == 4423
    SerialLine.objects.update(alive_at="2020-01-01T00:00:00Z")
    bench.text(people["operator"], vm).told(state="open")
    assert SerialLine.objects.get().gateway == bench.gateway.name


@pytest.mark.parametrize("device", ["serial1", "serial7", "x" * 300, "../etc"])
def test_there_is_no_ticket_for_what_cannot_be_opened(bench, people, device):
    with pytest.raises(Refused):
        open_console(people["operator"], bench.text_guest("alpha"), view_only=False, device=device)


def test_a_ticket_for_the_text_console_opens_no_screen_and_the_other_way_round(bench, people):
    vm = bench.text_guest("alpha")
    viewer = bench.text(people["operator"], vm)
    assert viewer.one() == wire.STATUS
    screen = bench.view(people["operator"], bench.guest("beta"))
    assert screen.read(4) == b"RFB "


# --- what is kept


def test_the_log_is_sealed_bounded_and_the_newest(db, settings, monkeypatch, bench):
    settings.SERIAL_LOG_BYTES = 1000
    monkeypatch.setattr(journal, "ROW_BYTES", 250)
    vm = bench.text_guest("alpha")
    for number in range(21):
        journal.append(vm.uuid, "serial0", b"%03d" % number + b"\xff" * 97)
    kept = journal.read(vm.uuid, "serial0")
    assert len(kept) == 900
    assert kept.startswith(b"012") and kept[-100:].startswith(b"020")
    assert SerialLog.objects.count() == 5
    assert journal.tail(vm.uuid, "serial0", 150) == kept[-150:]
    assert not SerialLog.objects.filter(text__contains="019").exists()


def test_what_waits_for_the_log_is_bounded():
    waiting = journal.Unwritten()
    for number in range(10):
        waiting.add(b"%d" % number * (journal.MOST_AT_ONCE // 4))
    data = waiting.take()
    assert len(data) == journal.MOST_AT_ONCE
    assert data.startswith(b"6") and data.endswith(b"9")
    assert waiting.take() == b""


def test_a_plain_log_has_nothing_that_a_terminal_obeys():
    hostile = (
        b"a\x1b]0;owned\x07b\x1b[2Jc\x1bPq#0\x1b\\d\x1b[6n\x08e\x9b31mf\r\ng\x1bc\x1b]unended\r\nh\x00\x7f 50%\r60%"
    )
    told = journal.plain(hostile)
    assert told == "abcde�31mf\ngunended\nh 50%\n60%"
    assert not any(ord(character) < 32 and character not in "\n\t" for character in told)


def test_the_scrollback_keeps_the_last_bytes_by_their_positions():
    kept = Scrollback(10)
    for piece in (b"abcd", b"efgh", b"ijkl"):
        kept.add(piece)
    assert (kept.start, kept.end) == (4, 12)
    assert kept.after(0, 100) == (4, b"efghijkl")
    assert kept.after(6, 3) == (6, b"ghi")
    assert kept.after(12, 5) == (12, b"")
    kept.add(b"0123456789abc")
    assert kept.after(0, 100) == (15, b"3456789abc")
    assert KEPT_BYTES >= 262144
