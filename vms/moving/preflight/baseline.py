"""Which processor features all hosts of a kind have in common. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from vms.moving.preflight.facts import Machine


class Member(NamedTuple):
    """One host, and what it has beyond the others."""

    machine: Machine
    more: tuple[str, ...]


class Baseline(NamedTuple):
    """Hosts that run guests of one architecture in one way: ``features`` and ``models`` that can be had on each of them."""

    arch: str
    virt: str
    features: tuple[str, ...]
    models: tuple[str, ...]
    members: tuple[Member, ...]
    #: hosts that have not told
    silent: tuple[str, ...]

    @property
    def is_uniform(self) -> bool:
        """Whether none has more than the others."""
        return not any(member.more for member in self.members)


def baselines(machines: Sequence[Machine]) -> list[Baseline]:
    """One for each architecture and way to run guests, of all hosts that have told."""
    kinds = sorted({kind for machine in machines for kind, known in machine.processors.items() if known.features})
    return [_baseline(arch, virt, machines) for arch, virt in kinds]


def _baseline(arch: str, virt: str, machines: Sequence[Machine]) -> Baseline:
    told = {m.name: m.processors[arch, virt] for m in machines if (arch, virt) in m.processors}
    told = {name: known for name, known in told.items() if known.features}
    common = frozenset.intersection(*[known.features for known in told.values()])
    usable = [{model for model, word in known.models.items() if word == "yes"} for known in told.values()]
    members = tuple(
        Member(machine, tuple(sorted(told[machine.name].features - common)))
        for machine in machines
        if machine.name in told
    )
    silent = tuple(m.name for m in machines if m.name not in told and m.arch in ("", arch))
    models = tuple(sorted(set.intersection(*usable)))
    return Baseline(arch, virt, tuple(sorted(common)), models, members, silent)
