"""Writes what the worker is made of, with licences, as CycloneDX: sbom.py OUT

cyclonedx-py knows all that is installed for this interpreter, on Debian far more than the worker
needs: what requirements.txt leads to is kept.
"""

import json
import os
import re
import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def required(lines, extra=""):
    for line in lines:
        line = re.sub(r"(^|\s)#.*", "", line).strip()
        if line:
            requirement = Requirement(line)
            if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
                yield requirement


here = Path(__file__).parent
kept, waiting = set(), list(required((here / "requirements.txt").read_text().splitlines()))
while waiting:
    requirement = waiting.pop()
    name = canonicalize_name(requirement.name)
    for extra in ["", *requirement.extras]:
        if (name, extra) not in kept:
            kept.add((name, extra))
            # What is not installed is an error: nobody would know its licence.
            waiting += required(distribution(name).requires or [], extra)

cyclonedx = ["cyclonedx-py", "environment", "--output-reproducible", "--no-validate", sys.executable]
# So that it, too, sees what may lie beside the worker.
env = os.environ | {"PYTHONPATH": str(here.resolve())}
sbom = json.loads(subprocess.run(cyclonedx, check=True, stdout=subprocess.PIPE, env=env).stdout)
names = {name for name, _ in kept}
sbom["components"] = [part for part in sbom["components"] if canonicalize_name(part["name"]) in names]
missing = names - {canonicalize_name(part["name"]) for part in sbom["components"]}
if missing:
    sys.exit(f"cyclonedx-py does not know {', '.join(sorted(missing))}")
references = {part["bom-ref"] for part in sbom["components"]}
sbom["dependencies"] = [part for part in sbom["dependencies"] if part["ref"] in references]
out = Path(sys.argv[1])
out.parent.mkdir(exist_ok=True)
out.write_text(json.dumps(sbom, indent=2) + "\n")
