"""The audit of packages: vulnerabilities are told, and where none can be looked up that is said, not taken for none."""

from __future__ import annotations

from scripts.audit_packages import last_line, verdict

KNOWN = {"name": "flask", "version": "3.1.0", "vulns": []}
SKIPPED = {"name": "numpy", "skip_reason": "Dependency not found on PyPI and could not be audited: numpy (2.4.0)"}


def test_a_mirror_that_knows_of_no_vulnerabilities_is_no_clean_bill() -> None:
    assert verdict([SKIPPED, SKIPPED]).startswith("skipped, 0 of 2 packages looked up; of the others: Dependency not")
    assert verdict([KNOWN, SKIPPED]).startswith("1 of 2 packages looked up; of the others:")
    assert verdict([KNOWN]) == "1 of 1 packages looked up"


def test_the_reason_for_a_failure_is_one_line() -> None:
    assert last_line("Traceback\n\nConnectionError: no route\n") == "ConnectionError: no route"
    assert last_line("") == "pip-audit said nothing"
    assert len(last_line("x" * 1_000)) == 200
