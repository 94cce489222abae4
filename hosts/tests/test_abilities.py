"""What guests can have on a host: as libvirt tells it, and as the mirror keeps it."""

from __future__ import annotations

import dataclasses

import pytest

from hosts import inventory
from hosts.hypervisor.abilities import ability
from hosts.hypervisor.processors import processors
from hosts.models import HostAbility
from hosts.tests.storage_making import make_host

pytestmark = pytest.mark.django_db(databases=["default", "metrics"])
TOLD = """<domainCapabilities><path>/usr/bin/qemu</path><domain>kvm</domain><machine>pc-q35-7.2</machine><arch>x86_64</arch>
<vcpu max='288'/>
<os supported='yes'><enum name='firmware'><value>efi</value></enum>
<loader supported='yes'><enum name='secure'><value>yes</value><value>no</value></enum></loader></os>
<cpu><mode name='host-model' supported='yes'/><mode name='maximum' supported='no'/></cpu>
<devices><disk supported='yes'><enum name='bus'><value>virtio</value><value>sata</value></enum></disk>
<tpm supported='no'/></devices></domainCapabilities>"""


def test_choices_are_known_by_place_and_what_is_not_told_is_not_said_to_lack():
    found = ability(TOLD, "q35")
    assert (found.arch, found.machine, found.virt, found.most_vcpus) == ("x86_64", "q35", "kvm", 288)
    row = HostAbility(host=make_host(), **{name: getattr(found, name) for name in found.__slots__})
    assert row.has("disk.bus", "virtio") and row.lacks("disk.bus", "ide")
    assert not row.lacks("loader.secure", "yes") and not row.lacks("os.firmware", "efi")
    assert row.lacks("cpu.mode", "maximum") and not row.lacks("cpu.mode", "host-model")
    assert row.lacks("tpm.backendModel", "emulator"), "no TPM at all"
    assert not row.lacks("video.modelType", "virtio"), "libvirt says nothing of it"


def test_the_mirror_keeps_the_last_answer():
    host = make_host()
    inventory.abilities_seen(host.pk, [ability(TOLD, "q35"), ability(TOLD, "pc")])
    inventory.abilities_seen(host.pk, [ability(TOLD, "q35")])
    assert [row.machine for row in host.abilities.all()] == ["q35"]


def test_a_host_is_asked_once_it_is_connected(make_test_host, roles, eventually, transactional_db):
    from hosts import notify
    from hosts.models import Host

    host = Host.objects.create(name="one", uri=make_test_host().uri)
    HostAbility.objects.create(host=host, arch="x86_64", machine="q35", virt="kvm")
    notify.changed("hosts-configured")
    # The test driver cannot tell: what was known of the host before is not true any more, and it is connected all the same.
    eventually(lambda: not HostAbility.objects.filter(host=host).exists(), what="its abilities to be asked")
    eventually(lambda: Host.objects.get(pk=host.pk).is_connected)


CPUS = """<domainCapabilities><path>/usr/bin/qemu</path><domain>kvm</domain><arch>x86_64</arch>
<os supported='yes'><loader supported='yes'><value>/usr/share/OVMF.fd</value></loader></os>
<cpu><mode name='host-model' supported='yes'><model>EPYC</model><vendor>AMD</vendor><feature policy='require' name='x2apic'/></mode>
<mode name='custom' supported='yes'><model usable='yes'>qemu64</model><model usable='no'>Penryn</model>
<blockers model='Penryn'><feature name='mpx'/></blockers></mode></cpu></domainCapabilities>"""
WHOLE = """<cpu><model>EPYC</model><feature policy='require' name='x2apic'/><feature policy='require' name='aes'/>
<feature policy='disable' name='svm'/></cpu>"""


def test_processors_are_read_with_all_features_and_what_each_model_lacks():
    found = processors(CPUS, WHOLE)
    assert (found.arch, found.virt, found.model, found.vendor) == ("x86_64", "kvm", "EPYC", "AMD")
    assert found.features == ["aes", "x2apic"], "what is switched off is none"
    assert found.known_models == {"qemu64": "yes", "Penryn": "no"} and found.blockers == {"Penryn": ["mpx"]}
    assert found.loaders == ["/usr/share/OVMF.fd"]
    assert processors(CPUS).features == [], "without the whole list nothing is guessed"


def test_the_mirror_keeps_the_last_answer_on_processors_with_its_age():
    host, told = make_host(), processors(CPUS, WHOLE)
    inventory.processors_seen(host.pk, [told, dataclasses.replace(told, virt="qemu")])
    before = host.processors.get(virt="kvm").seen_at
    inventory.processors_seen(host.pk, [dataclasses.replace(told, features=["aes"])])
    (row,) = host.processors.all()
    assert (row.virt, row.features, row.known_models["Penryn"]) == ("kvm", ["aes"], "no") and row.seen_at > before
