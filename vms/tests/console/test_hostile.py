"""Bytes that no honest browser or guest sends: the console ends with a word, the gateway lives on."""

from __future__ import annotations

import random
import socket
import struct

import pytest

from conftest import wait_until
from vms.console import frames
from vms.console.access import console_path, open_console
from vms.console.closing import Closing
from vms.console.rfb import des_response
from vms.console.viewing import ViewOnly
from vms.models import ConsoleSession


def still_works(bench, people) -> None:
    assert bench.view(people["operator"], bench.guest("after")).greet().name == "after"


@pytest.mark.parametrize(
    "said",
    [
        b"SSH-2.0-OpenSSH_9\r\n" * 4,
        b"\0" * 64,
        b"RFB 002.000\n" + bytes(64),
        b"RFB 003.008\n" + b"\0" + struct.pack(">I", 2**32 - 1) + b"no room" + bytes(2000),
        b"RFB 003.008\n" + bytes([2, 19, 20]) + bytes(64),
        b"RFB 003.003\n" + struct.pack(">I", 0) + struct.pack(">I", 4) + b"busy",
        b"RFB 003.003\n" + struct.pack(">I", 30),
    ],
    ids=["ssh", "zeros", "old", "endless reason", "unknown logins", "refuses", "unknown old login"],
)
def test_what_is_no_vnc_server_is_told_as_unreachable(bench, people, said):
    def script(client: socket.socket) -> None:
        client.sendall(said)
        while client.recv(65536):
            pass

    viewer = bench.view(people["operator"], bench.guest("alpha", script=script))
    assert viewer.close_code() == 4502
    assert viewer.close_reason
    assert not ConsoleSession.objects.exists()
    still_works(bench, people)


def test_a_guest_that_hangs_up_at_once_is_told(bench, people):
    viewer = bench.view(people["operator"], bench.guest("alpha", script=lambda client: None))
    assert viewer.close_code() == 4502


def test_a_port_where_nobody_listens_is_told(bench, people):
    vm = bench.guest("alpha")
    bench.screens[vm.uuid].close()
    viewer = bench.view(people["operator"], vm)
    assert viewer.close_code() == 4502
    assert "cannot be reached" in viewer.close_reason


def test_a_guest_without_vnc_when_we_connect_is_told(bench, people):
    vm = bench.guest("alpha")
    bench.screens.pop(vm.uuid).close()
    assert bench.view(people["operator"], vm).close_code() == 4404


@pytest.mark.parametrize(
    "said", [b"RFB 003.003\n", b"GET / HTTP/1.1\r\n", b"RFB 003.008\n" + bytes([2]), b"RFB 003.008\n" + bytes([16])]
)
def test_a_browser_that_does_not_keep_to_the_handshake_is_closed(bench, people, said):
    viewer = bench.view(people["operator"], bench.guest("alpha"))
    viewer.send(said)
    assert viewer.close_code() == 1002
    wait_until(lambda: not ConsoleSession.objects.filter(closed_at=None).exists())
    still_works(bench, people)


def raw_browser(bench, path: str) -> socket.socket:
    """A socket after the websocket's opening handshake."""
    raw = socket.create_connection(("127.0.0.1", bench.gateway.port), 20)
    raw.sendall(
        f"GET {path} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode()
    )
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += raw.recv(1)
    assert b" 101 " in answer
    return raw


@pytest.mark.parametrize(
    "said",
    [
        b"\x82\x05hello",
        b"\x81\x80" + bytes(4),
        b"\x83\x80" + bytes(4),
        b"\xf2\x80" + bytes(4),
        b"\x80\x80" + bytes(4),
        b"\x09\x80" + bytes(4),
        b"\x89\xfe\xff\xff" + bytes(4),
        b"\x02\x80" + bytes(4) + b"\x82\x80" + bytes(4),
    ],
    ids=["unmasked", "text", "unknown", "reserved", "lone part", "split ping", "long ping", "nested"],
)
def test_malformed_frames_end_the_console(bench, people, said):
    path = console_path(open_console(people["operator"], bench.guest("alpha"), view_only=False))
    raw = raw_browser(bench, path)
    raw.sendall(said)
    wait_until(lambda: ConsoleSession.objects.exclude(closed_at=None).exists())
    raw.close()
    still_works(bench, people)


