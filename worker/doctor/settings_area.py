"""The settings: their own checks, all errors at once, and what only looks wrong."""

import os
from typing import Final

from msgspec import Struct

from handlers.options import PolicyInUse
from worker.doctor.notebook import Notebook
from worker.findings import FindingCode
from worker.settings.reading import SettingErrors, near_misses, read_settings, read_what_can_be
from worker.settings.settings import Settings
from worker.settings.verbs.serve import ServeSettings

_NOWHERE_TOPIC: Final = "arn:aws:sns::0:not-set.fifo"
_NOWHERE: Final = {
    "aws_region": "us-east-1",
    "sqs_queue_url": "https://not-set.invalid/0/not-set",
    "sns_conversation_topic_arn": _NOWHERE_TOPIC,
    "sns_work_item_topic_arn": _NOWHERE_TOPIC,
    "mongodb_uri": "mongodb://not-set.invalid",
}
"""Stand in for settings without a default that are wrong. Nothing that needs such a setting is looked at."""


class UsableSettings(Struct, frozen=True, kw_only=True):
    """The settings, those that are wrong with their defaults. `wrong`: the variables' names."""

    settings: Settings
    wrong: frozenset[str]

    @property
    def serves(self) -> bool:
        """Whether they are those of `routing-sync serve`."""
        return isinstance(self.settings, ServeSettings)

    def unusable(self, *names: str) -> str | None:
        """Why what needs these variables cannot be looked at; None: it can."""
        wrong = [name for name in names if name in self.wrong]
        return f"{' and '.join(wrong)} must be mended first" if wrong else None


def examine_settings(notebook: Notebook, kind: type[Settings]) -> UsableSettings | None:
    """Note what is wrong with the environment; returns the settings with which the rest is looked at, None: too much
    is wrong."""
    read = read_settings(kind)
    if isinstance(read, SettingErrors):
        for error in read.errors:
            subject, remedy = error.variable or "settings", error.remedy or "see docs/settings.md"
            notebook.finding(FindingCode.SETTING_WRONG, subject, error.wrong, remedy)
    else:
        notebook.sound("settings", f"{sum(name.upper() in os.environ for name in kind.model_fields)} set, all valid")
    for miss in near_misses(kind, os.environ):
        notebook.finding(
            FindingCode.SETTING_MISTYPED,
            miss.variable,
            f"it is no setting, {miss.setting} is",
            f"rename it to {miss.setting}, or remove it",
        )
    settings, wrong = read_what_can_be(kind, _NOWHERE)
    if settings is None:
        notebook.untried("everything else", "the settings must be mended first")
        return None
    usable = UsableSettings(settings=settings, wrong=frozenset(name.upper() for name in wrong))
    _examine_doubts(notebook, usable)
    return usable


def _examine_doubts(notebook: Notebook, usable: UsableSettings) -> None:
    settings = usable.settings
    doubt = settings.topic_doubt
    if doubt is not None and not usable.unusable("SNS_CONVERSATION_TOPIC_ARN", "SNS_WORK_ITEM_TOPIC_ARN"):
        notebook.finding(
            FindingCode.TOPICS_DOUBTFUL, "topics", doubt, "set each to its own topic, or leave it if it is meant"
        )
    if not usable.serves and settings.heartbeat_seconds == 0 and settings.sync_policy is PolicyInUse.CAUSAL:
        notebook.finding(
            FindingCode.HEARTBEAT_OFF,
            "HEARTBEAT_SECONDS",
            "it is 0: a quiet queue cannot be told from SNS being silent, so quiet times close no gaps",
            "set it to a number from 1 to 30",
        )
