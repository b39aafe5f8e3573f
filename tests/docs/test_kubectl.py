"""Every `kubectl` command of the runbook and of the page about deploying exists, and so does what it names.

A test has no cluster. So what kubectl can do without one is run: each verb's help, a secret that is not sent, the
annotation of a file. Objects, containers and files are held against what kustomize makes of the example.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from server_process import ROOT
from tests.deploy.test_kubernetes import FOLDER, container_of, of_kind
from tests.deploy.test_kustomize import EXAMPLE, Objects, doctor_of_a_copy, objects_of
from tests.deploy.tools import tool

pytestmark = pytest.mark.thorough

PAGES: Final = ("runbook.md", "deploy.md")
KINDS: Final = {"deploy": "Deployment", "job": "Job", "scaledobject": "ScaledObject"}
"""The names of kinds in commands."""
VERB_WORDS: Final = {"create": 3, "rollout": 2, "config": 2, "set": 2}
"""Of how many words these verbs consist: `create secret generic`."""
COPY: Final = ("deploy/kubernetes/production", "deploy/kubernetes/example")
"""The folder of an installation in the pages, and what it is a copy of."""
MENTIONED: Final = (["set", "image"], ["rollout", "undo"], ["apply", "-k"])
"""Named in a sentence, and not to be run."""
_COMMAND: Final = re.compile(r"`(kubectl [^`]+)`|^(kubectl .+)$", re.MULTILINE)
_REFERENCE: Final = re.compile(r"([a-z]+)/([\w.-]+)")


def commands() -> Iterator[str]:
    """The commands as a shell would run them, without what follows in a pipe or behind a semicolon."""
    for page in PAGES:
        for spans, lines in _COMMAND.findall((ROOT / "docs" / page).read_text()):
            command = re.split(r"\s*[;|>]|\s+#\s", " ".join((spans or lines).split()))[0]
            if len(command.split()) > 2 and command.split()[1:] not in MENTIONED:
                yield command.replace(*COPY)


COMMANDS: Final = sorted(set(commands()))


def kubectl(*arguments: str, kubeconfig: Path = Path(os.devnull)) -> str:
    done = subprocess.run(
        [str(tool("kubectl")), *arguments],
        cwd=ROOT,
        env={**os.environ, "KUBECONFIG": str(kubeconfig)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def words_of(command: str) -> list[str]:
    """The arguments of kubectl itself: what follows `--` is run in the pod."""
    words = shlex.split(command)[1:]
    return words[: words.index("--")] if "--" in words else words


def value_of(option: str, words: list[str]) -> str | None:
    return words[words.index(option) + 1] if option in words else None


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Objects:
    return {**objects_of(EXAMPLE), **objects_of(doctor_of_a_copy(tmp_path_factory.mktemp("copy")))}


def test_the_pages_have_that_many_commands() -> None:
    assert len(COMMANDS) >= 22
    assert {"apply", "annotate", "create", "exec", "logs", "rollout", "scale", "wait"} <= {
        words_of(command)[0] for command in COMMANDS
    }


@pytest.mark.parametrize("command", COMMANDS)
def test_the_verb_and_its_options_exist(command: str) -> None:
    words = words_of(command)
    verb = words[: VERB_WORDS.get(words[0], 1)]
    known = set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", kubectl(*verb, "--help") + kubectl("options")))
    assert {word.partition("=")[0] for word in words if word.startswith("-")} <= known


def unknown_names(command: str, built: Objects) -> list[str]:
    """The objects, containers and files of the command that do not exist."""
    words = words_of(command)
    objects = [(match[1], match[2]) for word in words if (match := _REFERENCE.fullmatch(word))]
    unknown = [f"{kind}/{name}" for kind, name in objects if (KINDS.get(kind), name) not in built]
    if words[:2] == ["set", "image"]:
        containers = built[KINDS[objects[0][0]], objects[0][1]]["spec"]["template"]["spec"]["containers"]
        images = [word.partition("=")[0] for word in words[3:] if not word.startswith("-")]
        unknown += [name for name in images if name not in {each["name"] for each in containers}]
    if (file := value_of("-f", words)) is not None and not (ROOT / file).is_file():
        unknown.append(file)
    if (folder := value_of("-k", words)) is not None and not (ROOT / folder / "kustomization.yaml").is_file():
        unknown.append(folder)
    return unknown


@pytest.mark.parametrize("command", COMMANDS)
def test_what_it_names_exists(command: str, built: Objects) -> None:
    assert unknown_names(command, built) == []
    assert "-n" not in words_of(command), "the context has the namespace: one place for it"


@pytest.mark.parametrize(
    ("command", "unknown"),
    [
        ("kubectl set image deploy/routing-sync routing-sync=IMAGE", "routing-sync"),
        ("kubectl rollout status deploy/routing-worker", "deploy/routing-worker"),
        ("kubectl apply -f deploy/kubernetes/example/spaces.yaml", "deploy/kubernetes/example/spaces.yaml"),
        ("kubectl apply -k deploy/kubernetes/checker", "deploy/kubernetes/checker"),
    ],
)
def test_a_name_that_does_not_exist_is_noticed(command: str, unknown: str, built: Objects) -> None:
    assert unknown_names(command, built) == [unknown]


def test_the_image_of_the_worker_is_set_by_its_containers_name(built: Objects) -> None:
    assert unknown_names("kubectl set image deploy/routing-sync run=IMAGE", built) == []


@pytest.mark.parametrize("page", PAGES)
def test_the_namespace_is_that_of_the_example_and_stands_before_every_command_that_needs_it(page: str) -> None:
    (namespace,) = of_kind("Namespace", "example")
    text = (ROOT / "docs" / page).read_text()
    (words,) = [words_of(each) for each in _found(text) if each.startswith("kubectl config set-context")]
    assert words == ["config", "set-context", "--current", f"--namespace={namespace}"]
    if page == "runbook.md":
        assert _found(text)[0].startswith("kubectl config set-context")
    else:
        order = [text.index(part) for part in ("/namespace.yaml", "kubectl config", "kubectl create secret")]
        assert order == sorted(order)


def _found(text: str) -> list[str]:
    return [spans or lines for spans, lines in _COMMAND.findall(text)]


def test_the_context_takes_the_namespace(tmp_path: Path) -> None:
    (command,) = [each for each in COMMANDS if " set-context " in each]
    config = tmp_path / "config"
    config.write_text(
        "apiVersion: v1\nkind: Config\ncurrent-context: here\ncontexts: [{name: here, context: {cluster: c}}]\n"
    )
    kubectl(*words_of(command), kubeconfig=config)
    assert yaml.safe_load(config.read_text())["contexts"][0]["context"]["namespace"] == "routing-sync"


def test_the_secret_has_the_keys_that_the_pods_read() -> None:
    (command,) = [each for each in COMMANDS if " create secret " in each]
    secret = json.loads(kubectl(*words_of(command), "--dry-run=client", "-o", "json"))
    read = [entry["valueFrom"].get("secretKeyRef") for entry in container_of("serve")["env"]]
    assert {(secret["metadata"]["name"], key) for key in secret["data"]} == {
        (each["name"], each["key"]) for each in read if each is not None
    }


def test_the_pause_is_set_and_taken_away_on_the_scalers_object(tmp_path: Path) -> None:
    """Run on the file. The annotation's name and value: keda.sh, *Pausing autoscaling*."""
    resume, pause = sorted((each for each in COMMANDS if " annotate " in each), key=len)
    (scaled,) = of_kind("ScaledObject", "keda").values()
    paused = annotated(pause, scaled, tmp_path)
    assert paused["metadata"]["annotations"] == {"autoscaling.keda.sh/paused-replicas": "0"}
    assert annotated(resume, paused, tmp_path)["metadata"].get("annotations", {}) == {}


