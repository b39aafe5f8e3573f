"""Row 10: settings that contradict each other are refused with both values, and mistyped ones are warned of."""

from collections.abc import Mapping
from pathlib import Path

import botocore.session
import pytest
from botocore.exceptions import BotoCoreError

from tests.worker.settings.test_settings import GOOD
from worker.settings.reading import NearMiss, SettingErrors, near_misses, read_settings
from worker.settings.settings import Settings
from worker.settings.table import setting_rows

ARN = "arn:aws:sns:us-east-1:123456789012"
QUEUE = "https://sqs.us-east-1.amazonaws.com/123456789012/routing-sync"


@pytest.fixture(autouse=True)
def _settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in (*(row.name for row in setting_rows()), "AWS_DEFAULT_REGION", "AWS_PROFILE", "AWS_DEFAULT_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in GOOD.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))


def _read(monkeypatch: pytest.MonkeyPatch, variables: Mapping[str, str]) -> Settings | list[str]:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    found = read_settings(Settings)
    return list(found.lines) if isinstance(found, SettingErrors) else found


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        (
            {"SQS_QUEUE_URL": QUEUE.replace("us-east-1", "eu-west-1")},
            ("SQS_QUEUE_URL: 'https://sqs.eu-west-1.amazonaws.com/123456789012/routing-s… names the region eu-west-1, "
            "AWS_REGION is us-east-1: set one to the other's region"),
        ),
        (
            {"SWEEP_INTERVAL_SECONDS": "9"},
            "SWEEP_INTERVAL_SECONDS: '9' is less than 10 s: set it to at least 10, or to 0 for no sweep",
        ),
        (
            {"SNS_WORK_ITEM_TOPIC_ARN": "arn:aws:sns:eu-west-1:1:work-items"},
            ("SNS_WORK_ITEM_TOPIC_ARN: 'arn:aws:sns:eu-west-1:1:work-items' names the region eu-west-1, AWS_REGION is "
            "us-east-1: set one to the other's region"),
        ),
        (
            {"AWS_REGION": "", "AWS_DEFAULT_REGION": "eu-west-1", "SNS_WORK_ITEM_TOPIC_ARN": f"{ARN}:work-items",
             "SNS_CONVERSATION_TOPIC_ARN": "arn:aws:sns:eu-west-1:1:conversations"},
            (f"SNS_WORK_ITEM_TOPIC_ARN: '{ARN}:work-items' names the region us-east-1, AWS_DEFAULT_REGION is "
            "eu-west-1: set one to the other's region"),
        ),
        (
            {"SNS_CONVERSATION_TOPIC_ARN": f"{ARN}:WorkItems.fifo",
             "SNS_WORK_ITEM_TOPIC_ARN": f"{ARN}:conversations.fifo"},
            (f"SNS_WORK_ITEM_TOPIC_ARN: '{ARN}:conversations.fifo' has the name of a topic of conversation events, and "
            f"SNS_CONVERSATION_TOPIC_ARN {ARN}:WorkItems.fifo that of a topic of work-item events: swap the two"),
        ),
        (
            {"SNS_CONVERSATION_TOPIC_ARN": "arn:aws:sqs:us-east-1:1:conversations"},
            ("SNS_CONVERSATION_TOPIC_ARN: 'arn:aws:sqs:us-east-1:1:conversations' is an ARN of sqs: "
            "set it to the ARN of an SNS topic, arn:aws:sns:…"),
        ),
        (
            {"SQS_QUEUE_URL": "arn:aws:sqs:us-east-1:1:q"},
            ("SQS_QUEUE_URL: 'arn:aws:sqs:us-east-1:1:q' is an ARN: set it to the queue's URL, "
            "https://HOST/ACCOUNT/NAME"),
        ),
        (
            {"SQS_QUEUE_URL": "https://sns.us-east-1.amazonaws.com/1/q"},
            ("SQS_QUEUE_URL: 'https://sns.us-east-1.amazonaws.com/1/q' is an address of sns: "
            "set it to the URL of an SQS queue"),
        ),
        (
            {"SQS_QUEUE_URL": "https://sqs.us-east-1.amazonaws.com/"},
            ("SQS_QUEUE_URL: 'https://sqs.us-east-1.amazonaws.com/' names no queue: set it to the queue's URL, "
            "https://HOST/ACCOUNT/NAME"),
        ),
        (
            {"SQS_QUEUE_URL": "http://127.0.0.1:4566/1/q.fifo"},
            ("SQS_QUEUE_URL: 'http://127.0.0.1:4566/1/q.fifo' is a FIFO queue, SNS_CONVERSATION_TOPIC_ARN "
            f"{ARN}:conversation-events is a standard topic and cannot deliver to it: take FIFO topics with it "
            "(`routing-sync provision --fifo` makes all three), or a standard queue"),
        ),
        (
            {"UNASSIGN_ON_UNAVAILABLE": "true"},
            ("UNASSIGN_ON_UNAVAILABLE: 'true' un-assigns a conversation only where its work-item is created: "
            "set CREATE_WORK_ITEMS to true, or UNASSIGN_ON_UNAVAILABLE to false"),
        ),
        (
            {"AWS_REGION": "US East"},
            "AWS_REGION: 'US East' is not the name of a region: set it to a region such as eu-central-1",
        ),
        (
            {"AWS_REGION": "", "AWS_DEFAULT_REGION": "US East"},
            ("AWS_REGION: AWS_DEFAULT_REGION 'US East' is not the name of a region: set it to a region such as "
            "eu-central-1"),
        ),
    ],
)  # fmt: skip
def test_row_10_a_contradiction_is_refused_with_both_values(
    monkeypatch: pytest.MonkeyPatch, variables: Mapping[str, str], expected: str
) -> None:
    assert _read(monkeypatch, variables) == [expected]


