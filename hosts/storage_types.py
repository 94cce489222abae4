"""The types of pools libvirt has: what each asks for, what can be done with it. Plain data only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext_lazy as _


@dataclass(frozen=True, slots=True)
class PoolType:
    """One type. ``fields`` are asked for when a pool is defined; those in ``required`` cannot be left out."""

    name: str
    label: Any
    hint: Any
    fields: tuple[str, ...]
    required: tuple[str, ...] = ()
    formats: tuple[str, ...] = ()
    #: libvirt's name for how it authenticates, '' when it does not
    auth: str = ""
    path: str = ""
    finds: bool = False
    builds: bool = False
    deletes: bool = False
    #: formats in which volumes can be made; none where they are made elsewhere
    creates: tuple[str, ...] = ()
    resizes: bool = False
    #: the Debian package with its driver, where it is not with libvirtd
    package: str = ""


FILES = ("qcow2", "raw")
_FS = ("auto", "ext2", "ext3", "ext4", "ufs", "iso9660", "udf", "gfs", "gfs2", "vfat", "hfs+", "xfs", "ocfs2", "vmfs")
_DISK = ("unknown", "dos", "dvh", "gpt", "mac", "bsd", "pc98", "sun", "lvm2")

TYPES: dict[str, PoolType] = {
    one.name: one
    for one in (
        PoolType(
            "dir", _("Folder"), _("A folder of the host. Volumes are files in it."), ("path",), ("path",),
            path="/var/lib/libvirt/images", builds=True, deletes=True, creates=FILES, resizes=True,
        ),
        PoolType(
            "fs", _("File system on a device"), _("A partition or disk, mounted on a folder while the pool is on."),
            ("device", "format", "path"), ("device", "path"), _FS, path="/mnt", builds=True, deletes=True, creates=FILES,
            resizes=True,
        ),
        PoolType(
            "netfs", _("Network file system"), _("An export of a file server (NFS, CIFS, Gluster), mounted while the pool is on."),
            ("host", "folder", "format", "path"), ("host", "folder", "path"), ("auto", "nfs", "glusterfs", "cifs"),
            path="/mnt", finds=True, builds=True, deletes=True, creates=FILES, resizes=True,
        ),
        PoolType(
            "logical", _("LVM volume group"), _("Volumes are logical volumes. Devices are named only to make a new group of them."),
            ("source_name", "devices"), ("source_name",), path="/dev", finds=True, builds=True, deletes=True, creates=("raw",),
        ),
        PoolType(
            "disk", _("Whole disk"), _("Volumes are the disk's partitions."), ("device", "format", "path"), ("device",), _DISK,
            path="/dev", builds=True, creates=("raw",),
        ),
        PoolType(
            "iscsi", _("iSCSI target"), _("Volumes are the target's units; they are made on the target itself."),
            ("host", "port", "target", "initiator", "username", "password", "path"), ("host", "target"), auth="chap",
            path="/dev/disk/by-path", finds=True, package="libvirt-daemon-driver-storage-iscsi",
        ),
        PoolType(
            "iscsi-direct", _("iSCSI target, without the host's initiator"), _("QEMU speaks to the target itself."),
            ("host", "port", "target", "initiator", "username", "password"), ("host", "target", "initiator"), auth="chap",
            finds=True, package="libvirt-daemon-driver-storage-iscsi-direct",
        ),
        PoolType(
            "scsi", _("SCSI adapter"), _("Volumes are the units that a host bus adapter sees."),
            ("adapter", "wwnn", "wwpn", "path"), path="/dev/disk/by-path",
        ),
        PoolType("mpath", _("Multipath devices"), _("All multipath devices of the host. There is nothing to choose."), ()),
        PoolType(
            "rbd", _("Ceph RBD"), _("Volumes are images of a Ceph pool; nothing is mounted."),
            ("hosts", "source_name", "username", "password"), ("hosts", "source_name"), auth="ceph", creates=("raw",), resizes=True,
            package="libvirt-daemon-driver-storage-rbd",
        ),
        PoolType(
            "gluster", _("Gluster volume"), _("QEMU speaks to the Gluster servers itself; nothing is mounted."),
            ("host", "source_name", "folder"), ("host", "source_name"), finds=True,
            package="libvirt-daemon-driver-storage-gluster",
        ),
        PoolType(
            "zfs", _("ZFS pool"), _("Volumes are ZFS volumes. Devices are named only to make a new pool of them."),
            ("source_name", "devices"), ("source_name",), builds=True, deletes=True, creates=("raw",),
            package="libvirt-daemon-driver-storage-zfs",
        ),
        PoolType(
            "vstorage", _("Virtuozzo Storage"), _("A cluster mounted on a folder while the pool is on."),
            ("source_name", "path"), ("source_name", "path"), path="/mnt", builds=True, creates=FILES, resizes=True,
        ),
    )
}  # fmt: skip


def type_of(name: str) -> PoolType:
    """The type; one that libvirt has learnt since then can be looked at and nothing more."""
    return TYPES.get(name) or PoolType(name, name, "", ())
