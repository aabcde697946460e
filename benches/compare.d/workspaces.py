"""The synthetic monorepo: its packages, their files, and its commit.

Every tool gets a folder of its own with the same packages in a git commit. Each task appends its
name to a log outside of the folder, so that the executed tasks can be counted in the same way for
every tool. This file does not know any tool, and does not measure anything.
"""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import time
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List, Tuple

FILE_BYTES = 1024


@dataclass(frozen=True)
class Shape:
    """The size of a monorepo, and the file to which its tasks write that they ran."""

    packages: int
    files: int
    jobs: int
    ran: Path

    def needs(self, number: int) -> List[int]:
        """Returns the packages that a package needs: its two children in a binary tree."""
        return [n for n in (2 * number + 1, 2 * number + 2) if n < self.packages]

    def command(self, number: int) -> str:
        """Returns the shell line of a package's task."""
        return f"echo p{number} >> {shlex.quote(str(self.ran))}"

    def paths(self, number: int) -> List[str]:
        """Returns the files of a package, relative to the root."""
        return [f"packages/p{number}/f{n}.txt" for n in range(self.files)]


def write_text(path: Path, text: str) -> None:
    """Writes a file and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def filler(label: str) -> str:
    """Returns the content of one source file. All are different, and each has FILE_BYTES bytes."""
    line = f"{label} the quick brown fox jumps over the lazy dog\n"
    return (line * (FILE_BYTES // len(line) + 1))[:FILE_BYTES]


def write_sources(root: Path, shape: Shape) -> None:
    """Writes the files of all packages."""
    for number in range(shape.packages):
        for name in shape.paths(number):
            write_text(root / name, filler(name))


EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "polyglot"


def write_probes(root: Path, shape: Shape, env: Dict[str, str]) -> Tuple[List[str], List[str]]:
    """Writes the files of the example `polyglot`, and a task for each part that names its tools.

    Returns the tools that are probed, and those that are not installed.
    """
    shutil.copytree(EXAMPLE, root, dirs_exist_ok=True, ignore=shutil.ignore_patterns("node_modules", "target"))
    tools = tomllib.loads((EXAMPLE / "tasks.toml").read_text())["tools"]
    used, absent = [], []
    for name, probe in tools.items():
        done = subprocess.run(["sh", "-c", probe], cwd=root, env=env, capture_output=True)
        (used if done.returncode == 0 else absent).append(name)
    parts = ["[tools]"] + [f"{name} = {json.dumps(tools[name])}" for name in used]
    folders = ["catalog", "worker", "web"]
    for number, folder in enumerate(folders):
        parts.append(
            f"[tasks.{folder}]\nrun = {json.dumps(shape.command(number))}\n"
            f'inputs = ["{folder}/**", "contract/**"]\ntools = {json.dumps(used)}'
        )
    parts.append(f"[tasks.all]\nneeds = {json.dumps(folders)}\n[hooks]\npre-push = [\"all\"]")
    write_text(root / "tasks.toml", "\n".join(parts) + "\n")
    return used, absent


def commit(root: Path, env: Dict[str, str], ignored: List[str]) -> None:
    """Makes the folder a repository with one commit. Its index is up to date."""
    write_text(root / ".gitignore", "".join(f"{line}\n" for line in ignored))
    # A file as new as the index is "racy": git, and tools that use the index, read it again.
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
