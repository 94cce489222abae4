"""``<cpu>``: which processor the guest sees, and how it is divided into sockets and NUMA cells."""

from __future__ import annotations

from vms.definition.nodes import Many, Nested, Node
from vms.definition.properties import Choice, Integer, OnOff, Size, Text, YesNo
from vms.definition.sentences import say

CPUSET = r"([0-9]+(-[0-9]+)?|\^[0-9]+)(,([0-9]+(-[0-9]+)?|\^[0-9]+))*"
A_CPUSET = say("Numbers and ranges such as “0-3,6”.")


class Topology(Node):
    """``<topology>``"""

    born = {"sockets": "1", "cores": "1", "threads": "1"}
    sockets = Integer("@sockets", 1, 2**32 - 1, required=True)
    dies = Integer("@dies", 1, 2**32 - 1)
    cores = Integer("@cores", 1, 2**32 - 1, required=True)
    threads = Integer("@threads", 1, 2**32 - 1, required=True)


class Feature(Node):
    """``<feature>``: one flag of the processor."""

    natural_key = "name"
    born = {"policy": "require"}
    name = Text("@name", r"[a-zA-Z0-9\-_.]+", required=True)
    policy = Choice("@policy", ("force", "require", "optional", "disable", "forbid"), required=True)


class Distance(Node):
    """``<sibling>``: how far another cell's memory is."""

    natural_key = "id"
    id = Integer("@id", 0, 2**32 - 1, required=True)
    value = Integer("@value", 10, 255, required=True)


class Cell(Node):
    """``<cell>``: a NUMA node of the guest."""

    natural_key = "id"
    id = Integer("@id", 0, 2**32 - 1)
    cpus = Text("@cpus", CPUSET, A_CPUSET)
    memory = Size("@memory", required=True)
    access = Choice("@memAccess", ("shared", "private"))
    discard = YesNo("@discard")
    distances = Many("distances/sibling", Distance)


class Cpu(Node):
    """``<cpu>``"""

    order = "model vendor topology cache maxphysaddr feature numa"
    mode = Choice("@mode", ("custom", "host-model", "host-passthrough", "maximum"))
    match = Choice("@match", ("minimum", "exact", "strict"))
    check = Choice("@check", ("none", "partial", "full"))
    migratable = OnOff("@migratable")
    model = Text("model")
    fallback = Choice("model@fallback", ("allow", "forbid"))
    vendor_id = Text("model@vendor_id", r"[^,]{12}", say("Twelve characters."))
    vendor = Text("vendor")
    topology = Nested("topology", Topology)
    features = Many("feature", Feature)
    cells = Many("numa/cell", Cell)
    cache_mode = Choice("cache@mode", ("emulate", "passthrough", "disable"), whole=True)
    cache_level = Integer("cache@level", 1, 3, born={"mode": "emulate"})
    address_mode = Choice("maxphysaddr@mode", ("emulate", "passthrough"), whole=True)
    address_bits = Integer("maxphysaddr@bits", 0, 2**32 - 1, born={"mode": "emulate"})