@pytest.mark.parametrize(
    ("conversation", "item", "doubt"),
    [
        ("prod-conversation", "prod-conversation-wi",
         "SNS_WORK_ITEM_TOPIC_ARN has the name of a topic of conversation events"),
        ("workitem-routing-c", "workitem-routing-w",
         "SNS_CONVERSATION_TOPIC_ARN has the name of a topic of work-item events"),
        ("conversations", "more-conversations",
         "SNS_WORK_ITEM_TOPIC_ARN has the name of a topic of conversation events"),
        ("events", "events", "SNS_CONVERSATION_TOPIC_ARN and SNS_WORK_ITEM_TOPIC_ARN are the same topic"),
        ("conversations", "conversations",
         "SNS_CONVERSATION_TOPIC_ARN and SNS_WORK_ITEM_TOPIC_ARN are the same topic"),
        ("conversations", "work-items", None),
        ("workitems-and-conversations", "work-items", None),
        ("a", "b", None),
    ],
)  # fmt: skip
def test_row_10_topics_that_are_only_named_oddly_are_a_doubt(
    monkeypatch: pytest.MonkeyPatch, conversation: str, item: str, doubt: str | None
) -> None:
    """A running deployment starts after an upgrade whatever one of its topics is called."""
    topics = {"SNS_CONVERSATION_TOPIC_ARN": f"{ARN}:{conversation}", "SNS_WORK_ITEM_TOPIC_ARN": f"{ARN}:{item}"}
    found = _read(monkeypatch, topics)
    assert isinstance(found, Settings)
    assert found.topic_doubt == doubt


