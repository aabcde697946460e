"""The cases: what each creates and runs, and its targets.

This file does not know the command line or the format of the tables.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Dict, List, Optional

import measure
import tools
import workspaces
from measure import Command, Failure, Figure
from report import Case, Target
from tools import Tool
from workspaces import Shape


class Sizes:
    """The numbers of packages and files; smaller in a smoke test."""

    def __init__(self, quick: bool) -> None:
        self.packages = 40 if quick else 1_000
        self.few_packages = 10 if quick else 100
        self.files = 5 if quick else 10
        self.whole_folders = 20 if quick else 1_000
        self.whole_files = 100
        self.outputs = 200 if quick else 10_000
        self.million_folders = 50 if quick else 10_000


class Trial:
    """One tool's workspace and its first two runs, which show whether it can be measured."""

    def __init__(self, tool: Tool, root: Path, shape: Shape) -> None:
        self.tool = tool
        self.root = root
        self.shape = shape
        self.first = 0.0
        self.second = 0.0
        self.second_ran = 0
        self.error: Optional[str] = None

    @property
    def caches(self) -> bool:
        """Returns whether the second run executed nothing."""
        return self.error is None and self.second_ran == 0

    def notes(self) -> List[str]:
        """Returns the notes on the tool for a table."""
        looks = {"nothing": [], "mtimes": ["looks at mtimes"], "contents": ["looks at contents"]}
        notes = looks[self.tool.looks_at] + ([self.tool.remark] if self.tool.remark else [])
        if self.error is None and self.tool.looks_at != "nothing" and self.second_ran:
            notes.append(f"**executed {self.second_ran} tasks in its second run**")
        return notes


