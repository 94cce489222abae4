"""Definitions that libvirt's grammar allows are still allowed after every edit, and the rest of them is as it was."""

import random

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from vms.definition.domain import Definition
from vms.definition.properties import InvalidValue
from vms.tests.definition.grammar import MOST_ATTRIBUTES, Speaker
from vms.tests.definition.untouched import difference, road
from vms.tests.definition.walking import CORPUS, places, schema, title, values

#: what an element of another type has other words for: changing it alone leaves words that no longer belong there
DECIDES = {
    "base.Address": "bus port type", "boot.Os": "arch machine type nvram", "character.Channel": "target",
    "clock.Clock": "adjustment offset", "clock.Timer": "name tick_policy", "controller.Controller": "model type",
    "disk.Disk": "device type", "disk.Source": "protocol type", "features.Hyperv": "mode", "filesystem.Driver": "type",
    "filesystem.Filesystem": "type", "graphics.Graphics": "connected type", "graphics.Listen": "type",
    "graphics.Model": "type", "host.HostDevice": "mode model teaming type", "host.Smartcard": "mode",
    "host.Source": "protocol", "interface.Driver": "name", "interface.Interface": "teaming type vlan_trunk",
    "interface.Source": "host mode port_id", "interface.VirtualPort": "type", "security.LaunchSecurity": "type",
    "security.SecLabel": "relabel type", "small.Input": "bus type", "small.Rng": "backend device", "small.Tpm": "backend",
    "sound.Audio": "type", "source.NetworkHost": "transport", "source.SecurityLabel": "relabel",
    "tuning.NumaTune": "placement", "tuning.Scheduler": "scheduler",
}  # fmt: skip
#: what elements of one type have and others have not, or only together with something else ('*': all of it)
DEPENDS = {
    "base.Address": "*", "base.Device": "*", "base.Indexed": "*", "base.Zpci": "*",
    "boot.Os": "init init_arguments init_directory", "character.Channel": "*", "character.Character": "*",
    "character.Console": "*", "character.Source": "*", "clock.Clock": "*", "clock.Timer": "*",
    "controller.Controller": "*", "disk.Disk": "device raw_io sgio type", "disk.IoTune": "*", "disk.Source": "*",
    "domain.Definition": "bootloader dump_core", "features.Features": "smm_tseg", "features.Hyperv": "*",
    "filesystem.Binary": "*", "filesystem.Driver": "*", "filesystem.Filesystem": "type", "filesystem.Source": "*",
    "graphics.Graphics": "*", "graphics.Listen": "*", "graphics.Model": "ram vgamem vram64", "host.HostDevice": "*",
    "host.Smartcard": "*", "host.Source": "*", "host.SourceAddress": "*", "interface.Driver": "*",
    "interface.Interface": "mac_check mac_type managed target_managed teaming teaming_persistent vlan_trunk",
    "interface.Source": "*", "interface.VirtualPort": "*", "memory.Source": "*", "security.LaunchSecurity": "*",
    "security.SecLabel": "*", "small.Input": "*", "small.Rng": "type", "small.Tpm": "*", "sound.Audio": "*",
    "sound.Stream": "*", "source.Auth": "*", "source.Initiator": "*", "source.NetworkHost": "*", "source.Reconnect": "*",
    "source.Reservations": "*", "source.SecurityLabel": "*", "tuning.NumaTune": "*", "tuning.Scheduler": "*",
}  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32))
def test_a_valid_definition_stays_valid_and_nothing_else_of_it_changes(seed):
    chance = random.Random(seed)
    text = Speaker(chance).definition(chance.choice(("kvm", "qemu", "test")))
    definition = Definition.parse(text)
    assume(schema().validate(definition.element))
    able = [(path, prop) for path, prop in places(definition) if not prop.read_only]
    for path, prop in chance.sample(able, 25):
        edit(text, path, prop, chance)


@pytest.mark.parametrize("name", [name for name in CORPUS if schema().validate(Definition.parse(CORPUS[name]).element)])
def test_what_stands_in_a_valid_definition_can_be_changed(name):
    chance = random.Random(name)
    definition = Definition.parse(CORPUS[name])
    there = [place for place in places(definition) if not place[1].read_only and is_something(*place, definition)]
    for path, prop in there:
        edit(CORPUS[name], path, prop, chance)


def edit(text, path, prop, chance):
    """Write a value, or remove the one that is there."""
    definition = Definition.parse(text)
    node, name = definition.locate(path)
    something = is_something(path, prop, definition)
    value = None if something and chance.random() < 0.3 else chance.choice(values(prop))
    way, before = road(node, prop), definition.to_xml()
    try:
        setattr(node, name, value)
    except InvalidValue:
        assert value is None and prop.required
        return
    assert difference(before, definition.to_xml(), way, prop) == "", (path, value, text)
    most = max(len(element.attrib) for element in definition.element.iter("*"))
    if keeps_validity(prop, something and value is not None and value != []) and most <= MOST_ATTRIBUTES:
        assert schema().validate(definition.element), (path, value, text)


def keeps_validity(prop, changed):
    """Whether the grammar has to allow it: for what only changed, unless it decides; for what came or went, unless it depends."""
    kind, _, name = title(prop).rpartition(".")
    if name in DECIDES.get(kind, "").split():
        return False
    return changed or not {"*", name} & set(DEPENDS.get(kind, "").split())


def is_something(path, prop, definition):
    value = definition.get(path)
    return value is not None and value != [] and not (value is False and prop.form == "presence")