@pytest.mark.parametrize(
    "variables",
    [
        {"SQS_QUEUE_URL": QUEUE},
        {"SQS_QUEUE_URL": "https://queue.amazonaws.com/123456789012/q"},
        {"SQS_QUEUE_URL": "https://us-east-1.queue.amazonaws.com/123456789012/q"},
        {"SQS_QUEUE_URL": "https://vpce-0a1b2c-3d4e.sqs.us-east-1.vpce.amazonaws.com/123456789012/q"},
        {"SQS_QUEUE_URL": "http://sqs.us-east-1.localhost.localstack.cloud:4566/000000000000/q"},
        {"SQS_QUEUE_URL": "https://sqs-of-eu-west-1.example.com/queue/q"},
        {"SNS_CONVERSATION_TOPIC_ARN": f"{ARN}:workitems-and-conversations"},
        {"SNS_CONVERSATION_TOPIC_ARN": f"{ARN}:a", "SNS_WORK_ITEM_TOPIC_ARN": f"{ARN}:b"},
        {"SNS_CONVERSATION_TOPIC_ARN": "arn:aws:sns:us-east-1:210987654321:conversations"},
        {"SQS_QUEUE_URL": f"{QUEUE}.fifo", "SNS_CONVERSATION_TOPIC_ARN": f"{ARN}:conversations.fifo"},
        {"CREATE_WORK_ITEMS": "true", "UNASSIGN_ON_UNAVAILABLE": "true", "QUEUE_RULES": "true", "RULES_SECONDS": "0"},
    ],
    ids=str,
)
def test_row_10_settings_that_agree_are_accepted(monkeypatch: pytest.MonkeyPatch, variables: Mapping[str, str]) -> None:
    assert isinstance(_read(monkeypatch, variables), Settings)


@pytest.mark.parametrize(
    ("variable", "setting"),
    [
        ("SYNC_POLCY", "SYNC_POLICY"),
        ("RECIEVERS", "RECEIVERS"),
        ("LANE", "LANES"),
        ("LOGLEVEL", "LOG_LEVEL"),
        ("sync_gap_second", "SYNC_GAP_SECONDS"),
        ("MONGODB_DATBASE", "MONGODB_DATABASE"),
        ("AWS_ENDPONT_URL", "AWS_ENDPOINT_URL"),
        ("HEARTBEAT_SECS", "HEARTBEAT_SECONDS"),
        ("SYNC_POLICY", None),
        ("sync_policy", None),
        ("AWS_ENDPOINT_URL_STS", None),
        ("DD_DOGSTATSD_HOST", None),
        ("HTTP_PROXY", None),
        ("LINES", None),
        ("LANG", None),
        ("LANES_SERVICE_HOST", None),
        ("SQS_DEAD_LETTER_QUEUE_URL", None),
        ("AWS_PROFILE", None),
        ("AWS_DEFAULT_REGION", None),
    ],
)
def test_row_10_a_near_miss_is_told_with_the_name_that_was_meant(variable: str, setting: str | None) -> None:
    expected = [] if setting is None else [NearMiss(variable=variable, setting=setting)]
    assert near_misses(Settings, [variable]) == expected


@pytest.mark.parametrize(
    ("unset", "mistyped", "line"),
    [
        ("MONGODB_URI", {"MONGODB_URL": "mongodb://me:hunter2@host"},
         ("MONGODB_URI: it is not set, MONGODB_URL is (mistyped?): set it to mongodb://HOST:PORT/?replicaSet=NAME or "
         "mongodb+srv://HOST")),
        ("AWS_REGION", {"AWS_REGON": "us-east-1"},
         ("AWS_REGION: it is not set, AWS_REGON is (mistyped?): set it, AWS_DEFAULT_REGION, or a region in the AWS "
         "profile")),
        ("SQS_QUEUE_URL", {"SQS_QUEUE_UR": QUEUE, "SQS_QUEUE_URI": QUEUE},
         ("SQS_QUEUE_URL: it is not set, SQS_QUEUE_UR is (mistyped?): set it to the URL of the queue of events; the "
         "queue must have a redrive policy; `routing-sync provision --env` prints it")),
        ("SQS_QUEUE_URL", {"QUEUE": QUEUE},
         ("SQS_QUEUE_URL: it is not set: set it to the URL of the queue of events; the queue must have a redrive "
         "policy; `routing-sync provision --env` prints it")),
    ],
)  # fmt: skip
def test_row_10_a_required_setting_names_the_variable_that_was_meant_for_it(
    monkeypatch: pytest.MonkeyPatch, unset: str, mistyped: Mapping[str, str], line: str
) -> None:
    monkeypatch.delenv(unset)
    assert _read(monkeypatch, mistyped) == [line]


