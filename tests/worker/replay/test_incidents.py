"""Both captured incidents in all three modes, fact by fact."""

import json
import re

import pytest

from tests.handlers.test_batch_incidents import recorded_audit
from tests.handlers.wire_events import LOST_ASSIGNMENT, UNASSIGN_WITHOUT_QUEUE, Json, captured
from tests.worker.replay.replays import (
    AGENT_2022,
    CONVERSATION_2021,
    CONVERSATION_2022,
    ITEM_2021,
    ITEM_2022,
    QUEUE_2021,
    QUEUE_2022,
    Replayed,
    Runner,
    incident,
    replay,
)
from worker.replay.captured_events import EPOCH
from worker.replay.pairs.half_pairs import HalfPairs
from worker.replay.recorded_syncs import DecisionLine
from worker.replay.reports.text import contract_text, details

__all__ = ["replay"]

POLICIES = ["causal", "legacy", "shadow"]


def without_queue() -> list[Json]:
    """The incident of 2021 as if its conversation had no queue, which was never captured."""
    lines = captured(UNASSIGN_WITHOUT_QUEUE)
    del lines[-1]["body"]["body"]["data"]["relationships"]["queue"]
    return lines


def rules(audit: Json) -> list[str]:
    return [reason["meta"].get("rule", reason["code"]) for reason in audit["reasons"]]


def pair_2021(replayed: Replayed) -> tuple[object, ...]:
    conversation = replayed.final["conversations"][CONVERSATION_2021]
    item = replayed.final["workItems"][ITEM_2021]
    return conversation["assignedUsers"], item["status"], item["assignedTo"], item["queue"] and item["queue"]["id"]


class TestObserve:
    @pytest.mark.parametrize("policy", POLICIES)
    def test_2021_ends_unassigned(self, replay: Runner, policy: str) -> None:
        replayed = replay("--json", "--policy", policy, incident(UNASSIGN_WITHOUT_QUEUE))
        assert (replayed.status, replayed.err) == (0, [])
        # The captured syncs had taken the work-item's queue away, and causal does not repair them.
        queue = ("ivr", None, None) if policy == "causal" else ("queued", None, QUEUE_2021)
        assert pair_2021(replayed) == ([], *queue)
        outcomes = [audit["outcome"] for audit in replayed.audits]
        assert outcomes == ["skipped"] * 3 + ["applied"] * (2 if policy == "causal" else 1)

    @pytest.mark.parametrize("policy", POLICIES)
    def test_2021_without_a_queue_ends_in_ivr(self, replay: Runner, policy: str) -> None:
        replayed = replay("--json", "--policy", policy, replay.file(without_queue()))
        assert (replayed.status, replayed.err) == (0, [])
        assert pair_2021(replayed) == ([], "ivr", None, None)

    def test_2021_the_gap_poll_decides_on_the_queue(self, replay: Runner) -> None:
        """Revisions 9 to 18 of the conversation were not captured, so the queue waits. Then it is the work-item's: its
        last outside write of the queue does not say what it knew, and no captured conversation event changed it."""
        *_, unassigned, poll = replay("--json", incident(UNASSIGN_WITHOUT_QUEUE)).audits
        assert unassigned["event"]["rev"] == 19
        assert rules(unassigned) == ["B3"]
        assert [(each["field"], each["code"]) for each in unassigned["suppressed"]] == [
            ("assignee", "CONVERSATION_IS_NEWER"),
            ("queue", "FIELD_WAITS"),
        ]
        assert (poll["event"], poll["trigger"], rules(poll)) == (None, "gap", ["A6"])
        assert poll["time"] == "2021-02-13T07:28:24.427Z"

    def test_2022_the_recorded_sync_stands_beside_our_decision(self, replay: Runner) -> None:
        replayed = replay("--json", incident(LOST_ASSIGNMENT))
        created, queued, assigned = replayed.audits
        # The work-item's event caused the un-assignment; the old worker's own audit line says the same.
        assert queued["recorded"] == {
            "updatedConversation": recorded_audit()["updatedConversation"],
            "updatedWorkItem": None,
            "events": [{"id": "621fc1d672ec4b086d4de052", "name": "kustomer.conversation.update", "rev": 7}],
        }
        assert (created["recorded"], assigned["recorded"]) == (None, None)
        assert assigned["updatedWorkItem"] == {"assignedTo": AGENT_2022, "rev": 2}
        assert (created["before"], assigned["before"]) == (
            None,
            {"conversation": None, "workItem": {"assignedTo": None}},
        )
        assert rules(assigned) == ["B1"]

    def test_2022_ends_as_it_was_captured(self, replay: Runner) -> None:
        """The last captured event is the old worker's sync, which decides nothing."""
        final = replay("--json", incident(LOST_ASSIGNMENT)).final
        assert (final["conversations"][CONVERSATION_2022]["rev"], final["workItems"][ITEM_2022]["rev"]) == (7, 2)

    def test_shadow_shows_the_causal_decision(self, replay: Runner) -> None:
        audits = replay("--json", "--policy", "shadow", incident(UNASSIGN_WITHOUT_QUEUE)).audits
        assert audits[-1]["policy"] == "legacy"
        assert audits[-1]["shadow"]["updatedWorkItem"] == {"assignedTo": None}


