"""Runs commands and measures them with hyperfine, strace, and the memory statistics of the kernel.

This file does not know which tool it measures, or what a good figure is.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Dict, List, Optional, Set, Tuple

# The maximum time of one preparing run of one tool, in seconds.
PATIENCE = 900
# A command is only timed once if all its runs would take longer than this, in seconds.
BUDGET = 240


class Failure(Exception):
    """A command failed. The text names it and shows the end of its output."""


@dataclass
class Figure:
    """The measured values of one command. Times are in seconds."""

    name: str
    median: Optional[float] = None
    fastest: Optional[float] = None
    slowest: Optional[float] = None
    runs: int = 0
    notes: List[str] = field(default_factory=list)
    error: Optional[str] = None


@dataclass(frozen=True)
class Command:
    """One command to be timed: its folder, and what is done before each run without being timed."""

    name: str
    root: Path
    argv: List[str]
    prepare: str = "true"
    # How long its trial run took, in seconds; None if there was none.
    tried: Optional[float] = None

    def line(self) -> str:
        """Returns the command for hyperfine: a shell enters the folder and executes the program.

        The start of the shell, less than a millisecond, is part of every figure. hyperfine could
        subtract its estimate of this time, but that is less exact on a busy machine.
        """
        line = f"cd {shlex.quote(str(self.root))} && exec {shlex.join(self.argv)}"
        return shlex.join(["sh", "-c", line])

    def prepare_line(self) -> str:
        """Returns what is done before each run, as a shell line."""
        return f"cd {shlex.quote(str(self.root))} && {self.prepare}"


def quiet_environment(temp: Path) -> Dict[str, str]:
    """Returns the environment of all commands: no user settings, no telemetry, no network."""
    dropped = ("GIT_", "MISE_", "MOON_", "TURBO_", "TASK_", "JUST_", "XDG_", "MAKE", "NINJA")
    env = {k: v for k, v in os.environ.items() if not k.startswith(dropped) and k != "CI"}
    env.update(
        HOME=str(temp / "home"),
        GIT_CONFIG_GLOBAL=os.devnull,
        GIT_CONFIG_NOSYSTEM="1",
        NO_COLOR="1",
        DO_NOT_TRACK="1",
        TURBO_TELEMETRY_DISABLED="1",
        TURBO_NO_UPDATE_NOTIFIER="1",
        MISE_TRUSTED_CONFIG_PATHS=str(temp),
        MISE_OFFLINE="1",
        npm_config_update_notifier="false",
    )
    (temp / "home").mkdir(exist_ok=True)
    return env


def tail(text: str, lines: int = 6) -> str:
    """Returns the last lines that are not empty."""
    return "\n".join([line for line in text.splitlines() if line.strip()][-lines:])


def run_once(root: Path, argv: List[str], env: Dict[str, str]) -> float:
    """Runs a command and returns its time in seconds; the output is only used in an error."""
    started = time.perf_counter()
    try:
        done = subprocess.run(
            argv,
            cwd=root,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=PATIENCE,
        )
    except subprocess.TimeoutExpired:
        raise Failure(f"`{shlex.join(argv)}` took more than {PATIENCE} s") from None
    except OSError as error:
        raise Failure(f"`{shlex.join(argv)}`: {error}") from error
    took = time.perf_counter() - started
    if done.returncode != 0:
        raise Failure(f"`{shlex.join(argv)}`: exit status {done.returncode}\n{tail(done.stdout)}")
    return took


def shell_once(root: Path, line: str, env: Dict[str, str]) -> None:
    """Runs a shell line."""
    run_once(root, ["sh", "-c", line], env)


def hyperfine(
    commands: List[Command], env: Dict[str, str], runs: int, direct: bool = False
) -> List[Figure]:
    """Times commands in one run of hyperfine. `direct`: all in the first one's root, without `sh`.

    If all runs of a command would take too long, only its trial run counts. If a command fails,
    its figure contains the error.
    """
    figures: Dict[str, Figure] = {}
    timed = []
    for command in commands:
        if command.tried is not None and command.tried * (runs + 1) > BUDGET:
            took = command.tried
            figures[command.name] = Figure(command.name, took, took, took, 1, ["timed once"])
        else:
            timed.append(command)
    if timed:
        for figure in time_together(timed, env, runs, direct):
            figures[figure.name] = figure
    return [figures[command.name] for command in commands]


def time_together(
    commands: List[Command], env: Dict[str, str], runs: int, direct: bool
) -> List[Figure]:
    """Calls hyperfine once and returns its results."""
    result = Path(env["HOME"]) / "hyperfine.json"
    result.unlink(missing_ok=True)
    argv = ["hyperfine", "--style=none", "--ignore-failure", f"--export-json={result}"]
    argv += ["--warmup=1", f"--runs={runs}", "--shell=none"]
    for command in commands:
        argv += ["--command-name", command.name]
        if not direct:
            argv += ["--prepare", shlex.join(["sh", "-c", command.prepare_line()])]
        argv.append(shlex.join(command.argv) if direct else command.line())
    # Files of the preparations must not be written to the disk while the time is measured.
    os.sync()
    done = subprocess.run(
        argv,
        cwd=commands[0].root,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    if not result.is_file() or done.returncode != 0:
        error = f"hyperfine: exit status {done.returncode}\n{tail(done.stdout)}"
        return [Figure(command.name, error=error) for command in commands]
    figures = []
    for command, found in zip(commands, json.loads(result.read_text())["results"]):
        bad = [code for code in found.get("exit_codes", []) if code != 0]
        if bad:
            figures.append(Figure(command.name, error=f"exit status {bad[0]} while timed"))
            continue
        figures.append(
            Figure(command.name, found["median"], found["min"], found["max"], len(found["times"]))
        )
    return figures


# Until a child process calls exec, the memory of its parent counts towards its own peak. So a small
# process does the measuring.
MEMORY_PROBE = """
import os, sys
pid = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ,
    file_actions=[(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)])
