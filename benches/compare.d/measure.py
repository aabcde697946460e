"""Runs commands and measures them: by hyperfine, by strace, and by the kernel's account of memory.

This file knows nothing of which tool it measures nor of what a good figure is.
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

# Longest time for one preparing run of one tool, in seconds.
PATIENCE = 900
# Above this time for all its runs, in seconds, a command is timed once instead.
BUDGET = 240


class Failure(Exception):
    """A command failed; the text says which and shows the end of what it printed."""


@dataclass
class Figure:
    """What was measured of one command. Times are in seconds."""

    name: str
    median: Optional[float] = None
    fastest: Optional[float] = None
    slowest: Optional[float] = None
    runs: int = 0
    notes: List[str] = field(default_factory=list)
    error: Optional[str] = None


@dataclass(frozen=True)
class Command:
    """One command to be timed: where it runs and what is done, untimed, before each run."""

    name: str
    root: Path
    argv: List[str]
    prepare: str = "true"
    # Seconds that one run took when it was tried; None where it was not tried.
    tried: Optional[float] = None

    def line(self) -> str:
        """The command as hyperfine starts it: by a shell that goes to its folder and becomes it.

        The shell's own start, under a millisecond, is in every figure. To let hyperfine take it
        out would add its guess of that time, which is worse on a machine that is not idle.
        """
        line = f"cd {shlex.quote(str(self.root))} && exec {shlex.join(self.argv)}"
        return shlex.join(["sh", "-c", line])

    def prepare_line(self) -> str:
        """What is done before each run, as a shell line."""
        return f"cd {shlex.quote(str(self.root))} && {self.prepare}"


def quiet_environment(temp: Path) -> Dict[str, str]:
    """The environment of every command: no settings of the user, no telemetry, no network."""
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
    """The last lines that say something."""
    return "\n".join([line for line in text.splitlines() if line.strip()][-lines:])


def run_once(root: Path, argv: List[str], env: Dict[str, str]) -> float:
    """Runs a command and returns its time in seconds; its output is only kept for an error."""
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

    A command whose runs would take too long together is timed by its trial run alone; a command
    that fails has an error in its figure.
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
    """One call of hyperfine and what it found."""
    result = Path(env["HOME"]) / "hyperfine.json"
    result.unlink(missing_ok=True)
    argv = ["hyperfine", "--style=none", "--ignore-failure", f"--export-json={result}"]
    argv += ["--warmup=1", f"--runs={runs}", "--shell=none"]
    for command in commands:
        argv += ["--command-name", command.name]
        if not direct:
            argv += ["--prepare", shlex.join(["sh", "-c", command.prepare_line()])]
        argv.append(shlex.join(command.argv) if direct else command.line())
    # What the preparations wrote must not be written to disk under the eyes of the clock.
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


# The child of a large process counts that process's memory as its own peak until it calls exec,
# so the measuring is done by a small one.
MEMORY_PROBE = """
import os, sys
pid = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ,
    file_actions=[(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)])
_, status, usage = os.wait4(pid, 0)
print(usage.ru_maxrss)
sys.exit(os.waitstatus_to_exitcode(status) != 0)
"""


def peak_memory(root: Path, argv: List[str], env: Dict[str, str]) -> int:
    """Peak resident memory of a command in bytes (not below the 10 MB of the measuring process)."""
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
    """Which of the clean files (absolute paths) a command opens, and its count of other opens."""
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


def first_line(root: Path, argv: List[str], env: Dict[str, str]) -> str:
    """The first line that a command prints."""
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
    """Fails unless two folders hold the same files with the same content."""
    listing = []
    for root in (expected, found):
        files = sorted(p for p in root.rglob("*") if p.is_file())
        listing.append({str(p.relative_to(root)): p.read_bytes() for p in files})
    if listing[0] != listing[1]:
        raise Failure(
            f"restored {len(listing[1])} files that are not the {len(listing[0])} expected"
        )
