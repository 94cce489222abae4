"""What a form asks of a device: one declared property of vms.definition each, with the words for people."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext_lazy as _


@dataclass(frozen=True, slots=True)
class Field:
    """One property of a device by its path below it.

    ``live``: QEMU takes it while the guest runs. ``host``: it names something of the host, which is for administrators.
    ``choices``: what is offered, and all that operators may say. ``first``: what a new device has. ``only``: "new" or "old",
    where it is asked of one of the two alone. ``when``: (path, values): it belongs to a device that says one of these there.
    """

    path: str
    label: Any
    help: Any = ""
    live: bool = False
    host: bool = False
    choices: tuple[str, ...] = ()
    first: str = ""
    unit: str = ""
    only: str = ""
    required: bool = False
    when: tuple[str, tuple[str, ...]] = ("", ())


LIMITS = (
    Field("iotune.total_bytes_sec", _("All bytes"), _("At most so many bytes a second, read and written."), live=True),
    Field("iotune.read_bytes_sec", _("Bytes read"), _("At most so many bytes read a second."), live=True),
    Field("iotune.write_bytes_sec", _("Bytes written"), _("At most so many bytes written a second."), live=True),
    Field("iotune.total_iops_sec", _("All requests"), _("At most so many requests a second."), live=True),
    Field("iotune.read_iops_sec", _("Read requests"), _("At most so many reads a second."), live=True),
    Field("iotune.write_iops_sec", _("Write requests"), _("At most so many writes a second."), live=True),
)
DISK = (
    Field("target.bus", _("Bus"), _("virtio is the fastest; a guest without its driver needs sata or ide."),
          choices=("virtio", "scsi", "sata", "usb", "ide"), first="virtio"),
    Field("driver.cache", _("Cache"), _("Who keeps written data in memory: none is safe, unsafe loses it in a power cut."),
          choices=("none", "writeback", "writethrough", "directsync", "unsafe")),
    Field("driver.io", _("I/O"), _("How QEMU reads and writes: native needs cache none or directsync."),
          choices=("native", "threads", "io_uring")),
    Field("driver.discard", _("Discard"), _("Whether space that the guest frees is given back: unmap does."),
          choices=("unmap", "ignore")),
    Field("driver.detect_zeroes", _("Zeroes"), _("Whether written zeroes are stored as holes."), choices=("off", "on", "unmap")),
    Field("readonly", _("Read-only"), _("The guest may not write to it.")),
    Field("shareable", _("Shareable"), _("Several guests may have it open at once; their file system must allow it.")),
    Field("serial", _("Serial number"), _("What the guest reads as the drive's serial number.")),
    *LIMITS,
)  # fmt: skip
DRIVE = (
    Field("target.bus", _("Bus"), _("sata for a q35 machine, ide for a pc machine."), choices=("sata", "ide", "scsi", "usb"),
          first="sata"),
)  # fmt: skip
FLOPPY = (Field("target.bus", _("Bus"), _("Floppy drives are on fdc."), choices=("fdc",), first="fdc"),)
_RATE = _("Kilobytes a second on average.")
INTERFACE = (
    Field("type", _("Connected to"), _("A network of libvirt, a bridge of the host, or one of its cards (direct)."),
          choices=("network", "bridge", "direct"), first="network"),
    Field("source.network", _("Network"), _("The network of libvirt on its host."), live=True, when=("type", ("network",))),
    Field("source.bridge", _("Bridge"), _("The bridge of the host."), live=True, host=True, when=("type", ("bridge",))),
    Field("source.dev", _("Card of the host"), _("The host's card that it uses directly (macvtap)."), host=True,
          when=("type", ("direct",))),
    Field("model", _("Model"), _("virtio is the fastest; e1000e and rtl8139 need no driver."),
          choices=("virtio", "e1000e", "e1000", "rtl8139"), first="virtio"),
    Field("mac", _("MAC address"), _("By which the network knows it; begins with 52:54:00 for guests.")),
    Field("vlans", _("VLANs"), _("Numbers from 1 to 4094, several for a trunk; only Open vSwitch and SR-IOV have them."),
          live=True),
    Field("link", _("Link"), _("down is the cable pulled out."), live=True, choices=("up", "down")),
    Field("filter", _("Network filter"), _("Rules of libvirt for its traffic, such as clean-traffic."), live=True, host=True),
    Field("filter_parameters", _("Values for the filter"),
          _("What the filter's variables are for this card, such as IP=192.0.2.7; several with spaces between them."),
          live=True, host=True),
    Field("bandwidth.inbound.average", _("Rate in"), _RATE, live=True),
    Field("bandwidth.inbound.peak", _("Peak in"), _("Kilobytes a second at most."), live=True),
    Field("bandwidth.inbound.burst", _("Burst in"), _("Kilobytes at peak rate."), live=True),
    Field("bandwidth.outbound.average", _("Rate out"), _RATE, live=True),
    Field("bandwidth.outbound.peak", _("Peak out"), _("Kilobytes a second at most."), live=True),
    Field("bandwidth.outbound.burst", _("Burst out"), _("Kilobytes at peak rate."), live=True),
    Field("mtu", _("MTU"), _("Bytes in a packet; both ends must allow it.")),
    Field("driver.queues", _("Queues"), _("Pairs of queues of a virtio card: as many processors can work on it.")),
)  # fmt: skip
GRAPHICS = (
    Field("type", _("Protocol"), _("How a viewer speaks with it; the console here is VNC."), choices=("vnc", "spice"), first="vnc"),
    Field("autoport", _("Port chosen at start"), _("libvirt picks a free port at each start."), first="yes"),
    Field("listen", _("Listens on"), _("The address of the host; 127.0.0.1 is seen by the host alone."), host=True),
    Field("keymap", _("Keyboard"), _("Only for viewers that send letters instead of keys, such as en-us.")),
    Field("share_policy", _("Sharing"), _("Whether several viewers may look at once."),
          choices=("allow-exclusive", "force-shared", "ignore")),
)  # fmt: skip
VIDEO = (
    Field("model.type", _("Model"), _("virtio for newer systems, vga works everywhere."),
          choices=("virtio", "vga", "qxl", "cirrus", "bochs", "ramfb", "none"), first="virtio"),
    Field("model.heads", _("Screens"), _("How many screens the card drives.")),
    Field("model.vram", _("Video memory"), _("In KiB; only some models have it."), unit="KiB"),
)  # fmt: skip
_PATH = _("A path or socket of the host.")
SERIAL = (
    Field("type", _("Goes to"), _("pty is what virsh console and the console here open; null goes nowhere."),
          choices=("pty", "null"), first="pty", only="new"),
    Field("target", _("Port kind"), _("isa-serial is the usual COM port."), choices=("isa-serial", "pci-serial", "usb-serial")),
    Field("log_file", _("Log file"), _("A file of the host that keeps what was written."), host=True),
)  # fmt: skip
CONSOLE = (
    Field("type", _("Goes to"), _("pty is what virsh console and the console here open; null goes nowhere."),
          choices=("pty", "null"), first="pty", only="new"),
    Field("target", _("Port kind"), _("serial shows the first serial port, virtio is a faster one of its own (hvc0)."),
          choices=("virtio", "serial"), first="virtio"),
)  # fmt: skip
CHANNEL = (
    Field("type", _("Goes to"), _("unix for the guest agent, spicevmc for SPICE, qemu-vdagent for VNC's clipboard."),
          choices=("unix", "spicevmc", "qemu-vdagent"), first="unix", only="new"),
    Field("name", _("Name"), _("By which the guest finds it; the agent listens on org.qemu.guest_agent.0."),
          first="org.qemu.guest_agent.0", required=True, only="new"),
)  # fmt: skip
INPUT = (
    Field("type", _("Kind"), _("A tablet keeps the pointer of a console in step."), choices=("tablet", "mouse", "keyboard"),
          first="tablet"),
    Field("bus", _("Bus"), _("usb works everywhere; ps2 is always there."), choices=("usb", "virtio", "ps2"), first="usb"),
)  # fmt: skip
HOSTDEV = (
    Field("type", _("Kind"), _("pci for a card, usb for what is plugged in, mdev for a slice of a card."),
          choices=("pci", "usb", "mdev"), first="pci", host=True, only="new"),
    Field("device", _("Device of the host"),
          _("PCI: 0000:02:00.0 as lspci shows it; USB: 046d:c52b as lsusb shows it; mdev: its UUID."),
          host=True, required=True, only="new"),
    Field("managed", _("Managed"), _("libvirt takes a PCI device from the host and gives it back."), first="yes", host=True),
)  # fmt: skip
CONTROLLER = (
    Field("type", _("Bus"), _("What is plugged into it."), choices=("scsi", "usb", "virtio-serial", "sata", "pci"), first="scsi",
          only="new"),
    Field("model", _("Model"), _("For scsi virtio-scsi, for usb qemu-xhci, for pci pcie-root-port."),
          choices=("virtio-scsi", "lsilogic", "qemu-xhci", "ich9-ehci1", "piix3-uhci", "pcie-root-port", "pci-bridge",
                   "pcie-to-pci-bridge", "virtio")),
    Field("driver.queues", _("Queues"), _("Queues of a virtio-scsi controller.")),
)  # fmt: skip
TPM = (
    Field("model", _("Model"), _("tpm-crb for TPM 2.0."), choices=("tpm-crb", "tpm-tis"), first="tpm-crb"),
    Field("backend", _("Made by"), _("emulator is a chip of its own in software."), choices=("emulator",), first="emulator"),
    Field("version", _("Version"), _("Windows 11 wants 2.0."), choices=("2.0", "1.2"), first="2.0"),
)  # fmt: skip
RNG = (
    Field("backend", _("Taken from"), _("random reads a device of the host, builtin asks QEMU."), choices=("random", "builtin"),
          first="random", only="new"),
    Field("device", _("Source"), _("The host's device that random bytes are read from."),
          choices=("/dev/urandom", "/dev/random"), first="/dev/urandom", when=("backend", ("random",))),
    Field("rate_bytes", _("Bytes"), _("At most so many bytes in each period.")),
    Field("rate_period", _("Period"), _("In milliseconds."), unit="ms"),
)  # fmt: skip
WATCHDOG = (
    Field("model", _("Model"), _("i6300esb on PCI is known to all systems."), choices=("i6300esb", "ib700", "diag288"),
          first="i6300esb"),
    Field("action", _("What it does"), _("When the guest has not answered for a while."),
          choices=("reset", "shutdown", "poweroff", "pause", "none", "inject-nmi"), first="reset"),
)  # fmt: skip
BALLOON = (
    Field("model", _("Model"), _("none takes it away: libvirt would add one by itself."),
          choices=("virtio", "virtio-transitional", "virtio-non-transitional", "none"), first="virtio"),
    Field("autodeflate", _("Gives back when short"), _("The guest takes memory back before it kills programs.")),
    Field("free_page_reporting", _("Reports free pages"), _("What the guest does not use is free for the host at once.")),
    Field("stats_period", _("Figures every"), _("Seconds between two reports of the guest's memory."), unit="s"),
)  # fmt: skip
SOUND = (
    Field(
        "model",
        _("Model"),
        _("ich9 for q35, ich6 for pc machines."),
        choices=("ich9", "ich6", "ac97", "usb"),
        first="ich9",
    ),
)
FILESYSTEM = (
    Field("driver.type", _("Way"), _("virtiofs is fast and needs shared memory; path is 9p."), choices=("virtiofs", "path"),
          first="virtiofs", only="new"),
    Field("source.dir", _("Folder of the host"), _("The guest sees all that is in it."), host=True, required=True),
    Field("target", _("Tag"), _("By which the guest mounts it: mount -t virtiofs TAG /mnt."), required=True),
    Field("access_mode", _("Owner of files"), _("passthrough keeps owners as they are; mapped is for 9p."),
          choices=("passthrough", "mapped", "squash"), first="passthrough", host=True),
    Field("readonly", _("Read-only"), _("The guest may not write to it.")),
)  # fmt: skip
VSOCK = (
    Field("auto_cid", _("Number chosen at start"), _("libvirt picks a free number."), first="yes"),
    Field("cid", _("Number"), _("The guest's address (CID), from 3 up; no two guests of a host have the same.")),
)
PANIC = (
    Field(
        "model", _("Model"), _("isa for x86 guests, hyperv for Windows."), choices=("isa", "hyperv", "pseries", "s390")
    ),
)
IOMMU = (
    Field("model", _("Model"), _("intel for q35 machines."), choices=("intel", "virtio", "smmuv3"), first="intel"),
    Field("intremap", _("Interrupt remapping"), _("Needed for more than 255 processors.")),
    Field("caching_mode", _("Caching mode"), _("Needed when devices of the host are handed on.")),
)
MEMORY = (
    Field("model", _("Model"), _("dimm is a fixed module, virtio-mem grows and shrinks."), choices=("dimm", "virtio-mem"),
          first="dimm", only="new"),
    Field("target.size", _("Size"), _("Such as 512 MiB; the guest needs a maximum above it and a NUMA cell."), required=True,
          only="new"),
    Field("target.node", _("NUMA cell"), _("The cell that it belongs to."), first="0", only="new"),
    Field("target.block", _("Block"), _("Of virtio-mem: in what steps it grows."), only="new",
          when=("model", ("virtio-mem",))),
    Field("target.requested", _("Wanted of it"), _("Of virtio-mem: how much of it the guest is to have."), live=True,
          when=("model", ("virtio-mem",))),
)  # fmt: skip