_, status, usage = os.wait4(pid, 0)
print(usage.ru_maxrss)
sys.exit(os.waitstatus_to_exitcode(status) != 0)
"""


def peak_memory(root: Path, argv: List[str], env: Dict[str, str]) -> int:
    """Returns the peak memory of a command in bytes (at least the 10 MB of the probe)."""
    program = shutil.which(argv[0]) or argv[0]
    probe = [sys.executable, "-I", "-S", "-c", MEMORY_PROBE, program] + argv[1:]
    done = subprocess.run(
        probe, cwd=root, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    if done.returncode != 0:
        raise Failure(
            f"`{shlex.join(argv)}` failed while its memory was measured\n{tail(done.stderr)}"
        )
    unit = 1 if sys.platform == "darwin" else 1024
    return int(done.stdout.split()[-1]) * unit


OPENED = re.compile(r" = \d+<(.*)>$")


def opened_files(
    root: Path, argv: List[str], env: Dict[str, str], clean: Set[str]
) -> Tuple[List[str], int]:
    """Returns which of the clean files (absolute paths) a command opens, and how many others."""
    log = Path(env["HOME"]) / "strace.log"
    trace = ["strace", "-f", "-y", "-qq", "-e", "trace=open,openat,openat2", "-o", str(log), "--"]
    run_once(root, trace + argv, env)
    found, others = [], 0
    for line in log.read_text(errors="replace").splitlines():
        match = OPENED.search(line)
        if match and match.group(1) in clean:
            found.append(match.group(1))
        elif match:
            others += 1
    return found, others


def started_programs(root: Path, argv: List[str], env: Dict[str, str]) -> Optional[int]:
    """Returns how many programs a command starts, or None without strace."""
    if not shutil.which("strace"):
        return None
    log = root.parent / "execve.log"
    trace = ["strace", "-f", "-qq", "-e", "trace=execve,execveat", "-o", str(log), "--"]
    run_once(root, trace + argv, env)
    # Each started program is a call of execve that succeeded, and so is the command itself.
    calls = [line for line in log.read_text(errors="replace").splitlines() if line.endswith(" = 0")]
    return len(calls) - 1


def first_line(root: Path, argv: List[str], env: Dict[str, str]) -> str:
    """Returns the first line that a command prints."""
    try:
        done = subprocess.run(
            argv,
            cwd=root,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=60,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Failure(f"`{shlex.join(argv)}`: {error}") from error
    if done.returncode != 0:
        raise Failure(f"exit status {done.returncode}")
    return (done.stdout.strip().splitlines() or ["says nothing"])[0]


def same_files(expected: Path, found: Path) -> None:
    """Fails unless two folders contain the same files with the same content."""
    listing = []
    for root in (expected, found):
        files = sorted(p for p in root.rglob("*") if p.is_file())
        listing.append({str(p.relative_to(root)): p.read_bytes() for p in files})
    if listing[0] != listing[1]:
        raise Failure(
            f"restored {len(listing[1])} files that are not the {len(listing[0])} expected"
        )
