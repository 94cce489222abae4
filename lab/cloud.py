"""Small disk images that boot by themselves and read a cloud-init seed: the guests' kernel and initramfs behind GRUB.

One boots by BIOS. The other boots by UEFI with Secure Boot: shim, GRUB, the kernel and its modules are as Debian signed them.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from lab import image
from lab.commands import run, say
from lab.install import KERNEL, unpacked_directory
from lab.names import cache_directory

SECTOR = 512
#: sectors before the partition: the boot loader lies there
FIRST = 2048
PARTITION_MIB = 31
#: what reads the seed, in the order in which it is loaded
DRIVERS = ("cdrom", "isofs")
MODULES = ("biosdisk", "part_msdos", "ext2", "linux", "normal")
#: kinds of partitions
LINUX, EFI_SYSTEM = 0x83, 0xEF
MENU = """set root=(hd0,msdos1)
linux /vmlinuz {words}
initrd /initrd /seed
boot
"""
SIGNED_MENU = """linux /vmlinuz {words}
initrd /initrd /seed
boot
"""


def overlay() -> bytes:
    """What such a guest has besides the others: it reads its seed, and leaves its first disk alone."""
    archive = image.Archive()
    tree = unpacked_directory() / KERNEL / "lib" / "modules"
    for name in DRIVERS:
        archive.file(f"lib/modules/{name}.ko", next(tree.rglob(f"{name}.ko")).read_bytes())
    archive.file("sbin/data", (image.FILES / "seed").read_bytes(), 0o755)
    return archive.finish()


def partition_table(kind: int) -> bytes:
    """One active partition that fills the image; its ends in cylinders are left out."""
    count = PARTITION_MIB * 2**20 // SECTOR
    entry = b"\x80\0\0\0" + bytes([kind]) + b"\0\0\0" + FIRST.to_bytes(4, "little") + count.to_bytes(4, "little")
    return entry + bytes(48) + b"\x55\xaa"


def boot_loader(folder: Path, words: str) -> bytes:
    """The sectors before the partition; its table is in the first."""
    grub = unpacked_directory()
    modules = grub / "grub-pc-bin" / "usr" / "lib" / "grub" / "i386-pc"
    menu, core = folder / "menu", folder / "core"
    menu.write_text(MENU.format(words=words))
    program = grub / "grub-common" / "usr" / "bin" / "grub-mkimage"
    run([program, "-d", modules, "-O", "i386-pc", "-p", "/", "-c", menu, "-o", core, *MODULES])
    first = bytearray((modules / "boot.img").read_bytes())
    first[446:512] = partition_table(LINUX)
    return bytes(first) + core.read_bytes()


def by_bios(folder: Path, files: Path, words: str) -> bytes:
    """The image of a guest that a BIOS boots."""
    run(["mke2fs", "-q", "-t", "ext2", "-d", files, folder / "partition", f"{PARTITION_MIB}M"])
    return boot_loader(folder, words).ljust(FIRST * SECTOR, b"\0") + (folder / "partition").read_bytes()


def by_uefi(folder: Path, files: Path, words: str) -> bytes:
    """The image of a guest that UEFI boots, with Secure Boot too: the firmware trusts shim, shim GRUB and GRUB the kernel."""
    unpacked = unpacked_directory()
    (folder / "menu").write_text(SIGNED_MENU.format(words=words))
    tree = {
        "EFI/BOOT/BOOTX64.EFI": unpacked / "shim-signed/usr/lib/shim/shimx64.efi.signed",
        "EFI/BOOT/grubx64.efi": unpacked / "grub-efi-amd64-signed/usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed",
        "EFI/debian/grub.cfg": folder / "menu",
        **{file.name: file for file in files.iterdir()},
    }
    partition = folder / "partition"
    with partition.open("wb") as made:
        made.truncate(PARTITION_MIB * 2**20)
    tools = unpacked / "mtools" / "usr" / "bin"
    run([tools / "mformat", "-i", partition, "-H", str(FIRST), "::"])
    run([tools / "mmd", "-i", partition, "::EFI", "::EFI/BOOT", "::EFI/debian"])
    for name, file in tree.items():
        run([tools / "mcopy", "-i", partition, file, f"::{name}"])
    first = bytes(446) + partition_table(EFI_SYSTEM)
    return first.ljust(FIRST * SECTOR, b"\0") + partition.read_bytes()


def build(words: str, make: Callable[[Path, Path, str], bytes] = by_bios) -> Path:
    """The image from the cache, made if it is not there yet; ``words`` is the kernel's command line."""
    picture, extra = image.build(), overlay()
    mark = hashlib.sha256(extra + words.encode() + Path(__file__).read_bytes()).hexdigest()[:12]
    target = picture.kernel.with_name(f"cloud-{make.__name__}-{mark}.qcow2")
    if target.exists():
        return target
    say("lab: building the image of a guest that boots by itself")
    folder = cache_directory() / f"cloud.{os.getpid()}"
    shutil.rmtree(folder, ignore_errors=True)
    files = folder / "files"
    files.mkdir(parents=True)
    try:
        shutil.copyfile(picture.kernel, files / "vmlinuz")
        shutil.copyfile(picture.initrd, files / "initrd")
        (files / "seed").write_bytes(extra)
        raw = folder / "raw"
        raw.write_bytes(make(folder, files, words))
        run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", raw, folder / "done"])
        (folder / "done").rename(target)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return target
