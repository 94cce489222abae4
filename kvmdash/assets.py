"""Copy the front-end files we serve out of node_modules: ``python -m kvmdash.assets``.

Nothing is bundled or transpiled. A whitelist of files goes to ``static/vendor/`` as it is, only without source map
references (the manifest storage would look for the maps and fail), and the Tabler icons that are really used become one
small sprite.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NODE_MODULES = ROOT / "node_modules"
VENDOR = ROOT / "static" / "vendor"

TEXT_SUFFIXES = frozenset({".css", ".js", ".mjs", ".svg"})
SOURCE_MAP = re.compile(
    rb"(?m)^[ \t]*(?://[#@][ \t]*sourceMappingURL=.*|/\*[#@][ \t]*sourceMappingURL=.*?\*/)[ \t]*\n?"
)

SCANNED = (("templates", "*.html"), ("static/js", "*.js"), ("kvmdash", "*.py"), ("hosts", "*.py"), ("vms", "*.py"))
ICON_USES = re.compile(
    r"""\{%-?\s*icon\s+["']([a-z0-9-]+)["']"""  # {% icon "name" %}
    r"""|icons\.svg\#([a-z0-9-]+)"""  # icons.svg#name
    r"""|\b(?:icon|icon_name)["']?\s*[=:]\s*["']([a-z0-9-]+)["']"""  # icon="name", icon: "name", "icon": "name"
    r"""|\bicon\(\s*["']([a-z0-9-]+)["']""",  # icon("name") in our JavaScript
    re.VERBOSE,
)
FILLED = "-filled"


@dataclass(frozen=True)
class Copy:
    """Files of one npm package which go to one folder below ``static/vendor``."""

    source: str
    pattern: str
    target: str


COPIES = (
    Copy("@tabler/core/dist/css", "tabler.min.css", "tabler"),
    Copy("@fontsource-variable/inter", "wght.css", "inter"),
    Copy("@fontsource-variable/inter", "files/*-wght-normal.woff2", "inter"),
    Copy("uplot/dist", "uPlot.esm.js", "uplot"),
    Copy("uplot/dist", "uPlot.min.css", "uplot"),
    Copy("idiomorph/dist", "idiomorph.esm.js", "idiomorph"),
    Copy("@novnc/novnc", "core/**/*.js", "novnc"),
    Copy("@novnc/novnc", "vendor/**/*.js", "novnc"),
    Copy("@novnc/novnc", "LICENSE.txt", "novnc"),
    Copy("@xterm/xterm/lib", "xterm.mjs", "xterm"),
    Copy("@xterm/xterm/css", "xterm.css", "xterm"),
    Copy("@xterm/xterm", "LICENSE", "xterm"),
    Copy("@xterm/addon-fit/lib", "addon-fit.mjs", "xterm"),
)


class AssetError(Exception):
    """Something that ought to be there is not; the message says what to do."""


def write_if_changed(path: Path, content: bytes) -> bool:
    """Write only what differs, so that watchers and caches see no change where there is none."""
    if path.is_file() and path.read_bytes() == content:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return True


def without_source_map(content: bytes) -> bytes:
    """Drop the reference to a source map which we do not ship."""
    return SOURCE_MAP.sub(b"", content)


def copy_package_files(copy: Copy, modules: Path, vendor: Path) -> Iterator[tuple[Path, bool]]:
    """Copy one whitelist entry; yields each target and whether it changed."""
    source = modules / copy.source
    found = sorted(path for path in source.glob(copy.pattern) if path.is_file())
    if not found:
        raise AssetError(f"{copy.source}/{copy.pattern} is missing: run npm ci --ignore-scripts first")
    for path in found:
        target = vendor / copy.target / path.relative_to(source)
        content = path.read_bytes()
        if path.suffix in TEXT_SUFFIXES:
            content = without_source_map(content)
        yield target, write_if_changed(target, content)


def scanned_files(root: Path) -> Iterator[Path]:
    """The files of our own in which an icon can be named (this one only explains how)."""
    for folder, pattern in SCANNED:
        yield from (path for path in sorted((root / folder).rglob(pattern)) if path.name != Path(__file__).name)


def used_icons(files: Iterable[Path]) -> dict[str, Path]:
    """Icon names found in the files, each with the first file which names it."""
    found: dict[str, Path] = {}
    for path in files:
        for match in ICON_USES.finditer(path.read_text(encoding="utf-8")):
            name = next(group for group in match.groups() if group)
            found.setdefault(name, path)
    return found


def icon_file(name: str, modules: Path) -> Path:
    """Where Tabler keeps an icon; names which end in -filled are in a folder of their own."""
    folder = modules / "@tabler/icons/icons"
    if name.endswith(FILLED):
        return folder / "filled" / f"{name.removesuffix(FILLED)}.svg"
    return folder / "outline" / f"{name}.svg"


def icon_symbol(name: str, svg: str) -> str:
    """Turn one Tabler SVG file into a <symbol> of the sprite."""
    body = re.sub(r"<!--.*?-->", "", svg, flags=re.DOTALL)
    inner = body[body.index(">", body.index("<svg")) + 1 : body.rindex("</svg>")]
    shapes = "".join(line.strip() for line in inner.splitlines() if 'd="M0 0h24v24H0z"' not in line)
    paint = (
        'fill="currentColor"'
        if name.endswith(FILLED)
        else 'fill="none" stroke="currentColor" stroke-linecap="round" stroke-linejoin="round"'
    )
    return f'<symbol id="{name}" viewBox="0 0 24 24" {paint}>{shapes}</symbol>'


def build_sprite(names: dict[str, Path], modules: Path) -> str:
    """One SVG with every icon which is used, and nothing else."""
    symbols = []
    for name in sorted(names):
        path = icon_file(name, modules)
        if not path.is_file():
            raise AssetError(f"there is no Tabler icon {name!r} (named in {names[name]})")
        symbols.append(icon_symbol(name, path.read_text(encoding="utf-8")))
    return '<svg xmlns="http://www.w3.org/2000/svg">\n' + "\n".join(symbols) + "\n</svg>\n"


def remove_strangers(vendor: Path, wanted: set[Path]) -> int:
    """Remove what an earlier version of the whitelist left behind."""
    strangers = [path for path in vendor.rglob("*") if path.is_file() and path not in wanted]
    for path in strangers:
        path.unlink()
    return len(strangers)


def build(root: Path = ROOT, modules: Path | None = None) -> str:
    """Bring ``static/vendor`` up to date and say in one line what was done."""
    modules = modules or root / "node_modules"
    vendor = root / "static" / "vendor"
    results = [result for copy in COPIES for result in copy_package_files(copy, modules, vendor)]
    icons = used_icons(scanned_files(root))
    sprite = vendor / "icons.svg"
    results.append((sprite, write_if_changed(sprite, build_sprite(icons, modules).encode())))
    removed = remove_strangers(vendor, {path for path, _ in results})
    changed = sum(was_changed for _, was_changed in results)
    return f"static/vendor: {len(results)} files, {changed} written, {removed} removed, {len(icons)} icons"


def main(arguments: list[str] | None = None) -> int:
    """Command line entry point."""
    parser = argparse.ArgumentParser(prog="python -m kvmdash.assets", description=__doc__)
    parser.add_argument("--node-modules", type=Path, default=NODE_MODULES, help="where npm ci has put the packages")
    options = parser.parse_args(arguments)
    try:
        sys.stdout.write(build(modules=options.node_modules) + "\n")
    except AssetError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
