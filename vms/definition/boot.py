"""``<os>``: what the guest boots, and with which firmware."""

from __future__ import annotations

from vms.definition.nodes import Node
from vms.definition.properties import Choice, Integer, Text, Words, YesNo
from vms.definition.sentences import say

ARCHITECTURES = (
    "x86_64", "i686", "aarch64", "armv7l", "armv6l", "riscv64", "riscv32", "ppc64le", "ppc64", "ppc", "s390x", "s390",
    "loongarch64", "alpha", "ia64", "m68k", "mips", "mipsel", "mips64", "mips64el", "sparc", "sparc64",
)  # fmt: skip
_PATH, _HINT = r"/[^\n]+", say("A path begins with “/”.")
_TYPE = {".": "hvm"}


class Os(Node):
    """``<os>``"""

    order = (
        "type firmware init initarg initenv initdir inituser initgroup loader nvram kernel initrd root cmdline dtb acpi boot "
        "bootmenu bios smbios"
    )
    type = Choice("type", ("hvm", "exe", "xen", "linux", "xenpvh"), required=True)
    arch = Choice("type@arch", ARCHITECTURES, born=_TYPE)
    machine = Text("type@machine", r"[a-zA-Z0-9_.\-]+", born=_TYPE)
    firmware = Choice("@firmware", ("efi", "bios"))
    secure_boot = YesNo("firmware/feature[name=secure-boot]@enabled")
    enrolled_keys = YesNo("firmware/feature[name=enrolled-keys]@enabled")
    loader = Text("loader", _PATH, _HINT)
    loader_readonly = YesNo("loader@readonly")
    loader_secure = YesNo("loader@secure")
    loader_type = Choice("loader@type", ("rom", "pflash"))
    loader_stateless = YesNo("loader@stateless")
    nvram = Text("nvram", _PATH, _HINT)
    nvram_template = Text("nvram@template", _PATH, _HINT)
    boot_devices = Words("boot@dev", ("hd", "cdrom", "network", "fd"))
    boot_menu = YesNo("bootmenu@enable", whole=True)
    boot_menu_timeout = Integer("bootmenu@timeout", 0, 65535, born={"enable": "yes"})
    smbios = Choice("smbios@mode", ("emulate", "host", "sysinfo"))
    bios_serial = YesNo("bios@useserial")
    reboot_timeout = Integer("bios@rebootTimeout", -1, 32767)
    kernel = Text("kernel", _PATH, _HINT)
    initrd = Text("initrd", _PATH, _HINT)
    cmdline = Text("cmdline")
    dtb = Text("dtb", _PATH, _HINT)
    init = Text("init", _PATH, _HINT)
    init_arguments = Words("initarg")
    init_directory = Text("initdir", _PATH, _HINT)


class Smbios(Node):
    """``<sysinfo type='smbios'>``: what the guest reads about its maker."""

    order = "bios system baseBoard chassis oemStrings"
    bios_vendor = Text("bios/entry[name=vendor]")
    bios_version = Text("bios/entry[name=version]")
    manufacturer = Text("system/entry[name=manufacturer]")
    product = Text("system/entry[name=product]")
    version = Text("system/entry[name=version]")
    serial = Text("system/entry[name=serial]")
    uuid = Text("system/entry[name=uuid]")
    sku = Text("system/entry[name=sku]")
    family = Text("system/entry[name=family]")
    asset = Text("chassis/entry[name=asset]")
    oem_strings = Words("oemStrings/entry")