class TestSimulate:
    @pytest.mark.parametrize("policy", POLICIES)
    @pytest.mark.parametrize("queue", [True, False], ids=["queue", "no-queue"])
    def test_2021_ends_unassigned_and_queued(self, replay: Runner, policy: str, queue: bool) -> None:
        file = incident(UNASSIGN_WITHOUT_QUEUE) if queue else replay.file(without_queue())
        replayed = replay("--json", "--mode", "simulate", "--fail-on-violation", "--policy", policy, file)
        assert (replayed.status, replayed.err) == (0, [])
        # Without the conversation's queue, too: the work-item enters one by itself, and the conversation follows.
        assert pair_2021(replayed) == ([], "queued", None, QUEUE_2021)
        assert {audit["outcome"] for audit in replayed.audits} <= {"applied", "skipped"}

    def test_2022_both_sides_end_assigned_with_the_queue(self, replay: Runner) -> None:
        replayed = replay("--json", "--simulate", "--fail-on-violation", incident(LOST_ASSIGNMENT))
        assert replayed.status == 0
        conversation = replayed.final["conversations"][CONVERSATION_2022]
        item = replayed.final["workItems"][ITEM_2022]
        assert conversation["assignedUsers"] == [AGENT_2022]
        assert item["assignedTo"] == AGENT_2022
        assert conversation["queue"]["id"] == item["queue"]["id"] == QUEUE_2022
        # The work-item takes no queue away before it is queued, so no sync of ours comes before the workflow's write.
        assert [(audit["event"]["rev"], audit["event"]["id"][-4:]) for audit in replayed.audits] == [
            (1, "a93b"), (2, "453b"), (6, "8c4e")
        ]  # fmt: skip


class TestExplore:
    def test_2022_under_legacy_the_assignment_is_lost(self, replay: Runner) -> None:
        replayed = replay("explore", "--json", "--policy", "legacy", incident(LOST_ASSIGNMENT))
        [explored] = replayed.explored
        assert replayed.status == 0
        assert (explored["conversation"], explored["policy"], explored["interleavings"]) == (
            CONVERSATION_2022, "legacy", 15
        )  # fmt: skip
        kept, lost, queue_lost = explored["endStates"]
        assert (kept["count"], kept["violations"]) == (9, [])
        assert lost["count"] == 5
        assert lost["conversation"]["assignedUsers"] == []
        assert lost["workItem"]["assignedTo"] is None
        assert lost["violations"] == [{"point": 2, "field": "assignee", "expected": [AGENT_2022], "found": []}]
        assert (queue_lost["count"], [each["field"] for each in queue_lost["violations"]]) == (1, ["queue"])

    def test_2022_the_example_makes_the_write_that_the_old_workers_audit_recorded(self, replay: Runner) -> None:
        [explored] = replay("explore", "--json", "--policy", "legacy", incident(LOST_ASSIGNMENT)).explored
        lost = explored["endStates"][1]
        assert lost["example"] == [
            "write work-item 1",
            "write work-item 2",
            "write conversation 6",
            "deliver work-item 1",
            "deliver work-item 2",
            "deliver conversation 6",
        ]
        assert [rules(audit) for audit in lost["audit"]] == [["STALE_REV"], ["A3"], ["STALE_REV"]]
        assert lost["audit"][1]["updatedConversation"] == recorded_audit()["updatedConversation"]
        assert recorded_audit()["updatedConversation"] == {"assignedUsers": [], "rev": 6}

    def test_2022_under_causal_every_interleaving_ends_well(self, replay: Runner) -> None:
        replayed = replay("explore", "--json", "--fail-on-violation", incident(LOST_ASSIGNMENT))
        [explored] = replayed.explored
        [end] = explored["endStates"]
        assert (replayed.status, end["count"], explored["interleavings"], end["violations"]) == (0, 15, 15, [])
        assert end["conversation"]["assignedUsers"] == [AGENT_2022]
        assert end["workItem"]["assignedTo"] == AGENT_2022
        assert end["conversation"]["queue"]["id"] == end["workItem"]["queue"]["id"] == QUEUE_2022

    def test_2021_under_causal_every_interleaving_ends_unassigned_and_queued(self, replay: Runner) -> None:
        [explored] = replay("explore", "--json", incident(UNASSIGN_WITHOUT_QUEUE)).explored
        [end] = explored["endStates"]
        assert (end["count"], end["violations"]) == (105, [])
        assert (end["workItem"]["status"], end["workItem"]["queue"]["id"]) == ("queued", QUEUE_2021)

    def test_a_broken_contract_fails_with_fail_on_violation(self, replay: Runner) -> None:
        arguments = ["explore", "--policy", "legacy", "--fail-on-violation"]
        assert replay(*arguments, incident(LOST_ASSIGNMENT)).status == 1


