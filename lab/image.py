"""The guests' kernel and their initramfs: busybox, the virtio drivers, the guest agent, a memory dirtier."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path

from lab.commands import run, say
from lab.errors import LabError
from lab.install import KERNEL, unpacked_directory
from lab.names import cache_directory

FILES = Path(__file__).parent / "guest"
DRIVERS = (
    "virtio_pci",
    "virtio_net",
    "virtio_blk",
    "virtio_console",
    "virtio_balloon",
    "virtio_mem",
    "virtio-rng",
    "evdev",
    "button",
)
SYSTEM = ("init", "poweroff", "reboot", "halt")
SCRIPTS = {
    "rcS": "etc/rcS",
    "udhcpc.script": "etc/udhcpc.script",
    "power-off": "etc/acpi/PWRF/00000080",
    "data": "sbin/data",
    "clock": "sbin/clock",
    "agent": "sbin/agent",
    "chpasswd": "sbin/chpasswd",
    "power-button": "sbin/power-button",
    "shutdown": "sbin/shutdown",
}
PLAIN = {"inittab": "etc/inittab", "profile": "etc/profile", "os-release": "etc/os-release"}


@dataclass(frozen=True)
class Image:
    """What a guest is started from."""

    kernel: Path
    initrd: Path


class Archive:
    """A cpio archive in the "newc" format, which is what the kernel unpacks."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.number = 0
        self.folders: set[str] = set()

    def add(self, name: str, mode: int, body: bytes = b"", device: tuple[int, int] = (0, 0)) -> None:
        """Append one entry; folders above it are added first."""
        parent = name.rpartition("/")[0]
        if parent:
            self.folder(parent)
        self.number += 1
        fields = [self.number, mode, 0, 0, 1, 0, len(body), 0, 0, *device, len(name) + 1, 0]
        self.data += b"070701" + b"".join(b"%08X" % field for field in fields) + name.encode() + b"\0"
        self.pad()
        self.data += body
        self.pad()

    def pad(self) -> None:
        """Names and contents both end on a multiple of four."""
        self.data += b"\0" * (-len(self.data) % 4)

    def folder(self, name: str) -> None:
        """A folder, once."""
        if name not in self.folders:
            self.folders.add(name)
            self.add(name, stat.S_IFDIR | 0o755)

    def file(self, name: str, body: bytes, mode: int = 0o644) -> None:
        """A regular file."""
        self.add(name, stat.S_IFREG | mode, body)

    def link(self, name: str, target: str) -> None:
        """A symbolic link."""
        self.add(name, stat.S_IFLNK | 0o777, target.encode())

    def finish(self) -> bytes:
        """The whole archive."""
        self.add("TRAILER!!!", 0)
        return bytes(self.data)


def kernel_file() -> Path:
    """The unpacked kernel."""
    found = sorted((unpacked_directory() / KERNEL / "boot").glob("vmlinuz-*"))
    if not found:
        raise LabError("no guest kernel in the cache: run `python3 -m lab install`")
    return found[-1]


def driver_files() -> list[Path]:
    """The drivers and everything they depend on, in the order they have to be loaded."""
    tree = unpacked_directory() / KERNEL / "lib" / "modules"
    found = {file.stem.replace("-", "_"): file for file in tree.rglob("*.ko")}
    order: list[Path] = []

    def add(name: str) -> None:
        # A driver that is not there as a file is built into the kernel.
        file = found.get(name.replace("-", "_"))
        if file is None or file in order:
            return
        match = re.search(rb"\0depends=([^\0]*)\0", file.read_bytes())
        for needed in filter(None, match.group(1).decode().split(",") if match else []):
            add(needed)
        order.append(file)

    for name in DRIVERS:
        add(name)
    return order


def shared_libraries(program: Path) -> list[Path]:
    """The libraries a program is linked with, under the names it looks for."""
    shown = run(["ldd", program])
    if "not found" in shown:
        raise LabError(f"{program.name} lacks libraries: {shown}")
    return [Path(path) for path in re.findall(r"(/\S+) \(0x", shown)]


def compiled(name: str) -> bytes:
    """One of the guest's own sources as one static program."""
    output = cache_directory() / f"{name}.{os.getpid()}"
    try:
        run(["gcc", "-static", "-O2", "-s", "-o", output, FILES / f"{name}.c"])
        return output.read_bytes()
    finally:
        output.unlink(missing_ok=True)


def build_initrd() -> bytes:
    """Put the archive together. It stays uncompressed: unpacking would cost an emulated guest seconds."""
    archive = Archive()
    for folder in ("proc", "sys", "run", "tmp", "root"):
        archive.folder(folder)
    archive.add("dev/console", stat.S_IFCHR | 0o600, device=(5, 1))
    busybox = unpacked_directory() / "busybox-static" / "bin" / "busybox"
    archive.file("bin/busybox", busybox.read_bytes(), 0o755)
    own = {Path(name).name for name in SCRIPTS.values()}
    for applet in run([busybox, "--list"]).split():
        if applet not in own and applet != "busybox":
            archive.link(f"{'sbin' if applet in SYSTEM else 'bin'}/{applet}", "/bin/busybox")
    archive.link("init", "/bin/busybox")
    drivers = driver_files()
    for driver in drivers:
        archive.file(f"lib/modules/{driver.name}", driver.read_bytes())
    archive.file("lib/modules/order", "".join(f"{driver.name}\n" for driver in drivers).encode())
    agent = unpacked_directory() / "qemu-guest-agent" / "usr" / "sbin" / "qemu-ga"
    archive.file("sbin/qemu-ga", agent.read_bytes(), 0o755)
    for library in shared_libraries(agent):
        archive.file(str(library).lstrip("/"), library.read_bytes(), 0o755)
    for name in ("dirty", "flush"):
        archive.file(f"sbin/{name}", compiled(name), 0o755)
    for source, target in SCRIPTS.items():
        archive.file(target, (FILES / source).read_bytes(), 0o755)
    for source, target in PLAIN.items():
        archive.file(target, (FILES / source).read_bytes())
    archive.file("etc/passwd", b"root::0:0:root:/root:/bin/sh\n")
    archive.file("etc/group", b"root:x:0:\n")
    return archive.finish()


def fingerprint() -> str:
    """Changes whenever anything the image is made of changes."""
    digest = hashlib.sha256()
    for file in sorted([*FILES.iterdir(), Path(__file__)]):
        digest.update(file.name.encode() + b"\0" + file.read_bytes())
    digest.update(str(kernel_file()).encode())
    return digest.hexdigest()[:16]


def build() -> Image:
    """The kernel and initramfs from the cache, built if they are not there yet."""
    kernel = kernel_file()
    directory = cache_directory() / f"guest-{fingerprint()}"
    image = Image(kernel=directory / "vmlinuz", initrd=directory / "initrd")
    if not image.initrd.exists():
        say("lab: building the guests' kernel and initramfs")
        directory.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(kernel, image.kernel)
        partial = directory / f"initrd.{os.getpid()}"
        partial.write_bytes(build_initrd())
        partial.rename(image.initrd)
    return image
