"""Judge a trial: what the program said, answered and reported, one check a question."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from obskit.cli import _lines
from obskit.cli._lines import Verdict
from obskit.cli._masking import command_line, excerpt, mask
from obskit.cli._observed import Observed
from obskit.cli._request import Answer
from obskit.cli._sheet import Check
from obskit.cli._trial import Trial
from obskit.conventions import QUIET_PATHS

MOST_SHOWN = 10
_SAMPLE = re.compile(r"^http_server_requests_total\{[^}]*\} ([0-9.e+]+)", re.MULTILINE)


@dataclass(slots=True)
class Case:
    """A trial with all that is known about it.

    *output* is what must be lines, by the name of its stream: empty where lines go elsewhere.
    """

    command: list[str]
    trial: Trial
    observed: Observed
    output: dict[str, bytes]
    asked: bool
    scraped: bool

    def verdicts(self) -> dict[str, list[Verdict]]:
        """Return the verdict on each line, by stream."""
        return {name: list(_lines.read(raw, self.form)) for name, raw in self.output.items()}

    @property
    def form(self) -> str:
        """The form that lines are to have."""
        return str(self.observed.settings.get("log_format") or "json")


def examine(case: Case) -> tuple[list[Check], list[dict[str, object]]]:
    """Return all checks, and the lines that escaped."""
    verdicts = case.verdicts()
    lines = [verdict.line for several in verdicts.values() for verdict in several if verdict.line]
    strays = list(_strays(verdicts))
    checks = [_program(case), _reach(case)]
    if case.observed.reports:
        checks += [_rooms(case.observed), _judge_lines(case, verdicts, strays)]
        if case.asked:
            checks.append(_request(case, lines))
        if case.scraped and case.trial.ports:
            checks.append(_metrics(case))
        if case.observed.spans():
            checks.append(_spans(case.observed))
        checks += [_libraries(case.observed), _health(case.observed), _settings(case.observed)]
    return checks, strays


def _program(case: Case) -> Check:
    trial = case.trial
    name, after = "program", f"{trial.seconds:.1f} s"
    if trial.killed:
        return Check(name, "bad", f"had to be killed after {after}: it did not end by SIGTERM")
    if not trial.stopped and trial.exit_code:
        return Check(name, "bad", f"ended after {after} {_how(trial)}", tuple(_last_words(case)))
    if not trial.stopped:
        return Check(name, "ok", f"ended by itself after {after} {_how(trial)}")
    if trial.ports:
        ports = ", ".join(map(str, trial.ports))
        return Check(name, "ok", f"listened on port {ports}, then was told to end, {_how(trial)}")
    return Check(
        name, "note", f"neither ended nor listened within {after}: no request was sent (--seconds)"
    )


def _how(trial: Trial) -> str:
    code = trial.exit_code
    return f"by signal {-code}" if code < 0 else f"with exit code {code}"


def _last_words(case: Case) -> Iterator[str]:
    """Yield what the program itself has said last; our own lines are not its words."""
    for raw in (case.trial.stderr, case.trial.stdout, *case.output.values()):
        for text in reversed(raw.splitlines()):
            line = _lines.judge(text, case.form).line
            if not text.strip() or text.startswith(b"obskit: ") or (line and _is_ours(line)):
                continue
            yield f"its last words: {_words(line or {}) or excerpt(text)}"
            return


def _is_ours(line: dict[str, object]) -> bool:
    return str(line.get("logger", "")).partition(".")[0] == "obskit"


def _words(line: dict[str, object]) -> str:
    parts = [line.get("error_type"), line.get("error_message")]
    if not any(parts):
        parts = [line.get("message")]
    return mask(": ".join(str(part) for part in parts if part))


def _reach(case: Case) -> Check:
    reached = case.observed.processes
    if not reached:
        return Check("observed", "bad", "obskit is not in this program", (_why_not(case),))
    bare = {pid: words for pid, words in case.trial.pythons.items() if pid not in reached}
    if bare:
        return Check(
            "observed",
            "bad",
            f"{len(bare)} of {len(bare.keys() | reached.keys())} Python processes run without it",
            tuple(f"{pid}: {command_line(words)}" for pid, words in bare.items()),
        )
    number = len(reached)
    return Check("observed", "ok", f"obskit is in {number} process{'es' if number > 1 else ''}")


def _why_not(case: Case) -> str:
    for line in case.trial.stderr.splitlines():
        if line.startswith(b"obskit: "):
            return excerpt(line)
    options = [word for word in case.command if re.fullmatch(r"-[a-zA-Z]*[ISE][a-zA-Z]*", word)]
    if options:
        return f"Python ignores PYTHONPATH or its start files with {options[0]}: leave it out"
    if case.trial.pythons or "python" in case.command[0]:
        return "is obskit installed for this Python? It must be, as the library that it runs with"
    return "it is not a Python program, or clears the environment that it was given"


def _rooms(observed: Observed) -> Check:
    troubles = tuple(map(mask, observed.troubles()))
    if troubles:
        return Check("parts", "bad", "not every part of obskit works", troubles)
    rooms = [room for room in observed.main.get("rooms", ()) if " " not in room]
    return Check("parts", "ok", f"{', '.join(rooms)} are on")


def _strays(verdicts: dict[str, list[Verdict]]) -> Iterator[dict[str, object]]:
    for stream, several in verdicts.items():
        for verdict in several:
            if verdict.fault:
                yield {
                    "stream": stream,
                    "number": verdict.number,
                    "line": excerpt(verdict.raw),
                    "fault": mask(verdict.fault),
                    "writer": _lines.writer(verdict.raw),
                }


def _judge_lines(
    case: Case, verdicts: dict[str, list[Verdict]], strays: Sequence[dict[str, object]]
) -> Check:
    total = sum(map(len, verdicts.values()))
    if not verdicts:
        stream = case.observed.settings.get("log_stream")
        return Check("lines", "note", f"not judged: format {case.form} to {stream}")
    if not total:
        return Check("lines", "bad", "not a single line came out", tuple(_why_none(verdicts)))
    cut = "; the end of the output was too long to be kept" if case.trial.cut else ""
    if not strays:
        return Check("lines", "ok", f"{total} of {total} are valid{cut}")
    details = [
        "{stream} line {number}: {line} ({fault}; likely {writer})".format(**one)
        for one in strays[:MOST_SHOWN]
    ]
    if len(strays) > MOST_SHOWN:
        details.append(f"and {len(strays) - MOST_SHOWN} more (--json has them all)")
    return Check("lines", "bad", f"{total - len(strays)} of {total} are valid{cut}", tuple(details))


def _why_none(streams: Iterable[str]) -> Iterator[str]:
    """Yield why there is nothing in a file that lines should be in, and which setting says so."""
    for stream in streams:
        if stream in ("stdout", "stderr"):
            continue
        why = "it was not made; can its folder be written?"
        if os.path.isdir(stream):
            why = "it is a folder"
        elif os.path.exists(stream):
            why = "it is empty" if os.access(stream, os.W_OK) else "it cannot be written"
        yield f"{mask(stream)}: {why} (OBSKIT_LOG_STREAM chooses the file)"


def _request(case: Case, lines: Sequence[dict[str, object]]) -> Check:
    answers = case.trial.answers
    name = "request"
    if not answers:
        return Check(name, "note", "none was sent: the program did not listen")
    first = answers[0]
    if first.status is None:
        return Check(name, "bad", f"GET {first.url} was not answered", (mask(first.fault),))
    faults = [fault for answer in answers for fault in _faults(answer, case, lines)]
    carried = sum(line.get("correlation_id") in _ids(answers) for line in lines)
    says = f"{len(answers)} x GET {first.url}, status {_statuses(answers)}"
    if faults:
        return Check(name, "bad", says, tuple(dict.fromkeys(faults)))
    header = "the ID came back"
    if not carried:
        return Check(name, "note", f"{says}: {header}; no line was due")
    return Check(name, "ok", f"{says}: {header}, and is on {carried} lines")


def _statuses(answers: Sequence[Answer]) -> str:
    return "/".join(dict.fromkeys(str(answer.status or "none") for answer in answers))


def _ids(answers: Sequence[Answer]) -> set[str]:
    return {name for answer in answers for name in answer.returned}


def _faults(answer: Answer, case: Case, lines: Sequence[dict[str, object]]) -> Iterator[str]:
    settings = case.observed.settings
    header = settings.get("correlation_header", "X-Correlation-ID")
    if answer.status is None:
        yield f"a request was not answered: {mask(answer.fault)}"
        return
    if not answer.returned:
        yield f"the response has no {header}: this server's framework is not observed"
        return
    if len(answer.returned) > 1:
        yield f"the response has {len(answer.returned)} headers {header}"
    got = answer.returned[0]
    if settings.get("trust") != "edge" and got != answer.sent:
        yield f"{header} came back as {mask(got)!r}, not as it was sent"
    quiet = answer.status < 400 and answer.path.partition("?")[0].rstrip("/") in QUIET_PATHS
    is_due = settings.get("request_log", True) and case.output and not quiet
    if is_due and all(line.get("correlation_id") != got for line in lines):
        yield "no line has the ID of the request"


def _metrics(case: Case) -> Check:
    page = case.trial.metrics
    answered = sum(answer.status is not None for answer in case.trial.answers)
    counted = sum(map(float, _SAMPLE.findall(page)))
    if not page:
        return Check("metrics", "bad", "there is no page of metrics", ("see parts and health",))
    families = page.count("# TYPE ")
    if counted < answered:
        return Check("metrics", "bad", f"{answered} requests were answered, {counted:.0f} counted")
    return Check("metrics", "ok", f"{families} families; {counted:.0f} requests are counted")


def _spans(observed: Observed) -> Check:
    """Judge whether spans arrive where the settings send them."""
    rows = observed.spans()
    says = "; ".join(
        f"{sum(row['sent'] for row in some)} sent to {mask(where)}" for where, some in rows.items()
    )
    troubles = tuple(
        f"{mask(where)}: {why}"
        for where, some in rows.items()
        for why in dict.fromkeys(row["trouble"] for row in some if row["trouble"])
    )
    if troubles:
        return Check("spans", "bad", says, troubles)
    return Check(
        "spans",
        "ok" if any(row["sent"] for some in rows.values() for row in some) else "note",
        says,
    )


def _libraries(observed: Observed) -> Check:
    libraries = observed.libraries()
    failed = [one for one in libraries if one.state == "failed"]
    untested = [one for one in libraries if one.state == "untested"]
    hooked = [one.name for one in libraries if one.state in ("hooked", "untested")]
    says = f"{', '.join(hooked) or 'none'} hooked"
    told = tuple(f"{one.name} {one.version or ''} {one.state}: {one.why}" for one in failed)
    if failed:
        return Check("libraries", "bad", says, told)
    told = tuple(f"{one.name} {one.version} is hooked untested: {one.why}" for one in untested)
    return Check("libraries", "note" if untested else "ok", says, told)


def _health(observed: Observed) -> Check:
    details = [
        f"{count} x {where}: {mask(text)}"
        for where, (count, text) in observed.internal_errors().items()
    ]
    details += [f"{count} lost: {what}" for what, count in observed.lost().items() if count]
    if details:
        return Check(
            "health", "bad", "obskit had errors of its own, or lost something", tuple(details)
        )
    return Check("health", "ok", "no errors inside obskit, nothing lost")


def _settings(observed: Observed) -> Check:
    problems = tuple(map(mask, observed.problems()))
    if problems:
        return Check("settings", "bad", "not all are understood; defaults are used", problems)
    return Check("settings", "ok", "all are understood")