class TestLastLine:
    HINT = (
        "what the captured worker did differs from ours at 1 event: --json shows it under recorded; "
        "`replay explore` shows every order"
    )

    def test_of_observe_counts_the_differing_events(self, replay: Runner) -> None:
        lines = replay(incident(LOST_ASSIGNMENT)).out.splitlines()
        assert lines[-1] == self.HINT
        assert "in the end, as captured, and what we make of the last event" in lines

    def test_of_observe_is_missing_where_no_sync_was_captured(self, replay: Runner) -> None:
        assert "captured worker" not in replay(incident(UNASSIGN_WITHOUT_QUEUE)).out

    @pytest.mark.parametrize("style", ["--json", None])
    def test_of_observe_is_text_only(self, replay: Runner, style: str | None) -> None:
        out = replay(*([style] if style else []), incident(LOST_ASSIGNMENT)).out
        assert ("captured worker" in out) is (style is None)

    @pytest.mark.parametrize(
        ("recorded", "ours", "differs"),
        [
            (None, {"assignedTo": "a"}, False),
            ({"assignedTo": "a", "status": "assigned"}, {"assignedTo": "a"}, False),
            ({"queue": {"id": None}}, {"queue": None}, False),
            ({"queue": {"id": "q"}}, {"queue": {"id": "q"}, "assignedTo": None}, False),
            ({"queue": {"id": "q"}}, {"queue": {"id": "q"}, "assignedTo": "a"}, True),
            ({"assignedTo": None}, None, True),
            ({"assignedTo": "a"}, {"assignedTo": "b"}, True),
            ({"status": "completed"}, {"status": "wrap-up"}, True),
        ],
    )
    def test_compares_the_written_fields(self, recorded: Json | None, ours: Json | None, differs: bool) -> None:
        wire = {"updatedConversation": None, "updatedWorkItem": ours and {**ours, "rev": 3}}
        line = DecisionLine(audit_json=wire, at=EPOCH)
        if recorded is not None:
            line.recorded = {"updatedConversation": None, "updatedWorkItem": {**recorded, "rev": 4}, "events": []}
        assert line.differs is differs

    def test_of_simulate_says_that_the_contract_holds(self, replay: Runner) -> None:
        assert replay("simulate", incident(LOST_ASSIGNMENT)).out.splitlines()[-2:] == ["", "the contract holds"]

    @pytest.mark.parametrize(("kept", "lacks"), [
        (slice(0, 2), "the capture has no event of the conversation itself"),
        (slice(2, 3), "the capture has no event of a work-item"),
    ])  # fmt: skip
    def test_there_is_no_verdict_on_half_a_pair(self, replay: Runner, kept: slice, lacks: str) -> None:
        half = replay.file(captured(LOST_ASSIGNMENT)[kept])
        assert replay("simulate", half).out.splitlines()[-1] == f"no verdict: conversation {CONVERSATION_2022}: {lacks}"
        assert f"no verdict: {lacks}" in replay("explore", half).out.splitlines()[0]
        assert replay("explore", "--json", half).explored[0]["lacks"] == lacks
        both = replay("simulate", half, incident(UNASSIGN_WITHOUT_QUEUE)).out.splitlines()[-1]
        assert both == (
            f"the contract holds in 1 of 2 pairs, no verdict on the others: conversation {CONVERSATION_2022}: {lacks}"
        )

    def test_of_simulate_names_the_violations(self) -> None:
        broken = {"point": 2, "field": "queue", "expected": "q", "found": None}
        violation = 'point 2: queue should be "q", is null'
        assert contract_text([("c-1", broken)], HalfPairs()) == f"the contract is broken: conversation c-1: {violation}"
        many = contract_text([(f"c-{number}", broken) for number in range(5)], HalfPairs())
        assert many.endswith(f"conversation c-2: {violation}; and 2 more")

    def test_observe_breaks_no_contract(self, replay: Runner) -> None:
        checked = replay("--fail-on-violation", incident(LOST_ASSIGNMENT))
        assert (checked.status, checked.out) == (0, replay(incident(LOST_ASSIGNMENT)).out)


