"""The synthetic monorepo: its packages, their files, and the commit of them.

Every tool gets a folder of its own with the same packages and a git commit of them. A task's
command appends the task's name to a log outside the folder, so what was executed can be counted
in the same way for every tool. This file knows nothing of any tool nor of timing.
"""

from __future__ import annotations

import shlex
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List

FILE_BYTES = 1024


@dataclass(frozen=True)
class Shape:
    """How large a monorepo is, and where its tasks log that they ran."""

    packages: int
    files: int
    jobs: int
    ran: Path

    def needs(self, number: int) -> List[int]:
        """The packages that a package needs: its two children in a binary tree."""
        return [n for n in (2 * number + 1, 2 * number + 2) if n < self.packages]

    def command(self, number: int) -> str:
        """The shell line of a package's task."""
        return f"echo p{number} >> {shlex.quote(str(self.ran))}"

    def paths(self, number: int) -> List[str]:
        """The files of a package, relative to the root."""
        return [f"packages/p{number}/f{n}.txt" for n in range(self.files)]


def write_text(path: Path, text: str) -> None:
    """Writes a file and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def filler(label: str) -> str:
    """The content of one source file: no two are equal, each is FILE_BYTES long."""
    line = f"{label} the quick brown fox jumps over the lazy dog\n"
    return (line * (FILE_BYTES // len(line) + 1))[:FILE_BYTES]


def write_sources(root: Path, shape: Shape) -> None:
    """Writes the files of all packages."""
    for number in range(shape.packages):
        for name in shape.paths(number):
            write_text(root / name, filler(name))


def commit(root: Path, env: Dict[str, str], ignored: List[str]) -> None:
    """Makes the folder a repository with one commit, whose index vouches for every file."""
    write_text(root / ".gitignore", "".join(f"{line}\n" for line in ignored))
    # A file as young as the index is "racy": git, and whoever trusts the index, reads it again.
    time.sleep(1.1)
    identity = ["-c", "user.name=bench", "-c", "user.email=bench@localhost"]
    for args in (
        ["init", "--quiet", "--initial-branch=main"],
        ["config", "gc.auto", "0"],
        ["config", "maintenance.auto", "false"],
        ["add", "--all"],
        identity + ["commit", "--quiet", "--message=bench"],
        ["status", "--short"],
    ):
        subprocess.run(["git"] + args, cwd=root, env=env, check=True, stdout=subprocess.DEVNULL)