def test_a_frame_of_any_size_is_taken_piece_by_piece(bench, people):
    path = console_path(open_console(people["operator"], bench.guest("alpha"), view_only=False))
    raw = raw_browser(bench, path)
    # A frame of 2^62 bytes begins; the handshake inside it goes on.
    raw.sendall(b"\x82\xff" + struct.pack(">Q", 2**62) + bytes(4) + b"RFB 003.008\n\x01\x01")
    wait_until(lambda: bench.gateway.consoles)
    vm = ConsoleSession.objects.get().vm
    raw.sendall(b"\x04" * 8)
    wait_until(lambda: bench.screens[vm.uuid].told == b"\x04" * 8)
    raw.close()


@pytest.mark.parametrize(
    "said", [b"\x16\x03\x01\x02\x00", b"GET\r\n\r\n", b"POST / HTTP/1.1\r\n\r\n", b"A" * 70000 + b"\r\n"]
)
def test_what_is_no_websocket_is_turned_away(bench, people, said):
    raw = socket.create_connection(("127.0.0.1", bench.gateway.port), 20)
    raw.sendall(said)
    raw.shutdown(socket.SHUT_WR)
    while raw.recv(65536):
        pass
    raw.close()
    still_works(bench, people)


def test_the_des_response_is_the_known_one():
    # Made once with OpenSSL: des-ecb, the key being "password" with the bits of each byte mirrored.
    assert des_response(bytes(range(16)), "password").hex() == "b866924125c8eebb9debc1db61c538e2"
    assert des_response(bytes(range(16)), "password-and-more") == des_response(bytes(range(16)), "password")


def test_a_watcher_s_filter_keeps_no_more_than_a_message():
    keep = ViewOnly()
    assert keep(struct.pack(">Bxxxi", 6, -(2**31))) == b""
    for _number in range(100):
        assert keep(bytes(65536)) == b""
    assert len(keep._buffer) == 0


@pytest.mark.parametrize(
    "said", [struct.pack(">BxH", 2, 65535), struct.pack(">BxxxIB", 248, 0, 65), struct.pack(">BB", 255, 9), b"\x07"]
)
def test_a_watcher_s_filter_refuses_what_it_cannot_measure(said):
    with pytest.raises(Closing):
        ViewOnly()(said + bytes(20))


def test_a_watcher_s_filter_takes_out_the_encoding_that_changes_sizes():
    said = struct.pack(">BxHiii", 2, 3, 0, -316, 7)
    assert ViewOnly()(said) == struct.pack(">BxHii", 2, 2, 0, 7)


@pytest.mark.parametrize("step", [1, 2, 5, 1000])
def test_frames_are_read_however_they_are_cut(step):
    mask = b"\x01\x02\x03\x04"
    payload = bytes(range(256)) * 3
    stream = b"".join(
        frames.header(frames.BINARY, len(part), mask) + frames.masked(part, mask)
        for part in (b"", b"abc", payload, b"\x00" * 70000)
    )
    reader = frames.FrameReader()
    pieces = [piece for start in range(0, len(stream), step) for piece in reader.feed(stream[start : start + step])]
    assert b"".join(piece.payload for piece in pieces) == b"abc" + payload + b"\x00" * 70000


def read_all(reader, chunks):
    """All payload bytes, as the browser's end reads them; and what stopped it."""
    found = b""
    for chunk in chunks:
        whole = reader.whole(chunk)
        try:
            found += whole if whole is not None else b"".join(piece.payload for piece in reader.feed(chunk))
        except Closing as closing:
            return found, str(closing)
    return found, ""


class Slow(frames.FrameReader):
    """Without the short cut."""

    def whole(self, data):
        return None


@pytest.mark.parametrize("seed", range(40))
def test_small_messages_taken_whole_are_what_they_are_taken_apart(seed):
    chance = random.Random(seed)
    chunks = []
    for _ in range(60):
        first = chance.choice([0x82, 0x82, 0x82, 0x02, 0x80, 0x81, 0x89, 0xC2])
        size = chance.choice([0, 1, 8, 125, 126, 127, 132, 300])
        frame = bytes([first]) + frames.header(frames.BINARY, size, chance.randbytes(4))[1:] + chance.randbytes(size)
        if chance.random() < 0.1:
            frame = frame[:1] + bytes([frame[1] & 0x7F]) + frame[2:]
        cut = chance.choice([len(frame), len(frame), 6, 132, 133, 3])
        chunks += [part for part in (frame[:cut], frame[cut:]) if part]
    assert read_all(frames.FrameReader(), chunks) == read_all(Slow(), chunks)
