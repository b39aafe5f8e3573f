"""AWS: whose the credentials are, what they may do, and whether this machine's clock agrees."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from handlers.ports import Clock
from worker.aws.checks.inspection import CallRefusal, CallResult, Inspector
from worker.aws.checks.trials import Trial, dead_letter_trials, queue_trials, topic_trials
from worker.doctor.notebook import Notebook
from worker.doctor.settings_area import UsableSettings
from worker.findings import FindingCode

CLOCK_S_MAX: Final = 2.0
"""A `Date` header has whole seconds."""
_SIGNATURE_S_MAX: Final = 240.0
"""AWS takes signatures that are up to five minutes off."""
_SET_THE_CLOCK: Final = "set this machine's clock, by NTP"


async def examine_identity(notebook: Notebook, inspector: Inspector, clock: Clock) -> bool:
    """Note whose the credentials are, and the clock's difference. Returns whether AWS can be asked on."""
    subject = "AWS identity"
    asked_at = clock.now()
    answer = await notebook.within_time(subject, inspector.identity())
    if answer is None:
        return True
    note_clock(notebook, "AWS", answer.date, asked_at=asked_at, answered_at=clock.now())
    if answer.refusal is CallRefusal.CREDENTIALS:
        remedy = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the task its role"
        notebook.finding(FindingCode.CREDENTIALS_REFUSED, subject, answer.words, remedy)
        return False
    if answer.refusal is None:
        notebook.sound(subject, str(answer.response.get("Arn")))
    else:
        notebook.untried(subject, f"STS: {answer.words}")
    return True


def note_clock(
    notebook: Notebook, whose: str, theirs: datetime | None, *, asked_at: datetime, answered_at: datetime
) -> None:
    """Note how far this machine's clock is from another one, by whose time the answer was given: at least so far, for
    nobody knows when between `asked_at` and `answered_at` that was."""
    if theirs is None:
        return
    subject = f"clock beside {whose}'s"
    ahead_s = (asked_at - theirs if asked_at > theirs else min(answered_at - theirs, timedelta())).total_seconds()
    found = f"{abs(ahead_s):.0f} s {'ahead' if ahead_s > 0 else 'behind'}"
    if abs(ahead_s) > _SIGNATURE_S_MAX:
        notebook.finding(
            FindingCode.CLOCK_OFF, subject, f"{found}: AWS refuses signatures five minutes off", _SET_THE_CLOCK
        )
    elif abs(ahead_s) > CLOCK_S_MAX:
        found = f"{found}: lags and ages are wrong by as much"
        notebook.finding(FindingCode.CLOCK_DRIFTS, subject, found, _SET_THE_CLOCK)
    else:
        notebook.sound(subject, "within two seconds")


async def examine_rights(
    notebook: Notebook, inspector: Inspector, usable: UsableSettings, dead_letter_arn: str | None
) -> None:
    """Try each right of the policy, all at once. `dead_letter_arn` None: the queue does not say."""
    trials, untried = await _trials(notebook, inspector, usable, dead_letter_arn)
    answers = await asyncio.gather(*(notebook.within_time(_subject(trial), trial.call()) for trial in trials))
    allowed: list[str] = []
    for trial, answer in zip(trials, answers, strict=True):
        if answer is not None:
            policy = "deploy/iam-serve.json" if usable.serves else "deploy/iam-policy.json"
            _note_right(notebook, trial, answer, allowed, policy)
    if allowed:
        notebook.sound("rights", ", ".join(dict.fromkeys(allowed)))
    for subject, reason in untried:
        notebook.untried(subject, reason)


async def _trials(
    notebook: Notebook, inspector: Inspector, usable: UsableSettings, dead_letter_arn: str | None
) -> tuple[Sequence[Trial], Sequence[tuple[str, str]]]:
    settings = usable.settings
    trials: list[Trial] = []
    untried: list[tuple[str, str]] = []
    topics = {"SNS_WORK_ITEM_TOPIC_ARN": settings.sns_work_item_topic_arn}
    if not usable.serves:
        topics = {"SNS_CONVERSATION_TOPIC_ARN": settings.sns_conversation_topic_arn, **topics}
        if usable.unusable("SQS_QUEUE_URL") is None:
            trials += queue_trials(inspector, settings.sqs_queue_url)
        if dead_letter_arn is None:
            untried.append(("rights on the dead-letter queue", "the queue does not name it"))
        else:
            answer = await notebook.within_time(f"URL of {dead_letter_arn}", inspector.queue_url(dead_letter_arn))
            url = None if answer is None else answer.response.get("QueueUrl")
            trials += dead_letter_trials(inspector, dead_letter_arn, url)
            if url is None:
                untried.append(("sqs:SendMessage on the dead-letter queue", "its URL cannot be looked up"))
    for variable, arn in topics.items():
        if usable.unusable(variable) is None:
            trials += topic_trials(inspector, arn)
    return trials, untried


def _note_right(notebook: Notebook, trial: Trial, answer: CallResult, allowed: list[str], policy: str) -> None:
    match answer.refusal:
        case None | CallRefusal.OTHER:
            allowed.append(trial.action)
        case CallRefusal.DENIED:
            remedy = f"allow {trial.action} on it, see {policy}"
            notebook.finding(FindingCode.RIGHT_MISSING, _subject(trial), answer.words, remedy)
        case CallRefusal.ABSENT:
            notebook.untried(_subject(trial), "it does not exist")
        case CallRefusal.AWAY | CallRefusal.CREDENTIALS:
            notebook.untried(_subject(trial), answer.words)


def _subject(trial: Trial) -> str:
    return f"{trial.action} on {trial.resource}"
