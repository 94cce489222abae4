"""A small disk image that boots by itself and reads a cloud-init seed: the guests' kernel and initramfs behind GRUB."""

from __future__ import annotations

import hashlib
import os
import shutil
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
MENU = """set root=(hd0,msdos1)
linux /vmlinuz {words}
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


def boot_loader(folder: Path, words: str) -> bytes:
    """The sectors before the partition; its table is in the first."""
    grub = unpacked_directory()
    modules = grub / "grub-pc-bin" / "usr" / "lib" / "grub" / "i386-pc"
    menu, core = folder / "menu", folder / "core"
    menu.write_text(MENU.format(words=words))
    program = grub / "grub-common" / "usr" / "bin" / "grub-mkimage"
    run([program, "-d", modules, "-O", "i386-pc", "-p", "/", "-c", menu, "-o", core, *MODULES])
    first = bytearray((modules / "boot.img").read_bytes())
    count = PARTITION_MIB * 2**20 // SECTOR
    # One active partition of Linux; its ends in cylinders are left out.
    entry = b"\x80\0\0\0\x83\0\0\0" + FIRST.to_bytes(4, "little") + count.to_bytes(4, "little")
    first[446:512] = entry + bytes(48) + b"\x55\xaa"
    return bytes(first) + core.read_bytes()


def build(words: str) -> Path:
    """The image from the cache, made if it is not there yet; ``words`` is the kernel's command line."""
    picture, extra = image.build(), overlay()
    mark = hashlib.sha256(extra + words.encode() + Path(__file__).read_bytes()).hexdigest()[:12]
    target = picture.kernel.with_name(f"cloud-{mark}.qcow2")
    if target.exists():
        return target
    say("lab: building the image of a guest that boots by itself")
    folder = cache_directory() / f"cloud.{os.getpid()}"
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "files").mkdir(parents=True)
    try:
        shutil.copyfile(picture.kernel, folder / "files" / "vmlinuz")
        shutil.copyfile(picture.initrd, folder / "files" / "initrd")
        (folder / "files" / "seed").write_bytes(extra)
        run(["mke2fs", "-q", "-t", "ext2", "-d", folder / "files", folder / "partition", f"{PARTITION_MIB}M"])
        raw = folder / "raw"
        raw.write_bytes(boot_loader(folder, words).ljust(FIRST * SECTOR, b"\0") + (folder / "partition").read_bytes())
        run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", raw, folder / "done"])
        (folder / "done").rename(target)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return target
