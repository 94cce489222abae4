"""What reading, editing and writing definitions costs against bare lxml doing the same.

python -m bench.definition [--definitions 1000] [--rounds 15]

A thousand definitions of four kinds are parsed, changed in six places (some of which are not there before) and written. Both ways
take turns, and each round is a ratio. First it is made sure that both mean the same in the end.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable
from pathlib import Path

from lxml import etree

from bench.report import Figure, arguments, at_most, fact, finish, say
from vms.definition.changes import digest
from vms.definition.domain import Definition

GOAL = 1.5
CORPUS = Path(__file__).resolve().parents[1] / "vms/tests/definition/corpus"
KINDS = ("linux_server", "windows11", "macos", "cluster_gfs")


def definitions(count: int) -> list[str]:
    """So many definitions, none like the other."""
    texts = [(CORPUS / f"{kind}.xml").read_text() for kind in KINDS]
    return [texts[number % len(texts)].replace("<name>", f"<name>{number}-", 1) for number in range(count)]


def ours(text: str) -> str:
    """Through declared properties."""
    definition = Definition.parse(text)
    definition.title = "Changed"
    definition.memory = 6 * 2**30
    definition.vcpu.count = 12
    disk = definition.devices.disks[0]
    disk.driver.cache = "unsafe"
    disk.iotune.read_iops_sec = 500
    definition.devices.interfaces[0].model = "e1000e"
    return definition.to_xml()


def bare(text: str) -> str:
    """By hand, with nothing checked and no regard for indentation."""
    root = etree.fromstring(text.encode())
    title = root.find("title")
    if title is None:
        title = etree.SubElement(root, "title")
    title.text = "Changed"
    memory = root.find("memory")
    memory.text, memory.attrib["unit"] = str(6 * 2**20), "KiB"
    root.find("vcpu").text = "12"
    disk = root.find("devices/disk")
    driver = disk.find("driver")
    if driver is None:
        driver = etree.SubElement(disk, "driver")
    driver.set("cache", "unsafe")
    iotune = disk.find("iotune")
    if iotune is None:
        iotune = etree.SubElement(disk, "iotune")
    limit = iotune.find("read_iops_sec")
    if limit is None:
        limit = etree.SubElement(iotune, "read_iops_sec")
    limit.text = "500"
    root.find("devices/interface/model").set("type", "e1000e")
    return etree.tostring(root, encoding="unicode")


def seconds(work: Callable[[str], str], texts: list[str]) -> float:
    """Processor time for all: others on the machine do not count."""
    gc.collect()
    begin = time.process_time()
    for text in texts:
        work(text)
    return time.process_time() - begin


def meaning(text: str) -> str:
    """A digest that does not know in which unit memory was written."""
    definition = Definition.parse(text)
    definition.memory = 1
    return digest(definition.to_xml())


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--definitions", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    texts = definitions(options.definitions)
    if any(meaning(ours(text)) != meaning(bare(text)) for text in texts[: len(KINDS)]):
        raise SystemExit("the two ways do not come to the same")
    ratios, per_one = [], []
    say(f"{len(texts)} definitions of {statistics.mean(map(len, texts)):.0f} characters, {options.rounds} rounds")
    for _ in range(options.rounds):
        mine, plain = seconds(ours, texts), seconds(bare, texts)
        ratios.append(mine / plain)
        per_one.append(1e6 * mine / len(texts))
    figures: list[Figure] = [
        at_most("parse, edit and write, against bare lxml (median)", statistics.median(ratios), GOAL, "×", 2),
        fact("least and most of the rounds", f"{min(ratios):.2f}× to {max(ratios):.2f}×"),
        fact("one definition", f"{statistics.median(per_one):.0f} µs"),
    ]
    finish(figures, options)


if __name__ == "__main__":
    main()
