"""Which storage a definition names."""

from __future__ import annotations

import pytest

from vms.definition.storage import claims_of
from vms.definition.xml import parse

DISK = "<disk type='file' device='disk'><source file='/p/{file}'/>{more}<target dev='{dev}'/></disk>"


def domain(devices: str = "", rest: str = ""):
    return parse(f"<domain><name>g</name>{rest}<devices>{devices}</devices></domain>")


def named(*domains):
    return {(claim.path or f"{claim.pool}:{claim.volume}"): claim for claim in claims_of(domains)}


def test_a_disk_and_all_that_it_lies_on_are_named_the_latter_only_to_be_read() -> None:
    chain = "<backingStore type='file'><source file='/p/b'/><backingStore><source file='/p/c'/></backingStore></backingStore>"
    found = named(domain(DISK.format(file="a", dev="vda", more=chain)))
    assert [(path, claim.depth, claim.readonly) for path, claim in found.items()] == [
        ("/p/a", 0, False), ("/p/b", 1, True), ("/p/c", 2, True),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("<source file='/p//x/../a'/>", "/p/a"),
        ("<source dev='/dev/vg/lv'/>", "/dev/vg/lv"),
        ("<source pool='images' volume='a b'/>", "images:a b"),
        ("<source protocol='rbd' name='vms/a'><host name='m'/></source>", "vms/a"),
        ("<source protocol='nbd' name='a'><host name='m'/></source>", None),
        ("<source/>", None),
        ("", None),
    ],
)
def test_sources_are_named_as_libvirt_names_its_volumes(source: str, name: str | None) -> None:
    found = named(domain(f"<disk device='cdrom'>{source}<target dev='sda'/></disk>"))
    assert list(found) == ([name] if name else [])
    assert all(claim.readonly and claim.device == "cdrom" for claim in found.values())


def test_a_copy_under_way_and_files_outside_the_devices_count_too() -> None:
    mirror = DISK.format(file="a", dev="vda", more="<mirror type='file'><source file='/p/copy'/></mirror>")
    rest = "<os><loader>/fw/code</loader><nvram>/p/vars</nvram><kernel>/p/vmlinuz</kernel></os>"
    found = named(domain(mirror, rest))
    assert set(found) == {"/p/a", "/p/copy", "/fw/code", "/p/vars", "/p/vmlinuz"}
    assert not found["/p/vars"].readonly and found["/p/vmlinuz"].readonly


def test_what_runs_and_what_will_start_are_named_together_each_where_it_is_nearest() -> None:
    below = DISK.format(file="top", dev="vda", more="<backingStore><source file='/p/base'/></backingStore>")
    now, later = domain(below), domain(DISK.format(file="base", dev="vda", more=""))
    found = named(now, later)
    assert set(found) == {"/p/top", "/p/base"} and found["/p/base"].depth == 0 and not found["/p/base"].readonly
