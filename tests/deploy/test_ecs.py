"""The CloudFormation template of ECS: cfn-lint takes it, and it fits the processes that it runs."""

import json
from typing import Any, Final

import pytest

from server_process import ROOT
from tests.deploy.deployed_settings import SECRETS, read_as, unknown_variables
from tests.deploy.image.dockerfile import image_user
from worker.cli.healthcheck import ADDRESSES

pytestmark = pytest.mark.thorough

TEMPLATE: Final = ROOT / "deploy" / "ecs" / "routing-sync.yaml"
PARAMETERS: Final = {
    "AWS::Region": "eu-central-1",
    "QueueUrl": "https://sqs.eu-central-1.amazonaws.com/123456789012/events",
    "ConversationTopicArn": "arn:aws:sns:eu-central-1:123456789012:conversation-events",
    "WorkItemTopicArn": "arn:aws:sns:eu-central-1:123456789012:work-item-events",
    "MongoDatabase": "routing",
    "Environment": "production",
    "Version": "1.0",
}
PORT: Final = {"run": "http_port", "serve": "api_port"}


def template() -> dict[str, Any]:
    from cfnlint.decode import decode_str  # noqa: PLC0415 - it takes a second, which every process would pay

    decoded, errors = decode_str(TEMPLATE.read_text())
    assert not errors
    plain: dict[str, Any] = json.loads(json.dumps(decoded))
    return plain


def resources(kind: str) -> dict[str, dict[str, Any]]:
    return {name: each["Properties"] for name, each in template()["Resources"].items() if each["Type"] == kind}


def container_of(verb: str) -> dict[str, Any]:
    tasks = resources("AWS::ECS::TaskDefinition").values()
    (container,) = [each for task in tasks for each in task["ContainerDefinitions"] if each["Name"] == verb]
    assert container["Command"] == [verb]
    assert isinstance(container, dict)
    return container


def variables_of(verb: str) -> dict[str, str]:
    """The environment of a verb's container, with the parameters filled in."""
    plain = {each["Name"]: each["Value"] for each in container_of(verb)["Environment"]}
    known = {name: PARAMETERS[value["Ref"]] if isinstance(value, dict) else value for name, value in plain.items()}
    return {**known, **{each["Name"]: SECRETS[each["Name"]] for each in container_of(verb)["Secrets"]}}


def findings(text: str) -> list[str]:
    # One region: the resources have the same form in each.
    from cfnlint import lint  # noqa: PLC0415 - as above

    return [f"{match.rule.id} {match.message}" for match in lint(text, regions=["eu-central-1"])]


def test_cfn_lint_finds_nothing() -> None:
    assert findings(TEMPLATE.read_text()) == []


def test_a_template_that_ecs_would_refuse_is_noticed() -> None:
    text = TEMPLATE.read_text()
    for right, wrong in (("ReadonlyRootFilesystem", "ReadOnlyRootFilesystem"), ('Memory: "2048"', 'Memory: "1000"')):
        assert right in text
        text = text.replace(right, wrong)
    found = "\n".join(findings(text))
    assert "ReadOnlyRootFilesystem" in found
    assert "memory '1000'" in found


def test_every_variable_is_a_setting() -> None:
    assert unknown_variables({**variables_of("run"), **variables_of("serve")}) == []


@pytest.mark.parametrize("verb", PORT)
def test_the_process_starts_with_the_settings_of_its_container(verb: str, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = read_as(verb, variables_of(verb), monkeypatch)
    container = container_of(verb)
    (mapping,) = container["PortMappings"]
    assert mapping["ContainerPort"] == getattr(settings, PORT[verb])
    assert settings.shutdown_seconds + 10 <= container["StopTimeout"] <= 120


@pytest.mark.parametrize("verb", PORT)
def test_a_container_has_no_rights_that_it_does_not_need(verb: str) -> None:
    container = container_of(verb)
    assert container["User"] == image_user()
    assert container["ReadonlyRootFilesystem"] is True
    assert container["LinuxParameters"]["Capabilities"] == {"Drop": ["ALL"]}
    secrets = {each["Name"] for each in container["Secrets"]}
    assert secrets == ({"MONGODB_URI"} if verb == "run" else {"MONGODB_URI", "API_TOKENS"})


@pytest.mark.parametrize("verb", PORT)
def test_the_health_check_is_the_processes_own(verb: str) -> None:
    assert verb in ADDRESSES
    assert container_of(verb)["HealthCheck"]["Command"] == ["CMD", "python", "-m", "worker.cli.healthcheck", verb]


def test_the_worker_is_scaled_by_depth_and_age() -> None:
    policies = resources("AWS::ApplicationAutoScaling::ScalingPolicy")
    text = {name: json.dumps(policy) for name, policy in policies.items()}
    assert "ApproximateNumberOfMessagesVisible" in text["WorkerCountByDepth"]
    assert "ApproximateAgeOfOldestMessage" in text["WorkerCountByAge"]
    assert {policy["ScalingTargetId"]["Ref"] for policy in policies.values()} == {"WorkerCount"}


def test_an_update_of_the_stack_leaves_the_number_of_workers_to_the_scaling() -> None:
    services = resources("AWS::ECS::Service")
    (target,) = resources("AWS::ApplicationAutoScaling::ScalableTarget").values()
    assert "Worker.Name" in json.dumps(target["ResourceId"]), "the worker is the service that is scaled"
    assert "DesiredCount" not in services["Worker"]
    assert services["Serve"]["DesiredCount"] == target["MinCapacity"] == 2


def test_every_parameter_is_used() -> None:
    text = json.dumps(template()["Resources"])
    assert [name for name in template()["Parameters"] if f'"{name}"' not in text and f"${{{name}}}" not in text] == []
