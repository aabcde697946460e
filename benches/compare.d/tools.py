"""The tools: how each describes the monorepo, and how it is called.

This file does not measure anything.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
from pathlib import Path
from typing import List, Optional, Tuple

from workspaces import Shape, write_text


class Tool:
    """One tool: its program, its format, and how it is called.

    `looks_at` is how the tool detects changes: by "contents", "mtimes" or "nothing".
    """

    name = ""
    program = ""
    looks_at = "contents"
    ignored: List[str] = []
    version_args = ["--version"]
    remark = ""

    def __init__(self, path: Optional[str] = None) -> None:
        self.path = path

    def write(self, root: Path, shape: Shape) -> None:
        """Writes the tool's description of the packages' tasks."""
        raise NotImplementedError

    def argv(self, shape: Shape) -> List[str]:
        """Returns the call that runs all tasks that have to run."""
        raise NotImplementedError

    def again(self, shape: Shape) -> Tuple[str, List[str]]:
        """Returns a shell line that clears the state, and the call that runs all tasks."""
        raise NotImplementedError

    def listing(self) -> Optional[List[str]]:
        """Returns the call that lists the tasks, or None if the tool can't."""
        return None

    def write_restore(self, root: Path, run: str) -> Optional[List[str]]:
        """Writes one task with the output folder out/. Returns its call, if possible."""
        return None

    @property
    def restored(self) -> str:
        """Returns the path of the output folder of `write_restore`."""
        return "out"


class Taskgate(Tool):
    name = "taskgate"
    program = "xtask"

    def write(self, root: Path, shape: Shape) -> None:
        parts = ['[tasks.all]\ndescription = "Every package"\nneeds = ["p0"]\n']
        for number in range(shape.packages):
            needs = json.dumps([f"p{n}" for n in shape.needs(number)])
            parts.append(
                f"[tasks.p{number}]\nrun = {json.dumps(shape.command(number))}\n"
                f'inputs = ["packages/p{number}/**"]\nneeds = {needs}\n'
            )
        write_text(root / "tasks.toml", "\n".join(parts))

    def argv(self, shape: Shape) -> List[str]:
        return [self.path or self.program, "run", "all", "--jobs", str(shape.jobs)]

    def again(self, shape: Shape) -> Tuple[str, List[str]]:
        return "true", self.argv(shape) + ["--force"]

    def listing(self) -> Optional[List[str]]:
        return [self.path or self.program]

    def write_whole(self, root: Path, shape: Shape) -> None:
        """Writes one task that reads the whole tree."""
        write_text(root / "tasks.toml", f"[tasks.all]\nrun = {json.dumps(shape.command(0))}\n")

    def write_restore(self, root: Path, run: str) -> Optional[List[str]]:
        text = (
            f'[tasks.fill]\nrun = {json.dumps(run)}\ninputs = ["seed.txt"]\noutputs = ["out/**"]\n'
        )
        write_text(root / "tasks.toml", text)
        return [self.path or self.program, "run", "fill"]


class TaskgateBefore(Taskgate):
    name = "taskgate (before)"
    remark = "the build that `--before` names"


class Ninja(Tool):
    name = "ninja"
    program = "ninja"
    looks_at = "mtimes"
    ignored = ["/stamps/", "/.ninja_log", "/.ninja_deps"]

    def write(self, root: Path, shape: Shape) -> None:
        parts = [
            "rule run\n"
            f"  command = echo $name >> {shlex.quote(str(shape.ran))} && : > $out\n"
            "  description = $name\n"
        ]
        for number in range(shape.packages):
            needs = [f"stamps/p{n}" for n in shape.needs(number)]
            after = " | " + " ".join(needs) if needs else ""
            parts.append(
                f"build stamps/p{number}: run {' '.join(shape.paths(number))}{after}\n"
                f"  name = p{number}\n"
            )
        parts.append("default stamps/p0\n")
        write_text(root / "build.ninja", "".join(parts))
        (root / "stamps").mkdir()

    def argv(self, shape: Shape) -> List[str]:
        return [self.path or self.program, "-j", str(shape.jobs)]

    def again(self, shape: Shape) -> Tuple[str, List[str]]:
        return "rm -rf stamps && mkdir stamps", self.argv(shape)

    def listing(self) -> Optional[List[str]]:
        return [self.path or self.program, "-t", "targets", "all"]