class Bench:
    """The run of this script: its folder, its tools, and the workspaces created so far."""

    def __init__(self, options: argparse.Namespace, temp: Path) -> None:
        self.options = options
        self.temp = temp
        self.sizes = Sizes(options.quick)
        self.env = measure.quiet_environment(temp)
        self.trials: Dict[int, List[Trial]] = {}
        self.tools: List[Tool] = []
        for kind in tools.TOOLS:
            if kind is tools.TaskgateBefore and options.before is None:
                continue
            own = {tools.Taskgate: options.xtask, tools.TaskgateBefore: options.before}
            path = own[kind] if kind in own else tools.find_program(kind.program)
            self.tools.append(kind(path))

    @property
    def taskgate(self) -> Tool:
        """Returns taskgate, the tool that is compared with the others."""
        return self.tools[0]

    def versions(self) -> Dict[str, str]:
        """Returns the first line of each program's version output."""
        found = {}
        programs = {tool.name: tool.path for tool in self.tools}
        programs.update(git=shutil.which("git"), hyperfine=shutil.which("hyperfine"))
        for name, path in programs.items():
            if path is None:
                found[name] = (
                    "not installed" if name != "taskgate" else "not built: give --xtask PATH"
                )
                continue
            try:
                found[name] = measure.first_line(self.temp, [path, "--version"], self.env)
            except Failure as failure:
                found[name] = f"failed: {failure}"
        return found

    def ran(self, shape: Shape) -> int:
        """Returns how many tasks ran since the last call."""
        count = len(shape.ran.read_text().split()) if shape.ran.exists() else 0
        shape.ran.write_text("")
        return count

    def missing(self, tool: Tool) -> Figure:
        """Returns the figure of a tool that is not installed."""
        return Figure(tool.name, notes=["not installed"])

    def workspace(self, kind: str, tool: Tool, packages: int, files: int) -> Shape:
        """Creates an empty folder for a tool, and returns the shape of its future content."""
        label = "".join(c for c in tool.name if c.isalnum())
        root = self.temp / kind / label
        root.mkdir(parents=True)
        return Shape(packages, files, self.options.jobs, self.temp / kind / f"{label}.ran")

    def root(self, kind: str, shape: Shape) -> Path:
        """Returns the folder that `workspace` created."""
        return self.temp / kind / shape.ran.stem

    def monorepos(self, packages: Optional[int] = None) -> List[Trial]:
        """Returns the monorepo of each installed tool after two runs. It is only created once."""
        packages = packages or self.sizes.packages
        if packages not in self.trials:
            self.trials[packages] = [self.try_tool(tool, packages) for tool in self.tools if tool.path]
        return self.trials[packages]

    def try_tool(self, tool: Tool, packages: int) -> Trial:
        """Writes a tool's monorepo and runs it twice."""
        say(f"{tool.name}: {packages} tasks, first and second run")
        kind = f"monorepo-{packages}"
        shape = self.workspace(kind, tool, packages, self.sizes.files)
        root = self.root(kind, shape)
        trial = Trial(tool, root, shape)
        try:
            workspaces.write_sources(root, shape)
            tool.write(root, shape)
            workspaces.commit(root, self.env, tool.ignored)
            trial.first = measure.run_once(root, tool.argv(shape), self.env)
            first_ran = self.ran(shape)
            if first_ran != shape.packages:
                raise Failure(f"its first run executed {first_ran} of {shape.packages} tasks")
            trial.second = measure.run_once(root, tool.argv(shape), self.env)
            trial.second_ran = self.ran(shape)
        except (Failure, OSError, subprocess.CalledProcessError) as failure:
            trial.error = str(failure)
            say(f"{tool.name}: {failure}")
        return trial

    def fill(
        self, case: Case, commands: List[Command], notes: Dict[str, List[str]], direct: bool = False
    ) -> None:
        """Times commands, and adds the tools that are missing or failed to the figures."""
        say(f"{case.name}: timing {', '.join(command.name for command in commands)}")
        found = measure.hyperfine(commands, self.env, self.options.runs, direct)
        for figure in found:
            figure.notes = notes.get(figure.name, []) + figure.notes
        case.figures += found

    def add_absent(self, case: Case, trials: List[Trial]) -> None:
        """Adds the figures of tools that failed or are not installed."""
        for trial in trials:
            if trial.error:
                case.figures.append(Figure(trial.tool.name, notes=trial.notes(), error=trial.error))
        case.figures += [self.missing(tool) for tool in self.tools if not tool.path]


def say(text: str) -> None:
    """Prints progress on stderr, because stdout only contains the result."""
    print(f"compare: {text}", file=sys.stderr, flush=True)


def null_case(bench: Bench, name: str, packages: int) -> Case:
    """Measures runs of this many tasks with nothing to do."""
    files = packages * bench.sizes.files
    case = Case(name, f"Nothing to do: {packages} tasks over {files} files", "ninja")
    trials = bench.monorepos(packages)
    healthy = [t for t in trials if not t.error]
    commands = [Command(t.tool.name, t.root, t.tool.argv(t.shape), tried=t.second) for t in healthy]
    bench.fill(case, commands, {t.tool.name: t.notes() for t in healthy})
    for trial in healthy:
        executed = bench.ran(trial.shape)
        if trial.caches and executed:
            case.facts.append(f"**{trial.tool.name} executed {executed} tasks while it was timed**")
            trial.second_ran = executed
    bench.add_absent(case, trials)
    if bench.options.before is not None:
        before = "taskgate (before)"
        case.ratio_target(f"{packages} tasks: taskgate / {before}", 1, "taskgate", before)
    return case


def case_null(bench: Bench) -> Case:
    """Measures runs with nothing to do."""
    packages = bench.sizes.packages
    case = null_case(bench, "null", packages)
    case.ratio_target(f"{packages} tasks: taskgate / ninja", 1, "taskgate", "ninja")
    case.ratio_target(f"{packages} tasks: turbo / taskgate", 15, "turbo", "taskgate", True)
    return case


