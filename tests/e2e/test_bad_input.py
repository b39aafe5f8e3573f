"""Every kind of malformed message becomes a dead letter with its reason; the rest of its batch is handled."""

from tests.e2e.outside import Outside, body
from tests.e2e.stage import Stage
from tests.e2e.worker_process import wait_until
from tests.handlers.events.malformed.messages import MALFORMED


def test_malformed_messages_become_dead_letters_with_their_reason(stage: Stage) -> None:
    outside = Outside(1)
    good = [message for number in range(5) for message in outside.pair(number, 2)]
    # SQS refuses an empty body, a body above its limit, and control characters: those kinds cannot be sent.
    kinds = [kind for kind in MALFORMED if kind.sendable and len(kind.body) < 200_000]
    assert len(kinds) >= 30
    mixed = [kind.body for kind in kinds] + [body(message) for message in good]
    outside.chance.shuffle(mixed)
    stage.send(mixed)

    worker = stage.worker()
    wait_until(
        lambda: stage.depth() == 0 and stage.depth(stage.variables["SQS_DEAD_LETTER_QUEUE_URL"]) == len(kinds),
        within_s=60,
        what=lambda: f"{len(kinds)} dead letters: {stage.depth(stage.variables['SQS_DEAD_LETTER_QUEUE_URL'])}",
    )
    letters = stage.dead_letters()
    by_body = {letter["Body"]: letter["MessageAttributes"] for letter in letters}
    assert set(by_body) == {kind.body for kind in kinds}
    for kind in kinds:
        attributes = by_body[kind.body]
        assert attributes["error_code"]["StringValue"] == kind.code, kind.id
        assert attributes["error_reason"]["StringValue"], kind.id
        assert attributes["source_message_id"]["StringValue"], kind.id
        assert attributes["received_at"]["StringValue"], kind.id
    handled = {line["event"]["id"] for line in worker.audits()}
    assert {message["body"]["id"] for message in good} <= handled
    assert worker.ready()
    assert worker.terminate()[0] == 0
