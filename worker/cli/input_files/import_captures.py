"""`routing-sync import FILE…`: messy captures to clean ones."""

import sys
from collections import Counter
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any, Final

import orjson
import typer

from worker.cli.exit_status import EXIT_DONE, EXIT_FAILED
from worker.cli.new_file import new_file
from worker.cli.terminal import exit_with_error, json_option, print_error, progress
from worker.errors import InputNotKept

if TYPE_CHECKING:
    from collections.abc import Sequence

    from worker.investigate.capture_import.importer import ImportCounts
    from worker.investigate.capture_import.json_repair.repairs import Repair
    from worker.investigate.capture_import.record_store import AddedRecord, RecordStore
    from worker.investigate.redaction.redactor import Redactor

FILES = Annotated[
    list[Path], typer.Argument(metavar="FILE…", help="Logs, exports or notes, gzip or not; `-` is standard input.")
]
OUTPUT = Annotated[
    Path, typer.Option("--output", "-o", metavar="FILE", help="The clean capture; `-` is standard output.")
]
KEEP = Annotated[bool, typer.Option("--keep-personal-data", help="Replace nothing.")]
KEY_FILE = Annotated[
    Path | None,
    typer.Option(
        "--redaction-key-file",
        metavar="FILE",
        help="Runs with the same key replace a value by the same stand-in.  [default: a key by chance]",
    ),
]
JSON = Annotated[bool, json_option("The report as one JSON object a line.")]
_STEP: Final = 1_000
_LEFT_OUT_SHOWN: Final = 20
_KEY_BYTES_MIN: Final = 16


def import_captures(
    files: FILES,
    output: OUTPUT = Path("-"),
    keep_personal_data: KEEP = False,
    redaction_key_file: KEY_FILE = None,
    as_json: JSON = False,
) -> None:
    """Find the events in logs, exports and notes, repair damaged ones, and write them as a clean capture: one event a
    line, each once, in the order of time and, of one record, by revision. Audit lines stay.

    Personal data is replaced by stand-ins; ids and times stay. Every repair is reported with file, line and what was
    assumed. What cannot be repaired is reported and left out, and the exit status is 1.
    """
    from worker.investigate.capture_import.importer import Importer  # noqa: PLC0415 - `--help` loads none of it
    from worker.investigate.capture_import.record_store import RecordStore  # noqa: PLC0415

    _check_paths(files, output)
    redactor = None if keep_personal_data else _redactor(redaction_key_file)
    is_result_on_stdout = str(output) == "-"
    report = _ImportReport(sys.stderr if is_result_on_stdout else sys.stdout, as_json=as_json)
    try:
        with RecordStore() as store, progress("lines", results_on_stdout=not is_result_on_stdout) as advance:
            importer = Importer(store, redactor, report)
            for file in files:
                for number, _ in enumerate(importer.add(file), start=1):
                    if number % _STEP == 0:
                        advance(_STEP)
            if not len(store):
                report.summary(importer.counts, redactor)
                exit_with_error("import", f"no event in {', '.join(map(str, files))}: nothing is written")
            _write(output, store)
    except InputNotKept as error:
        exit_with_error("import", error)
    report.summary(importer.counts, redactor)
    raise typer.Exit(EXIT_FAILED if importer.counts.left_out else EXIT_DONE)


def _check_paths(files: list[Path], output: Path) -> None:
    if str(output) == "-":
        return
    for file in files:
        if str(file) != "-" and file.exists() and output.exists() and file.samefile(output):
            raise typer.BadParameter(f"{output} is an input, too: name another file for the output")
    if output.is_dir():
        raise typer.BadParameter(f"{output} is a folder: name a file in it")


def _redactor(key_file: Path | None) -> "Redactor":
    from worker.investigate.redaction.redactor import Redactor  # noqa: PLC0415
    from worker.investigate.redaction.stand_ins import StandIns  # noqa: PLC0415

    if key_file is None:
        return Redactor(StandIns())
    try:
        key = key_file.read_bytes().strip()
    except OSError as error:
        raise typer.BadParameter(f"{key_file} cannot be read: {error.strerror}: name a file with the key") from error
    if len(key) < _KEY_BYTES_MIN:
        raise typer.BadParameter(
            f"{key_file} holds {len(key)} bytes: a key of less than {_KEY_BYTES_MIN} could be guessed; make one, for "
            f"example with `openssl rand -hex 32 > {key_file}`"
        )
    return Redactor(StandIns(key))


def _write(output: Path, store: "RecordStore") -> None:
    if str(output) == "-":
        for text in store.in_order():
            sys.stdout.buffer.write(text + b"\n")
        return
    try:
        with new_file(output) as file:
            for text in store.in_order():
                file.write(text + b"\n")
    except OSError as error:
        exit_with_error("import", f"{output} cannot be written: {error.strerror}: name a file elsewhere")


