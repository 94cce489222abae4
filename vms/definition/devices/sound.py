"""``<sound>`` and ``<audio>``: the sound card in the guest, and where the host plays it."""

from __future__ import annotations

from vms.definition.devices.base import Indexed
from vms.definition.nodes import Nested, Node
from vms.definition.properties import Choice, Integer, Text, Words, YesNo

MODELS = ("ich9", "ich6", "ich7", "ac97", "usb", "es1370", "sb16", "pcspk")
BACKENDS = ("none", "alsa", "coreaudio", "jack", "oss", "pulseaudio", "sdl", "spice", "file", "dbus")
_UINT32 = 2**32 - 1


class Sound(Indexed):
    """``<sound>``"""

    natural_key = "model"
    born = {"model": "ich9"}
    order = "codec audio alias address acpi"
    model = Choice("@model", MODELS, required=True)
    codecs = Words("codec@type", ("duplex", "micro", "output"))
    audio = Integer("audio@id", 1, 255)


class Stream(Node):
    """``<input>`` or ``<output>`` of an audio backend."""

    mixing_engine = YesNo("@mixingEngine")
    fixed_settings = YesNo("@fixedSettings")
    voices = Integer("@voices", 0, _UINT32)
    buffer_length = Integer("@bufferLength", 0, _UINT32)
    dev = Text("@dev")
    name = Text("@name")
    latency = Integer("@latency", 0, _UINT32)
    frequency = Integer("settings@frequency", 0, _UINT32)
    channels = Integer("settings@channels", 0, _UINT32)
    format = Choice("settings@format", ("s8", "u8", "s16", "u16", "s32", "u32", "f32"))


class Audio(Node):
    """``<audio>``"""

    natural_key = "id"
    born = {"id": "1", "type": "none"}
    order = "input output"
    id = Integer("@id", 1, 255, required=True)
    type = Choice("@type", BACKENDS, required=True)
    timer_period = Integer("@timerPeriod", 0, _UINT32)
    server_name = Text("@serverName")
    path = Text("@path")
    input = Nested("input", Stream)
    output = Nested("output", Stream)