def annotated(command: str, scaled: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The object after the command."""
    file = folder / "scaled-object.json"
    file.write_text(json.dumps(scaled))
    words = [word for word in words_of(command) if word != "scaledobject/routing-sync"]
    made: dict[str, Any] = json.loads(kubectl(*words, "--local", "-o", "json", "-f", str(file)))
    return made


@pytest.mark.skipif(shutil.which("jq") is None, reason="jq is not installed")
def test_terraforms_settings_become_the_settings_of_an_overlay(tmp_path: Path) -> None:
    """The line of the page, with a `terraform` that prints the output's form."""
    (line,) = re.findall(
        r"^terraform output -json settings (\| jq -r '[^']+')", (ROOT / "docs/deploy.md").read_text(), re.MULTILINE
    )
    names = re.findall(r"^    ([A-Z_]+) += ", (FOLDER.parent / "terraform/outputs.tf").read_text(), re.MULTILINE)
    given = {name: f"a={name}" for name in names}
    output = tmp_path / "output.json"
    output.write_text(json.dumps(given))
    done = subprocess.run(["bash", "-c", f"cat {output} {line}"], capture_output=True, text=True, check=True)
    assert dict(each.split("=", 1) for each in done.stdout.splitlines()) == given
    example = re.findall(r"^([A-Z_]+)=", (EXAMPLE / "settings.env").read_text(), re.MULTILINE)
    assert set(example) - {"MONGODB_DATABASE"} == set(names)