class _ImportReport:
    """Prints repairs and what is left out as they come, on standard error; the summary to `out`. For readers, the
    repairs of an event are one line, and what was left out stands before the summary once more."""

    def __init__(self, out: IO[str], *, as_json: bool) -> None:
        self._out = out
        self._as_json = as_json
        self._left_out: list[str] = []
        self._left_out_count = 0
        self._is_told_behind = False

    def repaired(self, file: str, line: int, repairs: "Sequence[tuple[int, Repair]]") -> None:
        if not self._as_json:
            print_error(f"{file}:{line}: repaired: {shown_repairs([repair for _, repair in repairs])}")
            self._is_told_behind = self._left_out_count > 0
            return
        for at, repair in repairs:
            wire = {"kind": repair.kind.value, "field": ".".join(repair.path), "assumed": repair.assumed}
            self._print_json({"repair": {**_place(file, at), **wire}})

    def left_out(self, file: str, line: int, last_line: int, reason: str) -> None:
        where = f"{file}:{line}" if line else file
        until = f" to line {last_line}" if last_line > line else ""
        told = f"{where}: left out{until}: {reason}"
        self._left_out_count += 1
        if len(self._left_out) < _LEFT_OUT_SHOWN:
            self._left_out.append(told)
        self._tell({"leftOut": {**_place(file, line), "lastLine": last_line, "reason": reason}}, told)

    def doubtful(self, file: str, line: int, added: "AddedRecord") -> None:
        other_file, other_line = added.other or ("", 0)
        meaning = _DOUBTS[added.added.value]
        self._tell(
            {"doubt": {**_place(file, line), "kind": added.added.value, "other": _place(other_file, other_line)}},
            f"{file}:{line}: {meaning} {other_file}:{other_line}",
        )

    def summary(self, counts: "ImportCounts", redactor: "Redactor | None") -> None:
        replaced: Counter[str] = Counter()
        fields = []
        for (kind, field), count in sorted((redactor.replaced if redactor is not None else Counter()).items()):
            replaced[kind.value] += count
            fields.append({"kind": kind.value, "field": field, "count": count})
        if self._as_json:
            wire = {
                "events": counts.events,
                "auditLines": counts.audit_lines,
                "duplicates": counts.duplicates,
                "repaired": counts.repaired,
                "leftOut": counts.left_out,
                "others": counts.others,
                "redaction": None if redactor is None else {"replaced": replaced, "fields": fields},
            }
            self._print_json({"import": wire})
            return
        if self._is_told_behind:
            self._repeat_left_out()
        from worker.investigate.timeline.wording import counted  # noqa: PLC0415 - `--help` loads none of it

        self._print(
            f"{counted(counts.events, 'event')} and {counted(counts.audit_lines, 'audit line')}; "
            f"{counted(counts.duplicates, 'duplicate')}, {counts.repaired:,} repaired, {counts.left_out:,} left out, "
            f"{counted(counts.others, 'other object')} passed over"
        )
        if redactor is None:
            self._print("personal data: kept")
            return
        kinds = ", ".join(f"{count:,} {kind}" for kind, count in replaced.most_common())
        self._print(f"personal data: replaced {kinds}" if kinds else "personal data: nothing to replace")
        for each in fields:
            self._print(f"  {each['kind']} in {each['field']}: {each['count']:,}")

    def _repeat_left_out(self) -> None:
        print_error(f"left out, {self._left_out_count:,} in all:")
        for line in self._left_out:
            print_error(f"  {line}")
        if self._left_out_count > len(self._left_out):
            print_error(f"  and {self._left_out_count - len(self._left_out):,} more, told above")

    def _print_json(self, wire: dict[str, Any]) -> None:
        self._print(orjson.dumps(wire).decode())

    def _tell(self, wire: dict[str, Any], line: str) -> None:
        if self._as_json:
            self._print_json(wire)
        else:
            print_error(line)

    def _print(self, line: str) -> None:
        if self._out is sys.stderr:
            print_error(line)
        else:
            self._out.write(line + "\n")


_DOUBTS: Final = {
    "conflict": "another content has the same event id; both are kept: the other one is at",
    "damaged-copy": "another content has the same event id; the copy without repairs is kept; the other one is at",
    "same-revision": "another event has the same revision of the same record; both are kept: the other one is at",
}


def shown_repairs(repairs: "Sequence[Repair]") -> str:
    """The repairs of one event on a line: what was assumed, and the names of the fields it was assumed of."""
    fields: dict[str, Counter[str]] = {}
    for repair in repairs:
        is_change = repair.path[-1:] in (("before",), ("after",))
        fields.setdefault(repair.assumed, Counter())[".".join(repair.path[-2 if is_change else -1 :])] += 1
    return "; ".join(f"{assumed}{_shown_names(names)}" for assumed, names in fields.items())


def _shown_names(names: Counter[str]) -> str:
    shown = ", ".join(f"{name} ×{count}" if count > 1 else name for name, count in names.items() if name)
    return f" ({shown})" if shown else ""


def _place(file: str, line: int) -> dict[str, Any]:
    return {"file": file, "line": line}
