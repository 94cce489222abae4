"""The same guest as commands that a person could type."""

from __future__ import annotations

import shlex

from vms.creation.hardware import Hardware
from vms.creation.plan import NewVolume, Plan
from vms.deleting import SEED

MIB = 2**20
GIB = 2**30


def command(plan: Plan) -> str:
    """virt-install for what is built anew, virt-clone for a copy; what they cannot do comes before."""
    return "\n".join(_copy(plan) if plan.text else [*_unpacked(plan), *_copied(plan), _install(plan)])


def _unpacked(plan: Plan) -> list[str]:
    """The disks of an appliance, taken out of it and converted, on the host itself."""
    lines: list[str] = []
    for volume in plan.volumes:
        if volume.how != "unpack" or volume.source is None or volume.part is None:
            continue
        if not lines:
            lines.append(shlex.join(["tar", "-xf", volume.source.path]))
        form = volume.part.format
        lines.append(
            shlex.join(["qemu-img", "convert", "-f", form, "-O", volume.format, volume.part.file, volume.path])
        )
    return lines


def _copied(plan: Plan) -> list[str]:
    """The images that are copied, on the host itself."""
    lines = []
    for volume in plan.volumes:
        if volume.how != "copy" or volume.source is None:
            continue
        form = volume.source.format or "raw"
        lines.append(
            shlex.join(["qemu-img", "convert", "-f", form, "-O", volume.format, volume.source.path, volume.path])
        )
        if volume.capacity > volume.source.capacity:
            lines.append(shlex.join(["qemu-img", "resize", "-f", volume.format, volume.path, str(volume.capacity)]))
    return lines


def _install(plan: Plan) -> str:
    frame, hardware, arguments = plan.frame, plan.hardware, plan.arguments
    words = ["--name", frame.name, "--uuid", str(plan.uuid)]
    words += ["--memory", str(frame.memory // MIB), "--vcpus", str(frame.vcpus)]
    words += ["--osinfo", plan.system.short_id if plan.system is not None else "detect=on,require=off"]
    words += ["--virt-type", plan.platform.virt] if plan.platform.virt else []
    words += ["--machine", hardware.machine] if plan.platform.machine else []
    words += ["--cpu", hardware.cpu] if hardware.cpu != "default" else []
    words += _boot(hardware)
    for key, drive in plan.drives:
        volume = next((one for one in plan.volumes if one.key == key), None)
        if key == "seed":
            words += ["--cloud-init", "user-data=user-data,meta-data=meta-data,network-config=network-config"]
        elif drive.device == "disk":
            words += [
                "--disk",
                _disk(volume, drive.bus) if volume is not None else f"path={drive.path},bus={drive.bus}",
            ]
        elif drive.path and arguments["road"] == "install" and "--cdrom" not in words:
            words += ["--cdrom", drive.path]
        else:
            words += ["--disk", f"path={drive.path},device=cdrom"]
    words += ["--pxe"] if arguments.get("pxe") else [] if arguments["road"] == "install" else ["--import"]
    for network in frame.networks:
        words += ["--network", f"network={network},model={hardware.card}"]
    words += [] if frame.networks else ["--network", "none"]
    words += ["--graphics", "none" if hardware.video == "none" else "vnc"]
    words += ["--tpm", "model=tpm-crb,backend.type=emulator,backend.version=2.0"] if hardware.tpm else []
    words += ["--autostart"] if arguments.get("autostart") else []
    words += ["--noautoconsole"] if arguments.get("start") else ["--noautoconsole", "--noreboot"]
    return shlex.join(["virt-install", *words])


def _boot(hardware: Hardware) -> list[str]:
    if hardware.firmware == "bios":
        return []
    secure = hardware.firmware == "secure"
    words = [f"firmware.feature{number}.name={name}" for number, name in enumerate(("secure-boot", "enrolled-keys"))]
    words = [f"{word},{word.partition('.name=')[0]}.enabled={'yes' if secure else 'no'}" for word in words]
    return ["--boot", ",".join(["firmware=efi", *words]), *(["--features", "smm.state=on"] if secure else [])]


def _disk(volume: NewVolume, bus: str) -> str:
    if volume.how in ("copy", "unpack"):
        return f"path={volume.path},bus={bus}"
    parts = [f"pool={volume.pool.name}", f"size={-(-volume.capacity // GIB)}", f"format={volume.format}", f"bus={bus}"]
    if volume.source is not None:
        parts += [f"backing_store={volume.source.path}", f"backing_format={volume.source.format or 'raw'}"]
    return ",".join(parts)


def _copy(plan: Plan) -> list[str]:
    lines, files = [], []
    for volume in plan.volumes:
        if volume.source is None:
            continue
        if volume.how == "link":
            words = ["vol-create-as", volume.pool.name, volume.name, str(volume.capacity), "--format", "qcow2"]
            words += ["--backing-vol", volume.source.path, "--backing-vol-format", volume.source.format or "raw"]
            lines.append(shlex.join(["virsh", *words]))
        files += ["--file", volume.path]
    name = (plan.text.partition("<name>")[2]).partition("</name>")[0]
    preserve = ["--preserve-data"] if lines else []
    lines.append(shlex.join(["virt-clone", "--original", name, "--name", plan.frame.name, *files, *preserve]))
    if any(volume.name.endswith(SEED) for volume in plan.volumes):
        lines.append(f"# {plan.frame.name}{SEED}: user-data, meta-data")
    return lines
