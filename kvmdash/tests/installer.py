"""What an “installer” boots from in the tests: the lab guests' own kernel on a CD, or handed out over the network."""

from __future__ import annotations

import io
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pycdlib

from lab import guests, image
from lab.commands import run
from lab.install import unpacked_directory

#: a CD is found by what is on it, a server's file by its name
CD_MENU = "search --no-floppy --set=root --file /vmlinuz\n"
NET_MENU = "set root=(pxe)\n"
MENU = "linux /vmlinuz {words}\ninitrd /initrd\nboot\n"
PADDING = 150 * 2048
CD_MODULES = ("biosdisk", "iso9660", "search", "search_fs_file", "linux", "normal")
NET_MODULES = ("pxe", "tftp", "linux", "normal")


def _core(form: str, menu: str, modules: tuple[str, ...]) -> bytes:
    """GRUB with its menu inside."""
    grub = unpacked_directory()
    program = grub / "grub-common" / "usr" / "bin" / "grub-mkimage"
    folder = Path(tempfile.mkdtemp(prefix="kvmdash-grub-"))
    try:
        (folder / "menu").write_text(menu)
        where = grub / "grub-pc-bin" / "usr" / "lib" / "grub" / "i386-pc"
        command: list[Any] = [program, "-d", where, "-O", form, "-p", "/", "-c", folder / "menu", "-o", folder / "core"]
        run([*command, *modules])
        return (folder / "core").read_bytes()
    finally:
        shutil.rmtree(folder)


def cd(name: str) -> bytes:
    """A CD that boots a guest of that name."""
    picture = image.build()
    words = " ".join([*guests.COMMAND_LINE, f"guest={name}"])
    core = _core("i386-pc-eltorito", CD_MENU + MENU.format(words=words), CD_MODULES)
    disc = pycdlib.PyCdlib()
    disc.new(interchange_level=3, rock_ridge="1.09", vol_ident="INSTALLER")
    files = {"vmlinuz": picture.kernel.read_bytes(), "initrd": picture.initrd.read_bytes(), "boot": core}
    for number, (named, data) in enumerate(files.items()):
        disc.add_fp(io.BytesIO(data), len(data), f"/FILE{number}.;1", rr_name=named)
    disc.add_eltorito(
        "/FILE2.;1", bootcatfile="/BOOT.CAT;1", rr_bootcatname="boot.cat", boot_load_size=4, boot_info_table=True
    )
    out = io.BytesIO()
    disc.write_fp(out)
    disc.close()
    # GRUB reads 32 KiB at a time, also where the disc ends.
    return out.getvalue() + bytes(PADDING)


def serve(folder: Path, name: str) -> str:
    """Lay into a server's folder what boots a guest of that name; the name of the file that comes first."""
    picture = image.build()
    words = " ".join([*guests.COMMAND_LINE, f"guest={name}"])
    shutil.copyfile(picture.kernel, folder / "vmlinuz")
    shutil.copyfile(picture.initrd, folder / "initrd")
    (folder / "boot.0").write_bytes(_core("i386-pc-pxe", NET_MENU + MENU.format(words=words), NET_MODULES))
    for file in folder.iterdir():
        file.chmod(0o644)
    return "boot.0"