def case_null_small(bench: Bench) -> Case:
    """Measures runs of few tasks with nothing to do."""
    packages = bench.sizes.few_packages
    case = null_case(bench, "null-small", packages)
    case.ratio_target(f"{packages} tasks: taskgate / ninja", 1.5, "taskgate", "ninja")
    for peer in ("turbo", "mise"):
        case.ratio_target(f"{packages} tasks: {peer} / taskgate", 15, peer, "taskgate", True)
    return case


def case_whole_tree(bench: Bench) -> Case:
    """Measures a hit of one task that reads the whole tree."""
    return whole_tree_case(bench, "whole-tree", bench.sizes.whole_folders, 1, 60)


def case_million(bench: Bench) -> Case:
    """Measures the same with a million files."""
    return whole_tree_case(bench, "million", bench.sizes.million_folders, 1.2, 500)


def whole_tree_case(
    bench: Bench, name: str, folders: int, ratio: float, megabytes: float
) -> Case:
    """Measures a hit of one task over a tree of this many folders."""
    sizes = bench.sizes
    total = folders * sizes.whole_files
    case = Case(
        name,
        f"Nothing to do: one task over a whole tree of {total} files",
        "git status -uno",
    )
    say(f"{name}: writing {total} files")
    tool = bench.taskgate
    shape = bench.workspace(name, tool, folders, sizes.whole_files)
    root = bench.root(name, shape)
    workspaces.write_sources(root, shape)
    tool.write_whole(root, shape)
    workspaces.commit(root, bench.env, [])
    commands = [
        Command("git status -uno", root, ["git", "status", "-uno"]),
        Command("git status", root, ["git", "status"]),
    ]
    argv = tool.argv(shape)
    peak = opens = None
    if not tool.path:
        case.figures.append(bench.missing(tool))
    else:
        try:
            peak = whole_tree_memory(bench, case, root, shape)
            opens = whole_tree_opens(bench, case, root, shape)
            commands.insert(0, Command("taskgate", root, argv))
        except Failure as failure:
            case.figures.append(Figure("taskgate", error=str(failure)))
    bench.fill(
        case, commands, {"git status": ["with untracked files, which taskgate looks for too"]}
    )
    executed = bench.ran(shape)
    if executed:
        case.facts.append(f"**taskgate executed its task {executed} times while it was timed**")
    text = f"{total} files: taskgate / git status -uno"
    case.ratio_target(text, ratio, "taskgate", "git status -uno")
    why = "no taskgate, or it failed"
    text = f"{total} files: clean files that taskgate opens"
    strace = why if shutil.which("strace") else "strace is not installed"
    case.targets.append(Target(text, 0, opens, "opens", why_missing=strace))
    text = f"{total} files: peak memory"
    case.targets.append(Target(text, megabytes, peak / 1e6 if peak else None, "MB", why_missing=why))
    return case


def whole_tree_memory(bench: Bench, case: Case, root: Path, shape: Shape) -> int:
    """Returns the peak memory of a run with nothing to do, in bytes. The first run is a fact."""
    peaks, executed = [], []
    for _ in range(2):
        peaks.append(measure.peak_memory(root, bench.taskgate.argv(shape), bench.env))
        executed.append(bench.ran(shape))
    if executed != [1, 0]:
        raise Failure(f"its first two runs executed {executed} tasks, not [1, 0]")
    case.facts.append(
        f"Peak memory of the first run {peaks[0] / 1e6:.0f} MB, "
        f"of a run with nothing to do {peaks[1] / 1e6:.0f} MB."
    )
    return peaks[1]


def whole_tree_opens(bench: Bench, case: Case, root: Path, shape: Shape) -> Optional[int]:
    """Returns how many clean files a run with nothing to do opens, or None without strace."""
    if not shutil.which("strace"):
        return None
    clean = {str(root.resolve() / name) for n in range(shape.packages) for name in shape.paths(n)}
    opened, others = measure.opened_files(root, bench.taskgate.argv(shape), bench.env, clean)
    case.facts.append(
        f"strace: {len(opened)} opens of clean files, "
        f"{others} other opens (folders, git's files and its own)."
    )
    case.facts += [f"It opened {path}" for path in opened[:3]]
    return len(opened)