class TestHeldBack:
    def test_is_not_shown_where_the_newer_sides_rule_wrote_the_field(self, replay: Runner) -> None:
        file = incident(UNASSIGN_WITHOUT_QUEUE)
        held = [line.strip() for line in replay(file).out.splitlines() if "held back" in line]
        assert held == ["held back: queue FIELD_WAITS (changed at 0, known 8)"]
        assert sum(len(audit["suppressed"]) for audit in replay("--json", file).audits) == 3

    @pytest.mark.parametrize(
        ("code", "conversation", "item", "shown"),
        [
            ("CONVERSATION_IS_NEWER", None, {"assignedTo": None}, False),
            ("CONVERSATION_IS_NEWER", None, {"queue": None}, True),
            ("CONVERSATION_IS_NEWER", {"assignedUsers": []}, None, True),
            ("WORK_ITEM_IS_NEWER", {"assignedUsers": []}, None, False),
            ("WORK_ITEM_IS_NEWER", None, None, True),
            ("FIELD_WAITS", {"assignedUsers": []}, None, True),
        ],
    )
    def test_is_shown_of_every_other_field(
        self, code: str, conversation: Json | None, item: Json | None, shown: bool
    ) -> None:
        suppressed = [{"field": "assignee", "code": code, "conversationRev": 2, "knownRev": 1}]
        wire = {"updatedConversation": conversation, "updatedWorkItem": item, "suppressed": suppressed}
        assert any(line.startswith("held back: assignee") for line in details(wire)) is shown

    def test_shadow_shows_the_reasons(self, replay: Runner) -> None:
        out = replay("--policy", "shadow", incident(UNASSIGN_WITHOUT_QUEUE)).out
        assert '    causal would: work-item {"assignedTo": null} (queue FIELD_WAITS)\n' in out
        simulated = replay("simulate", "--policy", "shadow", incident(LOST_ASSIGNMENT)).out
        nothing = {
            "updatedConversation": None,
            "updatedWorkItem": None,
            "reasons": [{"code": "AWAITING_EARLIER_EVENT", "meta": {}}],
            "suppressed": [{"field": "assignee", "code": "FIELD_WAITS", "conversationRev": 0, "knownRev": 5}],
        }
        wire: Json = {"updatedConversation": None, "updatedWorkItem": None, "suppressed": [], "shadow": nothing}
        assert details(wire) == ["causal would: write nothing: AWAITING_EARLIER_EVENT (assignee FIELD_WAITS)"]
        assert "write nothing\n" not in simulated


def test_the_text_report_has_the_facts(replay: Runner) -> None:
    observed = replay(incident(LOST_ASSIGNMENT)).out
    assert "recorded: conversation against rev 6" in observed
    explored = replay("explore", "--policy", "legacy", incident(LOST_ASSIGNMENT)).out
    assert "15 interleavings, 3 end states, 6 interleavings break the contract" in explored
    assert "       deliver work-item 2: applied: A3 WORK_ITEM_QUEUED_UNASSIGNED" in explored
    simulated = replay("simulate", incident(UNASSIGN_WITHOUT_QUEUE)).out
    assert "breaks" not in simulated
    assert f"queued, unassigned, queue {QUEUE_2021}, rev 3" in simulated


@pytest.mark.parametrize("mode", ["observe", "simulate", "explore"])
@pytest.mark.parametrize("style", [["--json"], []], ids=["json", "text"])
def test_two_replays_print_the_same_bytes(replay: Runner, mode: str, style: list[str]) -> None:
    files = [incident(LOST_ASSIGNMENT), incident(UNASSIGN_WITHOUT_QUEUE)]
    first, second = (replay("--mode", mode, *style, *files).out for _ in range(2))
    assert first == second
    assert first


def _without_made_ids(out: str) -> list[str]:
    """The lines of a replay without the ids of what it would publish, which count through all conversations."""
    return re.sub(r'"eventId":"\d{24}"', '"eventId":""', out).splitlines()


@pytest.mark.parametrize("mode", ["observe", "simulate", "explore"])
def test_other_conversations_of_a_capture_make_no_difference(replay: Runner, mode: str) -> None:
    alone = replay("--mode", mode, "--json", incident(UNASSIGN_WITHOUT_QUEUE))
    later_first = replay("--mode", mode, "--json", incident(LOST_ASSIGNMENT), incident(UNASSIGN_WITHOUT_QUEUE))
    chosen = replay(
        "--mode",
        mode,
        "--json",
        "--conversation",
        CONVERSATION_2021,
        *map(incident, (LOST_ASSIGNMENT, UNASSIGN_WITHOUT_QUEUE)),
    )
    assert chosen.out == alone.out
    about = [line for line in _without_made_ids(later_first.out) if CONVERSATION_2021 in line and '"final"' not in line]
    assert sorted(about) == sorted(line for line in _without_made_ids(alone.out) if '"final"' not in line)
    if mode != "explore":
        assert (
            later_first.final["workItems"][ITEM_2021]
            == json.loads(alone.out.splitlines()[-1])["final"]["workItems"][ITEM_2021]
        )