class Make(Tool):
    name = "make"
    program = "make"
    looks_at = "mtimes"
    ignored = ["/stamps/"]

    def write(self, root: Path, shape: Shape) -> None:
        parts = [".SUFFIXES:\nall: stamps/p0\n.PHONY: all\n"]
        for number in range(shape.packages):
            needs = [f"stamps/p{n}" for n in shape.needs(number)]
            parts.append(
                f"stamps/p{number}: {' '.join(shape.paths(number) + needs)}\n"
                f"\t{shape.command(number)} && : > $@\n"
            )
        write_text(root / "Makefile", "".join(parts))
        (root / "stamps").mkdir()

    def argv(self, shape: Shape) -> List[str]:
        return [self.path or self.program, "-r", "-R", "-s", "-j", str(shape.jobs), "all"]

    def again(self, shape: Shape) -> Tuple[str, List[str]]:
        return "rm -rf stamps && mkdir stamps", self.argv(shape)


class Just(Tool):
    name = "just"
    program = "just"
    looks_at = "nothing"
    remark = "has no cache: runs everything each time"

    def write(self, root: Path, shape: Shape) -> None:
        parts = []
        for number in range(shape.packages):
            needs = "".join(f" p{n}" for n in shape.needs(number))
            parts.append(f"[parallel]\np{number}:{needs}\n    @{shape.command(number)}\n")
        write_text(root / "justfile", "\n".join(parts))

    def argv(self, shape: Shape) -> List[str]:
        return [self.path or self.program, "--jobs", str(shape.jobs), "p0"]

    def again(self, shape: Shape) -> Tuple[str, List[str]]:
        return "true", self.argv(shape)

    def listing(self) -> Optional[List[str]]:
        return [self.path or self.program, "--list"]


class GoTask(Tool):
    name = "go-task"
    program = "task"
    ignored = ["/.task/"]
    remark = "runs its lines in a shell of its own; `sh -c` is in the line to start as many"

    def write(self, root: Path, shape: Shape) -> None:
        parts = ["version: '3'\nsilent: true\ntasks:\n"]
        for number in range(shape.packages):
            needs = ", ".join(f"p{n}" for n in shape.needs(number))
            line = json.dumps(f"sh -c {shlex.quote(shape.command(number))}")
            parts.append(
                f"  p{number}:\n    deps: [{needs}]\n    method: checksum\n"
                f"    sources: ['packages/p{number}/**/*']\n    cmds: [{line}]\n"
            )
        write_text(root / "Taskfile.yml", "".join(parts))

    def argv(self, shape: Shape) -> List[str]:
        return [self.path or self.program, "--concurrency", str(shape.jobs), "p0"]

    def again(self, shape: Shape) -> Tuple[str, List[str]]:
        return "rm -rf .task", self.argv(shape)

    def listing(self) -> Optional[List[str]]:
        return [self.path or self.program, "--list-all"]


class Mise(Tool):
    name = "mise"
    program = "mise"
    looks_at = "mtimes"
    settings = ""

    def write(self, root: Path, shape: Shape) -> None:
        parts = [self.settings]
        for number in range(shape.packages):
            needs = json.dumps([f"p{n}" for n in shape.needs(number)])
            parts.append(
                f"[tasks.p{number}]\nrun = {json.dumps(shape.command(number))}\n"
                f'sources = ["packages/p{number}/**/*"]\noutputs = {{ auto = true }}\n'
                f"depends = {needs}\n"
            )
        write_text(root / "mise.toml", "\n".join(parts))

    def argv(self, shape: Shape) -> List[str]:
        return [self.path or self.program, "run", "--quiet", "--jobs", str(shape.jobs), "p0"]

    def again(self, shape: Shape) -> Tuple[str, List[str]]:
        return "true", self.argv(shape)[:-1] + ["--force", "p0"]

    def listing(self) -> Optional[List[str]]:
        return [self.path or self.program, "tasks", "ls"]


class MiseContents(Mise):
    name = "mise (contents)"
    looks_at = "contents"
    settings = "[settings]\ntask.source_freshness_hash_contents = true\n"

    def listing(self) -> Optional[List[str]]:
        return None