def case_execute(bench: Bench) -> Case:
    """Measures runs that execute every task."""
    case = Case("execute", f"Everything executed: {bench.sizes.packages} trivial tasks", "ninja")
    trials = bench.monorepos()
    commands, notes = [], {}
    for trial in trials:
        if trial.error:
            continue
        prepare, argv = trial.tool.again(trial.shape)
        commands.append(Command(trial.tool.name, trial.root, argv, prepare, tried=trial.first))
        notes[trial.tool.name] = [trial.tool.remark] if trial.tool.remark else []
        bench.ran(trial.shape)
    bench.fill(case, commands, notes)
    for trial in trials:
        figure = case.figure(trial.tool.name)
        # There is one warm-up run before the timed ones. A single trial run was already counted.
        expected = (figure.runs + 1) * trial.shape.packages if figure and figure.runs > 1 else 0
        executed = bench.ran(trial.shape)
        if expected and executed != expected:
            figure.notes.append(f"**executed {executed} tasks, not {expected}**")
    bench.add_absent(case, trials)
    case.ratio_target("everything executed: taskgate / ninja", 1.2, "taskgate", "ninja")
    return case


def case_start(bench: Bench) -> Case:
    """Measures the start of the program, and the list of its tasks."""
    case = Case(
        "start",
        f"Start: the version, and the list of {bench.sizes.packages} tasks",
        "git --version",
    )
    trials = [t for t in bench.monorepos() if t.tool.name == "taskgate" or not t.error]
    version = [Command("git --version", bench.temp, ["git", "--version"])]
    if bench.taskgate.path:
        version.append(Command("xtask --version", bench.temp, [bench.taskgate.path, "--version"]))
    bench.fill(case, version, {}, direct=True)
    for trial in trials:
        argv = trial.tool.listing()
        if argv is None:
            continue
        name = "xtask (list)" if trial.tool.name == "taskgate" else f"{trial.tool.name} (list)"
        bench.fill(case, [Command(name, trial.root, argv)], {}, direct=True)
    if not bench.taskgate.path:
        case.figures.append(bench.missing(bench.taskgate))
    case.time_target("xtask --version", 5, "xtask --version")
    case.time_target(f"xtask (list) of {bench.sizes.packages} tasks", 5, "xtask (list)")
    return case


def case_restore(bench: Bench) -> Case:
    """Measures how long it takes to restore output files from the cache."""
    count = bench.sizes.outputs
    case = Case("restore", f"{count} output files restored", "cp -r")
    template = bench.temp / "restore" / "template"
    for number in range(count):
        name = f"d{number // 100}/f{number % 100}.txt"
        workspaces.write_text(template / name, workspaces.filler(name))
    commands = [
        Command("cp -r", template.parent, ["cp", "-r", "template", "copy"], "rm -rf copy && sync")
    ]
    healthy = []
    for tool in bench.tools:
        if type(tool).write_restore is Tool.write_restore:
            continue
        if not tool.path:
            case.figures.append(bench.missing(tool))
            continue
        shape = bench.workspace("restore", tool, 1, 0)
        root = bench.root("restore", shape)
        run = f"echo fill >> {shape.ran} && rm -rf out && cp -r {template} out"
        try:
            argv = tool.write_restore(root, run)
            folder = root / tool.restored
            workspaces.write_text(folder.parent / "seed.txt", "seed\n")
            workspaces.commit(root, bench.env, tool.ignored + ["out/"])
            measure.run_once(root, argv, bench.env)
            if bench.ran(shape) != 1:
                raise Failure("its first run did not execute the task")
            # The second run may store what the first one did not: only the third is typical.
            measure.run_once(root, argv, bench.env)
            shutil.rmtree(folder)
            measure.run_once(root, argv, bench.env)
            if bench.ran(shape):
                raise Failure("it executes the task again instead of restoring its outputs")
            measure.same_files(template, folder)
        except (Failure, OSError, subprocess.CalledProcessError) as failure:
            case.figures.append(Figure(tool.name, error=str(failure)))
            continue
        healthy.append((tool, shape, folder))
        commands.insert(0, Command(tool.name, root, argv, f"rm -rf {tool.restored} && sync"))
    bench.fill(case, commands, {})
    for tool, shape, folder in healthy:
        executed = bench.ran(shape)
        if executed:
            case.facts.append(
                f"**{tool.name} executed its task {executed} times while it was timed**"
            )
        try:
            measure.same_files(template, folder)
        except Failure as failure:
            case.facts.append(f"**{tool.name}: {failure}**")
    case.ratio_target(f"{count} outputs restored: taskgate / cp -r", 1, "taskgate", "cp -r")
    return case


