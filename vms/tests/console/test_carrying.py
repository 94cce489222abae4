"""What goes through a console: to the right guest, whole, filtered for those who only watch, and never piling up."""

from __future__ import annotations

import struct
import threading

import pytest

from conftest import wait_until
from hosts import notify
from vms.console.access import console_path, open_console
from vms.models import ConsoleSession
from vms.tests.console.viewer import UPDATE_REQUEST

KEY = struct.pack(">BBxxI", 4, 1, 0x61)
POINTER = struct.pack(">BBHH", 5, 1, 10, 10)
CUT = struct.pack(">BxxxI", 6, 5) + b"paste"
EXTENDED_CUT = struct.pack(">Bxxxi", 6, -8) + b"abcdefgh"
ENCODINGS = struct.pack(">BxHii", 2, 2, 0, 7)
PIXELS = bytes(20)
FENCE = struct.pack(">BxxxIB", 248, 1, 3) + b"abc"
CONTINUOUS = struct.pack(">BBHHHH", 150, 1, 0, 0, 9, 9)
QEMU_KEY = struct.pack(">BBHII", 255, 0, 1, 0x61, 30)
QEMU_AUDIO = struct.pack(">BBH", 255, 1, 0)
QEMU_FORMAT = struct.pack(">BBHBBI", 255, 1, 2, 3, 2, 44100)
RESIZE = struct.pack(">BxHHBx", 251, 800, 600, 1) + bytes(16)
POWER = struct.pack(">BxBB", 250, 1, 2)

PASSING = [PIXELS, ENCODINGS, UPDATE_REQUEST, FENCE, CONTINUOUS]
DROPPED = [KEY, POINTER, CUT, EXTENDED_CUT, QEMU_KEY, QEMU_AUDIO, QEMU_FORMAT, RESIZE, POWER]


def mixed() -> bytes:
    """Every message, those to be dropped between those that pass."""
    return b"".join(dropped + PASSING[number % len(PASSING)] for number, dropped in enumerate(DROPPED))


def kept() -> bytes:
    return b"".join(PASSING[number % len(PASSING)] for number in range(len(DROPPED)))


def test_of_400_who_connect_at_once_to_two_guests_nobody_sees_the_wrong_one(bench, people):
    guests = [bench.guest("alpha"), bench.guest("beta")]
    wanted = [guests[number % 2] for number in range(400)]
    paths = [console_path(open_console(people["operator"], vm, view_only=False)) for vm in wanted]
    seen: list[tuple[str, str]] = []
    begin = threading.Barrier(40)

    def work(part: int) -> None:
        begin.wait(60)
        for number in range(part, 400, 40):
            viewer = bench.connect(paths[number])
            seen.append((wanted[number].name, viewer.greet().name))

    threads = [threading.Thread(target=work, args=(part,)) for part in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert len(seen) == 400
    assert [pair for pair in seen if pair[0] != pair[1]] == []
    assert len(bench.gateway.consoles) == 400


def test_an_operator_s_keys_and_pointer_reach_the_guest(bench, people):
    vm = bench.guest("alpha")
    viewer = bench.view(people["operator"], vm).greet()
    viewer.send(mixed())
    wait_until(lambda: bench.screens[vm.uuid].told == mixed())


@pytest.mark.parametrize("size", [1, 3, 7, 1000])
def test_who_only_watches_cannot_type_point_paste_or_resize(bench, people, size):
    vm = bench.guest("alpha")
    viewer = bench.view(people["viewer-watching"], vm, view_only=True).greet()
    said = mixed()
    for start in range(0, len(said), size):
        viewer.send(said[start : start + size])
    viewer.send(UPDATE_REQUEST)
    wait_until(lambda: bench.screens[vm.uuid].told == kept() + UPDATE_REQUEST)


def test_an_unknown_message_of_a_watcher_ends_the_console(bench, people):
    vm = bench.guest("alpha")
    viewer = bench.view(people["operator"], vm, view_only=True).greet()
    viewer.send(bytes([77]) * 50)
    assert viewer.close_code() == 1002
    assert bench.screens[vm.uuid].told == b""


def test_fragmented_messages_and_frames_in_pieces_arrive_whole(bench, people):
    vm = bench.guest("alpha")
    viewer = bench.view(people["operator"], vm, view_only=True).greet()
    said = mixed()
    viewer.websocket.send([said[start : start + 5] for start in range(0, len(said), 5)])
    wait_until(lambda: bench.screens[vm.uuid].told == kept())


def test_watchers_share_the_screen_whatever_their_browser_asks_for(bench, people):
    vm = bench.guest("alpha")
    for _number in range(3):
        bench.view(people["operator"], vm).greet()
    wait_until(lambda: bench.screens[vm.uuid].shared == [b"\x01"] * 3)


@pytest.mark.parametrize("version", [b"RFB 003.003\n", b"RFB 003.007\n", b"RFB 003.008\n"])
@pytest.mark.parametrize("password", ["", "s3cret", "longer-than-eight"])
def test_the_gateway_gives_the_guest_its_password_in_every_version(bench, people, version, password):
    vm = bench.guest("alpha", version=version, password=password)
    assert bench.view(people["operator"], vm).greet().name == "alpha"


def test_a_wrong_password_is_told_plainly_and_not_shown(bench, people):
    vm = bench.guest("alpha", password="right")
    target = bench.screens[vm.uuid].target
    bench.screens[vm.uuid].password = "changed"
    bench.gateway._find_target = lambda _vm: target
    viewer = bench.view(people["operator"], vm)
    assert viewer.close_code() == 4502
    assert "password" in viewer.close_reason and "right" not in viewer.close_reason


def test_a_stalled_browser_holds_up_its_guest_instead_of_filling_our_memory(bench, people):
    vm = bench.guest("alpha", flood=True)
    screen = bench.screens[vm.uuid]
    # The client's own thread reads on until its queue is full; then nobody does.
    bench.view(people["operator"], vm).greet()

    def stands_still() -> bool:
        before = screen.sent
        threading.Event().wait(1.0)
        return before > 0 and screen.sent == before

    wait_until(stands_still, 60, "the guest to be held up")
    assert screen.sent < 64 * 1024 * 1024


def test_a_flood_of_pings_is_answered_without_end_or_memory(bench, people):
    vm = bench.guest("alpha")
    viewer = bench.view(people["operator"], vm).greet()
    for _number in range(2000):
        viewer.websocket.ping()
    viewer.send(KEY)
    wait_until(lambda: bench.screens[vm.uuid].told == KEY)


def test_opening_and_closing_is_told_to_the_pages(bench, people):
    heard: list[str] = []
    vm = bench.guest("alpha")
    stop = notify.bus.listen(lambda message: heard.extend(message.get("topics", ())))
    try:
        viewer = bench.view(people["operator"], vm).greet()
        wait_until(lambda: f"console:{vm.uuid}" in heard and "consoles" in heard)
        heard.clear()
        viewer.websocket.close()
        wait_until(lambda: f"console:{vm.uuid}" in heard and "consoles" in heard)
    finally:
        stop()


def test_a_stopping_gateway_says_so_and_leaves_no_console_open(bench, people):
    viewer = bench.view(people["operator"], bench.guest("alpha")).greet()
    stopping = threading.Thread(target=bench.gateway.stop)
    stopping.start()
    assert viewer.close_code() == 1001
    stopping.join(20)
    assert not ConsoleSession.objects.filter(closed_at=None).exists()
