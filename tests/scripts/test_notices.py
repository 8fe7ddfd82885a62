import subprocess
import sys

from tests.services.processes import ROOT


def test_third_party_notices_are_those_of_the_base_dependencies():
    """The file says what the metadata of the installed distributions says."""
    printed = subprocess.run(
        [sys.executable, ROOT / "scripts" / "notices"],
        capture_output=True,
        check=True,
        text=True,
        timeout=60,
    ).stdout

    assert printed == (ROOT / "THIRD-PARTY-NOTICES.md").read_text(encoding="utf-8")
    assert "unknown" not in printed
