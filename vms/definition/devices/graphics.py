"""``<graphics>`` and ``<video>``: how the guest's screen is seen, and what the guest draws it with."""

from __future__ import annotations

from vms.definition import tree
from vms.definition.devices.base import A_PATH, HOST_NAME, PATH, Device, Indexed, VirtioDriver
from vms.definition.nodes import Many, Nested, Node
from vms.definition.properties import Choice, Integer, OnOff, Text, YesNo
from vms.definition.sentences import say

TYPES = ("vnc", "spice", "dbus", "egl-headless", "sdl", "rdp", "desktop")
SECURITY = ("any", "secure", "insecure")
SPICE_CHANNELS = ("main", "display", "inputs", "cursor", "playback", "record", "smartcard", "usbredir")
TIME = r"[1-9]\d{3}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])T([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d+)?(Z|[+-]\d\d:\d\d)?"
VIDEO_MODELS = ("virtio", "vga", "qxl", "cirrus", "bochs", "ramfb", "vmvga", "xen", "vbox", "gop", "none")


class Listen(Node):
    """``<listen>``: where the display server listens."""

    natural_key = "type"
    born = {"type": "address"}
    type = Choice("@type", ("address", "network", "socket", "none"), required=True)
    address = Text("@address", HOST_NAME, say("A host name or an address."))
    network = Text("@network")
    socket = Text("@socket", PATH, A_PATH)


class Channel(Node):
    """``<channel>`` of SPICE: which security one of its channels has."""

    natural_key = "name"
    born = {"mode": "any"}
    name = Choice("@name", SPICE_CHANNELS, required=True)
    mode = Choice("@mode", SECURITY, required=True)


class EnableGl(YesNo):
    """Whether OpenGL is on. Of egl-headless ``<gl>`` says only which device draws, and stays without it."""

    def is_whole(self, element: tree.Element) -> bool:
        parent = element.getparent()
        return parent is None or parent.get("type") != "egl-headless"


class Graphics(Device):
    """``<graphics>``"""

    natural_key = "type"
    born = {"type": "vnc"}
    order = "listen channel image jpeg zlib playback streaming mouse clipboard filetransfer gl audio"
    type = Choice("@type", TYPES, required=True)
    port = Integer("@port", -1, 65535)
    tls_port = Integer("@tlsPort", -1, 65535)
    autoport = YesNo("@autoport")
    websocket = Integer("@websocket", -1, 65535)
    listen = Text("@listen", HOST_NAME, say("A host name or an address."))
    socket = Text("@socket", PATH, A_PATH)
    password = Text("@passwd", keep_space=True)
    password_valid_to = Text("@passwdValidTo", TIME, say("A time such as 2027-01-31T12:00:00."))
    connected = Choice("@connected", ("keep", "disconnect", "fail"))
    keymap = Text("@keymap")
    share_policy = Choice("@sharePolicy", ("allow-exclusive", "force-shared", "ignore"))
    power_control = YesNo("@powerControl")
    default_mode = Choice("@defaultMode", SECURITY)
    display = Text("@display")
    fullscreen = YesNo("@fullscreen")
    p2p = YesNo("@p2p")
    listens = Many("listen", Listen)
    channels = Many("channel", Channel)
    image_compression = Choice("image@compression", ("auto_glz", "auto_lz", "quic", "glz", "lz", "off"))
    jpeg_compression = Choice("jpeg@compression", ("auto", "never", "always"))
    zlib_compression = Choice("zlib@compression", ("auto", "never", "always"))
    playback_compression = OnOff("playback@compression")
    streaming = Choice("streaming@mode", ("filter", "all", "off"))
    copy_paste = YesNo("clipboard@copypaste")
    mouse_mode = Choice("mouse@mode", ("server", "client"))
    file_transfer = YesNo("filetransfer@enable")
    gl = EnableGl("gl@enable", whole=True)
    gl_render_node = Text("gl@rendernode", PATH, A_PATH)
    audio = Integer("audio@id", 1, 255)

    def listen_at(self, address: str | None) -> None:
        """Listen there; libvirt wants the attribute and the first ``<listen>`` to say the same."""
        first = next((listen for listen in self.listens if listen.type == "address"), None)
        if first is not None:
            first.address = address
        if first is None or self.listen is not None:
            self.listen = address


class Driver(VirtioDriver):
    """``<driver>`` of a video card."""

    name = Choice("@name", ("qemu", "vhostuser"))
    vga_conf = Choice("@vgaconf", ("io", "on", "off"))


class Model(Node):
    """``<model>`` of a video card; memory in KiB."""

    born = {"type": "virtio"}
    order = "acceleration resolution"
    type = Choice("@type", VIDEO_MODELS, required=True)
    ram = Integer("@ram", 0, 2**32 - 1)
    vram = Integer("@vram", 0, 2**32 - 1)
    vram64 = Integer("@vram64", 0, 2**32 - 1)
    vgamem = Integer("@vgamem", 0, 2**32 - 1)
    heads = Integer("@heads", 1, 2**16)
    primary = YesNo("@primary")
    accel3d = YesNo("acceleration@accel3d")
    accel2d = YesNo("acceleration@accel2d")
    render_node = Text("acceleration@rendernode", PATH, A_PATH)
    width = Integer("resolution@x", 0, 2**32 - 1, born={"y": "0"}, whole=True)
    height = Integer("resolution@y", 0, 2**32 - 1, born={"x": "0"}, whole=True)


class Video(Indexed):
    """``<video>``"""

    order = "driver model alias address acpi"
    driver = Nested("driver", Driver)
    model = Nested("model", Model)
