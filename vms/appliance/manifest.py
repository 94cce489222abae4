"""The checksums that come with an appliance."""

from __future__ import annotations

import re

from vms.appliance.errors import BadAppliance
from vms.definition.sentences import say

MOST_BYTES = 256 * 1024
LENGTHS = {"sha1": 40, "sha256": 64, "sha512": 128}
_LINE = re.compile(r"(SHA1|SHA256|SHA512)\s*\((.{1,255})\)\s*=\s*([0-9a-fA-F]{40,128})")


def parse(data: bytes) -> dict[str, str]:
    """File name → its checksum, as ``sha256:…``. Raises BadAppliance for what is no manifest."""
    found: dict[str, str] = {}
    for line in data.decode("utf-8", "replace").splitlines():
        if not line.strip():
            continue
        match = _LINE.fullmatch(line.strip())
        algorithm = match[1].lower() if match is not None else ""
        if match is None or len(match[3]) != LENGTHS[algorithm]:
            raise BadAppliance(say("A line of its manifest (.mf) cannot be read, so nothing in it can be checked."))
        name = match[2].removeprefix("./")
        if name in found:
            raise BadAppliance(say("Its manifest (.mf) names “%(name)s” twice.", name=name))
        found[name] = f"{algorithm}:{match[3].lower()}"
    return found
