"""Every `aws` command of the runbook and of the page about deploying exists, with its options and the names in it.

A test has no account, so a command is held against the service's own model and against the files of `deploy/`.
"""

import re
import shlex
from collections.abc import Iterator
from typing import Any, Final

import botocore.session
import pytest
from botocore import xform_name

from server_process import ROOT
from tests.deploy.test_ecs import resources

PAGES: Final = ("runbook.md", "deploy.md")
GLOBAL: Final = {"query", "output", "region"}
_COMMAND: Final = re.compile(r"`(aws [a-z][^`]+)`|^ *(?:\w+=\$\()?(aws .+?)\)?$", re.MULTILINE)
_NESTED: Final = re.compile(r'"?\$\(.*?\)"?')
_STACK: Final = ("cloudformation", "deploy")
"""A command of the AWS CLI's own, of which the services have no model."""


def commands() -> Iterator[str]:
    for page in PAGES:
        for span, line in _COMMAND.findall((ROOT / "docs" / page).read_text()):
            yield re.split(r"\s*[;|>]\s", _NESTED.sub("VALUE", span or line))[0]


COMMANDS: Final = sorted({each for each in commands() if len(each.split()) > 3})


def options_of(words: list[str]) -> dict[str, str]:
    """The options by name, each with what follows it."""
    names = [index for index, word in enumerate(words) if word.startswith("--")]
    ends = [*names[1:], len(words)]
    return {words[begin][2:]: " ".join(words[begin + 1 : end]) for begin, end in zip(names, ends, strict=True)}


def operation_of(service: str, words: list[str]) -> Any:
    """The operation that the command calls, a waiter's own too."""
    session = botocore.session.get_session()
    model = session.get_service_model(service)
    by_name = {xform_name(name, "-"): name for name in model.operation_names}
    if words[0] != "wait":
        return model.operation_model(by_name[words[0]])
    waiters = session.get_waiter_model(service)
    by_waiter = {xform_name(name, "-"): name for name in waiters.waiter_names}
    return model.operation_model(waiters.get_waiter(by_waiter[words[1]]).operation)


def test_the_runbook_stops_the_workers_of_ecs() -> None:
    called = {" ".join(each.split()[1:3]) for each in COMMANDS}
    assert {
        "application-autoscaling register-scalable-target", "ecs list-tasks", "ecs update-service", "ecs wait",
    } <= called  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
def test_the_operation_and_its_options_exist(command: str) -> None:
    _, service, *words = shlex.split(command)
    if (service, words[0]) == _STACK:
        assert (ROOT / options_of(words)["template-file"]).is_file()
        return
    members = operation_of(service, words).input_shape.members
    assert set(options_of(words)) - GLOBAL <= {xform_name(name, "-") for name in members}


@pytest.mark.parametrize("command", [each for each in COMMANDS if " ecs " in each or "scalable-target" in each])
def test_a_service_that_it_names_is_one_of_the_stack(command: str) -> None:
    services = {each["ServiceName"] for each in resources("AWS::ECS::Service").values()}
    options = options_of(shlex.split(command)[2:])
    named = {options[name] for name in ("service", "service-name") if name in options}
    assert named <= services
    if "resource-id" in options:
        (target,) = resources("AWS::ApplicationAutoScaling::ScalableTarget").values()
        assert options["service-namespace"] == target["ServiceNamespace"]
        assert options["scalable-dimension"] == target["ScalableDimension"]
        assert options["resource-id"].removeprefix("service/CLUSTER/") in services


def test_a_wrong_option_and_a_wrong_waiter_are_noticed() -> None:
    with pytest.raises(KeyError):
        operation_of("ecs", ["wait", "workers-stopped"])
    assert "desired-number" not in {
        xform_name(name, "-") for name in operation_of("ecs", ["update-service"]).input_shape.members
    }
