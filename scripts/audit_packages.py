"""Look for known vulnerabilities in locked packages: python -m scripts.audit_packages requirements.txt.

Exits with 1 if there are any; with 0, and a reason, where the source of vulnerabilities cannot be reached.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

LONGEST_REASON = 200


def main(locks: Sequence[str]) -> int:
    """Audit each lock and return the exit status."""
    return max((audit_lock(lock) for lock in locks), default=0)


def audit_lock(lock: str) -> int:
    """Print what is known of a lock's packages; 1 if any has a vulnerability."""
    run = [sys.executable, "-m", "pip_audit", "--disable-pip", "--no-deps", "--progress-spinner", "off"]
    ended = subprocess.run([*run, "-f", "json", "-r", lock], capture_output=True, text=True, check=False)
    try:
        packages = json.loads(ended.stdout)["dependencies"]
    except (json.JSONDecodeError, KeyError):
        print(f"{lock}: skipped, nothing can be looked up: {last_line(ended.stderr)}")
        return 0
    print(f"{lock}: {verdict(packages)}")
    for package in packages:
        for found in package.get("vulns", ()):
            fixed = ", ".join(found["fix_versions"]) or "no version yet"
            print(f"  {package['name']} {package['version']}: {found['id']}, fixed in {fixed}")
    return int(any(package.get("vulns") for package in packages))


def verdict(packages: Sequence[dict[str, Any]]) -> str:
    """Return how many packages were looked up, and why the others were not: a mirror knows of no vulnerabilities."""
    reasons = [package["skip_reason"] for package in packages if "skip_reason" in package]
    known = f"{len(packages) - len(reasons)} of {len(packages)} packages looked up"
    if not reasons:
        return known
    is_skipped = len(reasons) == len(packages)
    return f"{'skipped, ' if is_skipped else ''}{known}; of the others: {reasons[0][:LONGEST_REASON]}"


def last_line(output: str) -> str:
    return (output.strip().splitlines() or ["pip-audit said nothing"])[-1][:LONGEST_REASON]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
