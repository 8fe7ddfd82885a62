"""Switch obskit on before the program's first line, then run the sitecustomize it hides.

Python imports this file by its name when it starts, since ``obskit run`` has put this folder
in front of PYTHONPATH. It must work in any Python, also where obskit is not installed.
"""

import os
import sys

_HERE = os.path.dirname(os.path.abspath(__file__))


def _start() -> None:
    if os.environ.get("OBSKIT_ENABLED", "").strip().lower() in ("0", "false", "no", "off"):
        return
    try:
        from obskit import _bootstrap
    except Exception as error:
        why = f"{type(error).__name__}: {error}"
        sys.stderr.write(f"obskit: {sys.executable} runs unobserved, cannot import it: {why}\n")
        return
    try:
        if os.environ.get("OBSKIT_REPORT_FILE"):
            from obskit.cli import _report

            _report.begin(os.environ["OBSKIT_REPORT_FILE"])
        _bootstrap.autostart()
    except Exception as error:
        sys.stderr.write(f"obskit: did not start: {type(error).__name__}: {error}\n")


def _run_hidden() -> None:
    """Import the sitecustomize that Python would have found without this one."""
    sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry or ".") != _HERE]
    this = sys.modules.pop("sitecustomize", None)
    try:
        import sitecustomize  # type: ignore[import-not-found]  # noqa: F401
    except ImportError as error:
        if error.name != "sitecustomize":
            raise
    finally:
        if this is not None:
            sys.modules.setdefault("sitecustomize", this)


_start()
_run_hidden()
