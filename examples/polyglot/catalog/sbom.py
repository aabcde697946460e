#!/usr/bin/env python3
"""Writes what the catalogue's program is made of, with licences, as CycloneDX: sbom.py OUT

Cargo knows all of it, so no other tool has to be built.
"""

import json
import subprocess
import sys
from pathlib import Path

metadata = json.loads(
    subprocess.run(
        ["cargo", "metadata", "--locked", "--format-version", "1"], check=True, stdout=subprocess.PIPE
    ).stdout
)
packages = {package["id"]: package for package in metadata["packages"]}
nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
root = metadata["resolve"]["root"]

# What only tests and build scripts need is no part of the program.
used, waiting = set(), [root]
while waiting:
    for dependency in nodes[waiting.pop()]["deps"]:
        is_linked = any(kind["kind"] is None for kind in dependency["dep_kinds"])
        if is_linked and dependency["pkg"] not in used:
            used.add(dependency["pkg"])
            waiting.append(dependency["pkg"])


def component(package):
    described = {"name": package["name"], "version": package["version"]}
    purl = f"pkg:cargo/{package['name']}@{package['version']}"
    if package["license"]:
        # Before SPDX expressions, Cargo wrote "MIT/Apache-2.0".
        described["licenses"] = [{"expression": package["license"].replace("/", " OR ")}]
    return described | {"type": "library", "purl": purl, "bom-ref": purl}


sbom = {
    "bomFormat": "CycloneDX",
    "specVersion": "1.5",
    "version": 1,
    "metadata": {"component": component(packages[root]) | {"type": "application"}},
    "components": [component(packages[package]) for package in sorted(used)],
}
out = Path(sys.argv[1])
out.parent.mkdir(exist_ok=True)
out.write_text(json.dumps(sbom, indent=2) + "\n")