CONFIG = "[default]\nregion = eu-west-1\n[profile work]\nregion = eu-west-2\nendpoint_url = http://work\n"
PROFILES = [
    (CONFIG, ""),
    (CONFIG, "[work]\nregion = eu-north-1\n"),
    ("[profile default]\nregion = eu-west-3\n", ""),
    ('[profile "work"]\nregion = eu-west-2\n', ""),
    ("[work]\nregion = eu-west-2\n[default]\ns3 =\n  region = no\nregion = eu-west-1\n", ""),
    ("", "[default]\nregion = eu-south-1\n[work]\naws_access_key_id = a\n"),
    ("region = eu-west-1\n", ""),
    ("[profile default]\nregion = eu-west-1\n[default]\nregion = eu-west-2\n", ""),
    ("[profile work\nregion = eu-west-1\n", ""),
    ("[sso-session work]\nregion = eu-west-1\n[profile work]\noutput = json\n", ""),
]


@pytest.mark.thorough
@pytest.mark.parametrize("variables", [{}, {"AWS_PROFILE": "work"}, {"AWS_DEFAULT_PROFILE": "work"}], ids=str)
@pytest.mark.parametrize("default_region", [None, "sa-east-1"])
@pytest.mark.parametrize("files", PROFILES)
def test_row_10_the_region_is_the_one_that_the_library_finds(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    files: tuple[str, str],
    default_region: str | None,
    variables: dict[str, str],
) -> None:
    for name, text in zip(("config", "credentials"), files, strict=True):
        (tmp_path / name).write_text(text)
    monkeypatch.delenv("AWS_REGION")
    monkeypatch.setenv("SNS_CONVERSATION_TOPIC_ARN", "arn:aws:sns::1:c")
    monkeypatch.setenv("SNS_WORK_ITEM_TOPIC_ARN", "arn:aws:sns::1:w")
    found = _read(monkeypatch, {**variables, **({"AWS_DEFAULT_REGION": default_region} if default_region else {})})
    try:
        expected = botocore.session.get_session().get_config_variable("region")
    except BotoCoreError:
        expected = default_region
    if expected is None:
        assert found == ["AWS_REGION: it is not set: set it, AWS_DEFAULT_REGION, or a region in the AWS profile"]
    else:
        assert isinstance(found, Settings)
        assert found.aws_region == expected


def test_row_10_aws_region_comes_before_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    found = _read(monkeypatch, {"AWS_DEFAULT_REGION": "eu-west-1"})
    assert isinstance(found, Settings)
    assert found.aws_region == GOOD["AWS_REGION"]


@pytest.mark.parametrize(
    "variable", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_SQS", "AWS_ENDPOINT_URL_SNS", "SQS_QUEUE_URL"]
)
@pytest.mark.parametrize("address", ["http://h:99999999", "http://h:port", "http://[::1"])
def test_row_10_an_address_that_cannot_be_read_is_named(
    monkeypatch: pytest.MonkeyPatch, variable: str, address: str
) -> None:
    found = _read(monkeypatch, {variable: f"{address}/1/queue"})
    assert found == [
        f"{variable}: its host and port cannot be read: write them as HOST:PORT, with a port from 1 to 65535"
    ]


@pytest.mark.parametrize(("ignored", "endpoint"), [("false", "http://127.0.0.1:4566"), ("true", None)])
def test_row_10_configured_endpoints_are_ignored_where_the_library_ignores_them(
    monkeypatch: pytest.MonkeyPatch, ignored: str, endpoint: str | None
) -> None:
    variables = {"AWS_ENDPOINT_URL": "http://127.0.0.1:4566", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": ignored}
    found = _read(monkeypatch, variables)
    assert isinstance(found, Settings)
    assert (found.sqs_endpoint.url, found.sns_endpoint.url) == (endpoint, endpoint)
