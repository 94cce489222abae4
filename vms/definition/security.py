"""``<seclabel>`` and ``<launchSecurity>``: labels on the host, and memory that the host cannot read."""

from __future__ import annotations

from vms.definition.nodes import Node
from vms.definition.properties import Choice, Integer, Text, YesNo


class SecLabel(Node):
    """``<seclabel>``"""

    natural_key = "model"
    order = "label imagelabel baselabel"
    type = Choice("@type", ("dynamic", "static", "none"))
    model = Text("@model")
    relabel = YesNo("@relabel")
    label = Text("label")
    baselabel = Text("baselabel")
    imagelabel = Text("imagelabel", read_only=True)


class LaunchSecurity(Node):
    """``<launchSecurity>``"""

    born = {"type": "sev"}
    order = "cbitpos reducedPhysBits policy handle dhCert session"
    type = Choice("@type", ("sev", "s390-pv"), required=True)
    kernel_hashes = YesNo("@kernelHashes")
    cbitpos = Integer("cbitpos", 0, 2**32 - 1)
    reduced_phys_bits = Integer("reducedPhysBits", 0, 2**32 - 1)
    policy = Integer("policy", 0, 2**32 - 1, digits=4)
    dh_cert = Text("dhCert")
    session = Text("session")
