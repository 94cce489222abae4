"""Packages the lab needs: some installed, some only downloaded and unpacked."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

from lab.commands import attempt, run, say
from lab.errors import LabError
from lab.names import cache_directory

INSTALLED = (
    "qemu-system-x86",
    "qemu-utils",
    "qemu-block-extra",
    "libvirt-daemon",
    "libvirt-daemon-driver-qemu",
    "libvirt-daemon-system",
    "libvirt-clients",
    "iproute2",
    "iptables",
    "dnsmasq-base",
    "openssh-server",
    "openssh-client",
    "openssl",
    "libsasl2-modules",
    # The guest agent is taken out of its package; these are the libraries it is linked with.
    "libglib2.0-0",
    "libnuma1",
    "libudev1",
    "liburing2",
    # The guest's memory dirtier is compiled when the guest's image is built.
    "gcc",
    "libc6-dev",
    # The boot loader of the image that boots by itself is put together when that is built.
    "e2fsprogs",
    "libdevmapper1.02.1",
    # UEFI with Secure Boot for guests, and what emulates their TPMs.
    "ovmf",
    "swtpm",
    "swtpm-tools",
    # What Open vSwitch is linked with.
    "libbpf1",
    "libunbound8",
)
UNPACKED = (
    "busybox-static",
    "qemu-guest-agent",
    "sasl2-bin",
    "grub-common",
    "grub-pc-bin",
    # The signed boot loaders of the image that boots under Secure Boot, and what writes its FAT.
    "shim-signed",
    "grub-efi-amd64-signed",
    "mtools",
    # Open vSwitch, which is started on a host only when somebody asks for it.
    "openvswitch-common",
    "openvswitch-switch",
    "libxdp1",
)
KERNEL = "linux-image-cloud-amd64"


def missing_packages() -> list[str]:
    """Those of INSTALLED that are not installed."""
    shown = attempt(["dpkg-query", "--show", "--showformat", "${Package} ${db:Status-Status}\n", *INSTALLED]).stdout
    present = {line.split()[0] for line in shown.splitlines() if line.endswith(" installed")}
    return [name for name in INSTALLED if name not in present]


def unpacked_directory() -> Path:
    """Where the downloaded packages' files are."""
    return cache_directory() / "unpacked"


def missing_downloads() -> list[str]:
    """Those of UNPACKED, and the kernel, that are not in the cache."""
    directory = unpacked_directory()
    return [name for name in (*UNPACKED, KERNEL) if not (directory / name / ".complete").exists()]


def kernel_package() -> str:
    """The real package behind the one that only depends on the newest kernel."""
    shown = run(["apt-cache", "depends", "--important", KERNEL])
    match = re.search(r"Depends: (linux-image-\S+)", shown)
    if not match:
        raise LabError(f"apt-cache knows no package that {KERNEL} depends on; is there a package list?")
    return match.group(1)


def download(name: str) -> None:
    """Fetch one package with apt-get and unpack it into the cache, without installing it."""
    target = unpacked_directory() / name
    partial = target.with_name(f"{name}.{os.getpid()}.part")
    shutil.rmtree(partial, ignore_errors=True)
    (partial / "package").mkdir(parents=True)
    try:
        package = kernel_package() if name == KERNEL else name
        say(f"lab: downloading {package}")
        run(["env", "-C", partial / "package", "apt-get", "-qq", "download", package], timeout=600)
        for file in (partial / "package").glob("*.deb"):
            run(["dpkg-deb", "-x", file, partial])
        shutil.rmtree(partial / "package")
        (partial / ".complete").touch()
        shutil.rmtree(target, ignore_errors=True)
        partial.rename(target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def install() -> None:
    """Bring in whatever is missing; quick when nothing is."""
    if packages := missing_packages():
        say(f"lab: installing {' '.join(packages)}")
        apt = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q", "-y"]
        run([*apt, "update"], timeout=600)
        run([*apt, "install", "--no-install-recommends", *packages], timeout=1800)
    if names := missing_downloads():
        if not attempt(["apt-cache", "show", "--no-all-versions", KERNEL]).stdout:
            run(["apt-get", "-q", "update"], timeout=600)
        unpacked_directory().mkdir(parents=True, exist_ok=True)
        for name in names:
            download(name)
    if not packages and not names:
        say("lab: nothing to install")