class Moon(Tool):
    name = "moon"
    program = "moon"
    ignored = ["/.moon/cache/", "/.moon/docker/", "out/"]

    def workspace(self, root: Path) -> None:
        """Writes the files that every moon workspace needs."""
        # The other strategy, "vcs", starts `git ls-files` on the whole index for each task.
        write_text(
            root / ".moon/workspace.yml",
            "projects: ['packages/*']\ntelemetry: false\nhasher:\n  walkStrategy: glob\n"
            "vcs:\n  client: git\n  defaultBranch: main\n",
        )

    def write(self, root: Path, shape: Shape) -> None:
        self.workspace(root)
        for number in range(shape.packages):
            needs = ", ".join(f"'p{n}:check'" for n in shape.needs(number))
            write_text(
                root / f"packages/p{number}/moon.yml",
                f"tasks:\n  check:\n    script: {json.dumps(shape.command(number))}\n"
                f"    inputs: ['**/*']\n    deps: [{needs}]\n",
            )

    def argv(self, shape: Shape) -> List[str]:
        return [self.path or self.program, "run", "--concurrency", str(shape.jobs), "p0:check"]

    def again(self, shape: Shape) -> Tuple[str, List[str]]:
        return "true", self.argv(shape)[:-1] + ["--force", "p0:check"]

    def listing(self) -> Optional[List[str]]:
        return [self.path or self.program, "tasks"]

    def write_restore(self, root: Path, run: str) -> Optional[List[str]]:
        self.workspace(root)
        write_text(
            root / "packages/p0/moon.yml",
            f"tasks:\n  fill:\n    script: {json.dumps(run)}\n"
            "    inputs: ['seed.txt']\n    outputs: ['out']\n",
        )
        return [self.path or self.program, "run", "p0:fill"]

    @property
    def restored(self) -> str:
        return "packages/p0/out"


class Turbo(Tool):
    name = "turbo"
    program = "turbo"
    ignored = ["/.turbo/", "/packages/*/.turbo/", "node_modules/", "out/"]
    remark = "starts `npm run` for each task"

    def workspace(self, root: Path, task: dict, scripts: List[dict]) -> None:
        """Writes an npm workspace and its lock file, as `npm install` does."""
        top = {"name": "bench", "version": "1.0.0", "private": True, "workspaces": ["packages/*"]}
        top["packageManager"] = "npm@10.0.0"
        locked: dict = {"": {k: top[k] for k in ("name", "version", "workspaces")}}
        for number, package in enumerate(scripts):
            write_text(root / f"packages/p{number}/package.json", json.dumps(package, indent=2))
            needs = {k: package[k] for k in ("version", "dependencies") if k in package}
            locked[f"packages/p{number}"] = needs
            locked[f"node_modules/p{number}"] = {"resolved": f"packages/p{number}", "link": True}
        lock = {"name": "bench", "version": "1.0.0", "lockfileVersion": 3, "requires": True}
        lock["packages"] = locked
        write_text(root / "package.json", json.dumps(top, indent=2))
        write_text(root / "package-lock.json", json.dumps(lock, indent=2))
        write_text(root / "turbo.json", json.dumps({"tasks": task}, indent=2))

    def write(self, root: Path, shape: Shape) -> None:
        packages = []
        for number in range(shape.packages):
            package: dict = {"name": f"p{number}", "version": "1.0.0"}
            package["scripts"] = {"check": shape.command(number)}
            package["dependencies"] = {f"p{n}": "*" for n in shape.needs(number)}
            packages.append(package)
        self.workspace(root, {"check": {"dependsOn": ["^check"], "outputs": []}}, packages)

    def argv(self, shape: Shape) -> List[str]:
        jobs = f"--concurrency={shape.jobs}"
        return [self.path or self.program, "run", "check", jobs, "--output-logs=none"]

    def again(self, shape: Shape) -> Tuple[str, List[str]]:
        return "true", self.argv(shape) + ["--force"]

    def write_restore(self, root: Path, run: str) -> Optional[List[str]]:
        package = {"name": "p0", "version": "1.0.0", "scripts": {"fill": run}}
        task = {"fill": {"inputs": ["seed.txt"], "outputs": ["out/**"]}}
        self.workspace(root, task, [package])
        return [self.path or self.program, "run", "fill", "--output-logs=none"]

    @property
    def restored(self) -> str:
        return "packages/p0/out"


TOOLS = [Taskgate, TaskgateBefore, Ninja, Make, Just, GoTask, Mise, MiseContents, Moon, Turbo]


def find_program(name: str) -> Optional[str]:
    """Returns the program with this name in PATH. For an npm package, it is the script's binary.

    The script itself takes about 50 ms per call, which must not count for the tool.
    """
    found = shutil.which(name)
    if found is None:
        return None
    real = Path(os.path.realpath(found))
    with real.open("rb") as file:
        head = file.read(64)
    if not (head.startswith(b"#!") and b"node" in head):
        return found
    folders = [p for p in real.parents if (p / "package.json").is_file()][:1]
    folders += [p for p in real.parents if p.name == "node_modules"][:1]
    for folder in folders:
        for path in sorted(folder.rglob(name)):
            if path.is_file() and os.access(path, os.X_OK) and is_binary(path):
                return str(path)
    return found


def is_binary(path: Path) -> bool:
    """Returns whether a file is an ELF or Mach-O program."""
    with path.open("rb") as file:
        return file.read(4) in (b"\x7fELF", b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe")