def case_probes(bench: Bench) -> Case:
    """Measures a run with nothing to do, and a push, with all tools of the polyglot example."""
    case = Case("probes", "Nothing to do: the tools of the example `polyglot`", "git status -uno")
    tool = bench.taskgate
    if not tool.path:
        case.figures.append(bench.missing(tool))
        return case
    shape = bench.workspace("probes", tool, 3, 0)
    root = bench.root("probes", shape)
    env = dict(bench.env, HOME=str(Path.home()))
    try:
        used, absent = workspaces.write_probes(root, shape, env)
        workspaces.commit(root, bench.env, [])
        run = [tool.path, "run", "all"]
        for expected in (3, 0):
            measure.run_once(root, run, env)
            executed = bench.ran(shape)
            if executed != expected:
                raise Failure(f"it executed {executed} tasks, not {expected}")
        started = measure.started_programs(root, run, env)
        remote = root.parent / "remote.git"
        setup = [["git", "clone", "--quiet", "--bare", ".", str(remote)]]
        setup += [["git", "remote", "add", "origin", str(remote)], [tool.path, "hooks", "install"]]
        for argv in setup:
            measure.run_once(root, argv, env)
    except (Failure, OSError, subprocess.CalledProcessError) as failure:
        case.figures.append(Figure("taskgate", error=str(failure)))
        return case
    case.facts.append(f"Tools that are probed: {', '.join(used)}.")
    if absent:
        case.facts.append(f"Not installed here, so not probed: {', '.join(absent)}.")
    push = ["git", "push", "--quiet", "--dry-run", "origin", "main:refs/heads/other"]
    commands = [
        Command("taskgate", root, run),
        Command("git push", root, push),
        Command("git push without the hook", root, push[:2] + ["--no-verify"] + push[2:]),
        Command("git status -uno", root, ["git", "status", "-uno"]),
    ]
    say(f"probes: timing {', '.join(command.name for command in commands)}")
    case.figures += measure.hyperfine(commands, env, bench.options.runs)
    case.time_target("polyglot: a run with nothing to do", 50, "taskgate")
    why = "strace is not installed"
    text = "polyglot: programs that it starts"
    case.targets.append(Target(text, 0, started, "programs", why_missing=why))
    pushes = [case.figure(name) for name in ("git push", "git push without the hook")]
    adds = (pushes[0].median - pushes[1].median) * 1000 if all(pushes) else None
    text = "polyglot: what the hook adds to a push that hits"
    case.targets.append(Target(text, 50, adds, "ms", why_missing="a push failed"))
    return case


CASES = {
    "null": case_null,
    "null-small": case_null_small,
    "whole-tree": case_whole_tree,
    "probes": case_probes,
    "execute": case_execute,
    "start": case_start,
    "restore": case_restore,
    "million": case_million,
}
# It takes minutes and a million inodes, so it is measured only if it is named.
ONLY_IF_NAMED = ["million"]
