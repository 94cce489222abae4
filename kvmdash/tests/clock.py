"""The wall clock of programs under test, put forward and back while they run."""

from __future__ import annotations

import mmap
import shutil
import subprocess
from pathlib import Path

import pytest


class Clock:
    """The clock of all programs that are started with ``environment``."""

    def __init__(self, folder: Path) -> None:
        compiler = shutil.which("cc") or shutil.which("gcc")
        if compiler is None:
            pytest.skip("there is no C compiler")
        library, file = folder / "wall_clock.so", folder / "ahead"
        source = Path(__file__).with_name("wall_clock.c")
        subprocess.run(
            [compiler, "-shared", "-fPIC", "-O2", "-Wall", "-Werror", "-o", library, source, "-ldl"], check=True
        )
        file.write_bytes(bytes(8))
        for path in (folder, file, library):
            path.chmod(0o755)
        with file.open("r+b") as handle:
            self._ahead = mmap.mmap(handle.fileno(), 8)
        self.environment = {"LD_PRELOAD": str(library), "WALL_CLOCK": str(file)}

    def set(self, hours: float) -> None:
        """Have it so many hours ahead of the true time."""
        self._ahead[:8] = int(hours * 3600).to_bytes(8, "little", signed=True)
