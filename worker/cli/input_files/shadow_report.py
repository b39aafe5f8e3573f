"""`routing-sync shadow-report FILE…`: whether it is safe to move from policy `shadow` to `causal`."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from worker.cli.exit_status import EXIT_DONE, EXIT_FAILED
from worker.cli.terminal import json_option, print_error, progress
from worker.printable_text import printable_json

if TYPE_CHECKING:
    from worker.shadow.report import ShadowReport

FILES = Annotated[
    list[Path],
    typer.Argument(metavar="FILE…", help="The workers' logs, oldest first, gzip or not; `-` is standard input."),
]
EVENTS = Annotated[int, typer.Option(min=1, help="A verdict takes so many compared events.")]
PAIRS = Annotated[int, typer.Option(min=1, help="A verdict takes so many pairs.")]
HOURS = Annotated[int, typer.Option(min=1, help="A verdict takes events of so many hours of the clock.")]
WAITS = Annotated[float, typer.Option(min=0, max=100, help="The share of events, in percent, that may have to wait.")]
EXAMPLES = Annotated[int, typer.Option(min=0, max=100, help="So many examples of each kind.")]
ASSUME = Annotated[
    bool, typer.Option("--assume-shadow", help="Every line of policy legacy is of a worker under shadow.")
]
JSON = Annotated[bool, json_option("One JSON object a line: a difference each, the examples, then the report.")]
_STEP: Final = 1_000
_MEANINGS: Final = {
    "UNEXPLAINED": "the rules do not explain it",
    "LOSS_PREVENTED": "legacy overwrote a newer value, causal keeps it",
    "WAITS": "causal holds the write back until the event that decides has come",
    "LATE_NEWS": "legacy dropped a late event, causal takes it in",
    "OTHER_DIRECTION": "causal writes to the event's own side, too",
    "WIDER_RULE": "a rule that fires more often under causal",
    "NARROWER_RULE": "a rule that fires less often under causal (A6, B7)",
    "FORWARD_FIRST": "causal writes the work-item first, then looks at it",
    "AFTER_ROUTING": "legacy's write came after one of routing",
    "NO_EFFECT": "legacy asked for an update that changed nothing",
}
_CONCLUSIONS: Final = {
    "safe": "yes: it is safe to move from shadow to causal",
    "unsafe": "no: it is not safe to move from shadow to causal",
    "not-enough-evidence": "no verdict: not enough evidence to move from shadow to causal",
}


def shadow_report(  # noqa: PLR0917 - typer passes options by name
    files: FILES,
    min_events: EVENTS = 10_000,
    min_pairs: PAIRS = 500,
    min_hours: HOURS = 24,
    max_waits: WAITS = 5,
    examples: EXAMPLES = 3,
    assume_shadow: ASSUME = False,
    as_json: JSON = False,
) -> None:
    """Say whether it is safe to move from policy shadow to causal, out of the logs of workers under SYNC_POLICY=shadow.

    Exit status 0 if it is; 1 if it is not, or if the evidence is not enough. A line may stand behind a prefix of
    Docker, Kubernetes or compose. Other lines are passed over. Memory does not grow with the logs.
    """
    from worker.shadow.audit_lines import read_log  # noqa: PLC0415 - `--help` loads none of it
    from worker.shadow.report import Demands, ShadowReport, Verdict  # noqa: PLC0415

    demands = Demands(
        events_min=min_events,
        pairs_min=min_pairs,
        hours_min=min_hours,
        waits_percent_max=max_waits,
        examples=examples,
    )
    report = ShadowReport(demands, assume_shadow=assume_shadow)
    with progress("lines", results_on_stdout=False) as advance:
        for file in files:
            for number, line in enumerate(read_log(file), start=1):
                report.add(line)
                if number % _STEP == 0:
                    advance(_STEP)
    for fault in report.faults:
        print_error(f"routing-sync shadow-report: {fault}")
    sys.stdout.writelines(f"{line}\n" for line in (_json_lines(report) if as_json else _text_lines(report)))
    raise typer.Exit(EXIT_DONE if report.verdict is Verdict.SAFE else EXIT_FAILED)


def _json_lines(report: "ShadowReport") -> Iterator[str]:
    from worker.shadow.differences import DifferenceKind  # noqa: PLC0415
    from worker.shadow.report import difference_wire, example_wire, report_wire  # noqa: PLC0415

    for difference, count in report.kinds.most_common():
        yield printable_json({"difference": {**difference_wire(difference), "count": count}})
    for kind in DifferenceKind:
        for example in report.examples(kind):
            yield printable_json({"example": {"kind": kind.value, **example_wire(example)}})
    yield printable_json({"report": report_wire(report)})


def _text_lines(report: "ShadowReport") -> Iterator[str]:
    from worker.shadow.report import report_wire  # noqa: PLC0415

    wire = report_wire(report)
    compared, lines = wire["compared"], wire["lines"]
    about = "" if compared["pairsExact"] else "about "
    versions = ", ".join(f"{_printable(version)} ({count:,})" for version, count in compared["versions"].items())
    if compared["events"]:
        yield (
            f"compared: {compared['events']:,} events of {about}{compared['pairs']:,} pairs in "
            f"{compared['hours']} hours, {compared['from']} to {compared['to']}"
        )
        yield f"versions: {versions}"
    else:
        yield "compared: no event"
    others = "".join(f", {count:,} of policy {name}" for name, count in lines["otherPolicies"].items())
    yield (
        f"lines: {lines['audit']:,} audit lines{others}, {lines['unknownPolicy']:,} of legacy or shadow, "
        f"{lines['failed']:,} of failed attempts; "
        f"{lines['unreadable']:,} unreadable, {lines['passedOver']:,} passed over"
    )
    if compared["events"]:
        yield f"differing: {compared['differing']:,} events"
    yield from _kind_lines(report)
    yield from (f"no: {each}" for each in wire["objections"])
    yield from (f"missing: {each}" for each in wire["missing"])
    yield _CONCLUSIONS[wire["verdict"]]


def _kind_lines(report: "ShadowReport") -> Iterator[str]:
    from worker.shadow.differences import DifferenceKind  # noqa: PLC0415
    from worker.shadow.report import example_wire  # noqa: PLC0415

    for kind in DifferenceKind:
        if not report.events_by_kind[kind]:
            continue
        yield f"\n{kind.value}: {report.events_by_kind[kind]:,} events: {_MEANINGS[kind.value]}"
        rows = [(each, count) for each, count in report.kinds.most_common() if each.kind is kind]
        for each, count in rows:
            rules = f"legacy {each.legacy_rule or '-'}, causal {each.causal_rule or '-'}"
            detail = f": {_printable(each.detail)}" if each.detail else ""
            code = f" {each.code}" if each.code else ""
            yield f"  {count:>9,}  {each.field or '-'} {each.direction or '-'}: {rules}{code}{detail}"
        for example in report.examples(kind):
            yield from _example_lines(example_wire(example))
    yield ""


def _example_lines(wire: dict[str, Any]) -> Iterator[str]:
    event = wire["event"] or {}
    conversation, name = _printable(wire["conversationId"]), _printable(event.get("name"))
    yield f"  e.g. {wire['time']} conversation {conversation}, {name} rev {event.get('rev')}"
    yield f"       before {printable_json(wire['before'])}"
    for policy in ("legacy", "causal"):
        decision = wire[policy]
        writes = {
            side: decision[key]
            for side, key in (("conversation", "updatedConversation"), ("workItem", "updatedWorkItem"))
            if decision[key] is not None
        }
        held = "".join(f", {each}" for each in decision.get("suppressed", ()))
        codes = _printable(", ".join(decision["codes"]))
        yield f"       {policy} {printable_json(writes) if writes else 'nothing'}: {codes}{held}"


def _printable(text: str | None) -> str:
    """The text; in JSON's form where it could steer a terminal."""
    return text if text is not None and text.isprintable() else printable_json(text)
