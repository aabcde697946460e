#!/usr/bin/env python3
"""Runs `cargo test` and writes what came of it as facts, for stable Cargo writes no report.

usage: facts.py OUT [ARGUMENT OF CARGO TEST]...
"""

import json
import re
import subprocess
import sys
from pathlib import Path

out = Path(sys.argv[1])
cargo = subprocess.Popen(["cargo", "test", *sys.argv[2:]], stdout=subprocess.PIPE, text=True)
ends = {"ok": [], "FAILED": [], "ignored": []}
for line in cargo.stdout:
    print(line, end="", flush=True)
    if test := re.match(r"test (\S+) .*\.\.\. (ok|FAILED|ignored)", line):
        ends[test[2]].append(test[1])
status = cargo.wait()

failed = [{"name": name, "message": "see the log of cargo test"} for name in ends["FAILED"]]
tests = {"passed": len(ends["ok"]), "failed": failed, "skipped": len(ends["ignored"])}
examined = tests["passed"] + len(failed)
out.parent.mkdir(exist_ok=True)
out.write_text(json.dumps({"facts": 1, "examined": examined, "tests": tests}, indent=2) + "\n")
sys.exit(status)
