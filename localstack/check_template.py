"""Check the template with `sam validate --lint` in each partition, and with checkov.

    python localstack/check_template.py

`.checkov.yaml` lists what checkov leaves out, with reasons.
"""

import os
import subprocess
import sys

import environments
from environments import ROOT

REGIONS = ("us-east-1", "us-gov-west-1", "cn-north-1")
"""One of each partition: aws, aws-us-gov, aws-cn."""


def main() -> int:
    """Run all of them; return 1 if one finds anything."""
    sam = environments.sam() / "bin" / "sam"
    checkov = environments.checkov() / "bin" / "checkov"
    commands: list[list[object]] = [
        [sam, "validate", "--lint", "--region", region] for region in REGIONS
    ]
    commands.append([checkov, "--config-file", ".checkov.yaml"])
    environment = {**os.environ, "SAM_CLI_TELEMETRY": "0"}
    statuses = [subprocess.call(command, cwd=ROOT, env=environment) for command in commands]
    return int(any(statuses))


if __name__ == "__main__":
    sys.exit(main())
