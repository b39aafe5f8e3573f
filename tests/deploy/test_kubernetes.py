"""The Kubernetes manifests: Kubernetes's own schemas take them, and they fit the process that they run.

No package has KEDA's schemas, so of its objects only names and numbers are checked. What kustomize makes of the files:
tests/deploy/test_kustomize.py.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import kubernetes_validate
import pytest
import yaml

from server_process import ROOT
from tests.deploy.deployed_settings import SECRETS, read_as, unknown_variables
from tests.deploy.image.dockerfile import image_user
from worker.api.gate import OPEN_PATHS

FOLDER: Final = ROOT / "deploy" / "kubernetes"
SCHEMAS_OF: Final = "1.31"
"""The oldest version of Kubernetes that is promised; `preStop.sleep` is on by default since 1.30."""
OTHERS: Final = ("kustomize.config.k8s.io/", "keda.sh/")
CONTAINERS: Final = {"run": "worker.yaml", "serve": "serve.yaml"}
PORT: Final = {"run": "http_port", "serve": "api_port"}


def documents(path: Path) -> list[dict[str, Any]]:
    return [document for document in yaml.safe_load_all(path.read_text()) if document is not None]


def manifests() -> Iterator[tuple[str, dict[str, Any]]]:
    for path in sorted(FOLDER.rglob("*.yaml")):
        for number, document in enumerate(documents(path), 1):
            yield f"{path.parent.name}/{path.name} {number} {document['kind']}", document


MANIFESTS: Final = dict(manifests())


def of_kind(kind: str, folder: str = "base") -> dict[str, dict[str, Any]]:
    """The objects of one kind in a folder, by name."""
    found = [each for path in sorted((FOLDER / folder).glob("*.yaml")) for each in documents(path)]
    return {each["metadata"]["name"]: each for each in found if each["kind"] == kind}


def pod_of(verb: str) -> dict[str, Any]:
    (deployment,) = [each for each in documents(FOLDER / "base" / CONTAINERS[verb]) if each["kind"] == "Deployment"]
    pod: dict[str, Any] = deployment["spec"]["template"]["spec"]
    return pod


def container_of(verb: str) -> dict[str, Any]:
    (container,) = pod_of(verb)["containers"]
    assert container["args"] == [verb]
    assert isinstance(container, dict)
    return container


def settings_files() -> dict[str, str]:
    """The settings of base and example, as kustomize merges them."""
    texts = [(FOLDER / folder / "settings.env").read_text() for folder in ("base", "example")]
    lines = [line for text in texts for line in text.splitlines()]
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def variables_of(verb: str) -> dict[str, str]:
    """The environment of a verb's container."""
    variables = settings_files()
    for entry in container_of(verb)["env"]:
        name = entry["name"]
        variables[name] = SECRETS[name] if "secretKeyRef" in entry["valueFrom"] else "10.0.0.1"
    return variables


@pytest.mark.parametrize("name", [name for name in MANIFESTS if not MANIFESTS[name]["apiVersion"].startswith(OTHERS)])
def test_kubernetes_takes_the_manifest(name: str) -> None:
    kubernetes_validate.validate(MANIFESTS[name], SCHEMAS_OF, strict=True)


def test_a_manifest_that_kubernetes_would_refuse_is_noticed() -> None:
    deployment = of_kind("Deployment")["routing-sync"]
    deployment["spec"]["template"]["spec"]["terminationGracePeriodSecond"] = 40
    with pytest.raises(kubernetes_validate.ValidationError, match="terminationGracePeriodSecond"):
        kubernetes_validate.validate(deployment, SCHEMAS_OF, strict=True)


@pytest.mark.parametrize("folder", ["base", "keda", "example"])
def test_a_kustomization_names_every_file_beside_it_and_no_other(folder: str) -> None:
    (kustomization,) = documents(FOLDER / folder / "kustomization.yaml")
    patches = [patch["path"] for patch in kustomization.get("patches", ()) if "path" in patch]
    generated = [file for each in kustomization.get("configMapGenerator", ()) for file in each["envs"]]
    named = [*kustomization["resources"], *kustomization.get("components", ()), *patches, *generated]
    assert all((FOLDER / folder / name).exists() for name in named)
    own = {path.name for path in (FOLDER / folder).iterdir()} - {"kustomization.yaml"}
    assert {name for name in named if not name.startswith("../")} == own


def test_every_variable_is_a_setting() -> None:
    """A setting that was renamed, or never was one, fails here."""
    assert unknown_variables({**variables_of("run"), **variables_of("serve")}) == []


@pytest.mark.parametrize("verb", CONTAINERS)
def test_the_process_starts_with_the_settings_of_its_container(verb: str, monkeypatch: pytest.MonkeyPatch) -> None:
    read_as(verb, variables_of(verb), monkeypatch)


@pytest.mark.parametrize("verb", CONTAINERS)
def test_probes_ask_what_is_served_where_it_is_served(verb: str, monkeypatch: pytest.MonkeyPatch) -> None:
    container = container_of(verb)
    settings = read_as(verb, variables_of(verb), monkeypatch)
    (port,) = container["ports"]
    assert port["containerPort"] == getattr(settings, PORT[verb])
    probes = {name: container[name]["httpGet"] for name in ("startupProbe", "livenessProbe", "readinessProbe")}
    assert {name: probe["path"] for name, probe in probes.items()} == {
        "startupProbe": "/healthz",
        "livenessProbe": "/healthz",
        "readinessProbe": "/readyz",
    }
    assert {probe["path"] for probe in probes.values()} <= OPEN_PATHS
    assert {probe["port"] for probe in probes.values()} == {port["name"]}


@pytest.mark.parametrize("verb", CONTAINERS)
def test_the_grace_period_is_longer_than_the_process_needs(verb: str, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = read_as(verb, variables_of(verb), monkeypatch)
    waits_s = container_of(verb).get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
    needed_s = waits_s + settings.shutdown_seconds + 10
    assert needed_s <= pod_of(verb)["terminationGracePeriodSeconds"] <= 2 * needed_s


@pytest.mark.parametrize("verb", CONTAINERS)
def test_a_pod_has_no_rights_that_it_does_not_need(verb: str) -> None:
    pod, container = pod_of(verb), container_of(verb)
    user, _, group = image_user().partition(":")
    assert pod["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": int(user),
        "runAsGroup": int(group),
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert pod["automountServiceAccountToken"] is False
    assert "volumes" not in pod
    assert pod["serviceAccountName"] in of_kind("ServiceAccount")
    assert {"requests", "limits"} == container["resources"].keys()


@pytest.mark.parametrize("verb", CONTAINERS)
def test_secrets_come_by_reference(verb: str) -> None:
    by_reference = {entry["name"] for entry in container_of(verb)["env"] if "secretKeyRef" in entry["valueFrom"]}
    assert by_reference == ({"MONGODB_URI"} if verb == "run" else {"MONGODB_URI", "API_TOKENS"})
    assert by_reference.isdisjoint(settings_files())
    assert not [each for each in MANIFESTS.values() if each["kind"] == "Secret"]


@pytest.mark.parametrize("kind", ["Deployment", "PodDisruptionBudget", "Service"])
def test_selectors_select_pods(kind: str) -> None:
    labels = {name: each["spec"]["template"]["metadata"]["labels"] for name, each in of_kind("Deployment").items()}
    for name, each in of_kind(kind).items():
        selector = each["spec"]["selector"]
        assert selector.get("matchLabels", selector) == labels[name]
    assert of_kind("PodDisruptionBudget").keys() == labels.keys()


def test_unified_service_tags_are_labels_that_become_variables() -> None:
    (base,) = documents(FOLDER / "base" / "kustomization.yaml")
    (example,) = documents(FOLDER / "example" / "kustomization.yaml")
    labels = {**base["labels"][0]["pairs"], **example["labels"][0]["pairs"]}
    for verb in CONTAINERS:
        env = {entry["name"]: entry["valueFrom"] for entry in container_of(verb)["env"]}
        for tag in ("env", "service", "version"):
            path = env[f"DD_{tag.upper()}"]["fieldRef"]["fieldPath"]
            assert path == f"metadata.labels['tags.datadoghq.com/{tag}']"
            assert labels[f"tags.datadoghq.com/{tag}"]


def test_the_scaler_scales_the_worker_by_depth_and_age() -> None:
    scaled = of_kind("ScaledObject", "keda")["routing-sync"]["spec"]
    assert scaled["scaleTargetRef"]["name"] in of_kind("Deployment")
    assert [trigger["type"] for trigger in scaled["triggers"]] == ["aws-sqs-queue", "aws-cloudwatch"]
    authentications = of_kind("TriggerAuthentication", "keda")
    assert {trigger["authenticationRef"]["name"] for trigger in scaled["triggers"]} <= authentications.keys()
    assert 1 < scaled["minReplicaCount"] < scaled["maxReplicaCount"]
    # KEDA's admission refuses a fallback with any other type, in 2.14 and 2.17.0 with none, too.
    assert {trigger["metricType"] for trigger in scaled["triggers"]} == {"AverageValue"}
    # The value is divided by the number of pods: with the fewest ones workers are added from 30 s on.
    assert int(scaled["triggers"][1]["metadata"]["targetMetricValue"]) * scaled["minReplicaCount"] == 30


def test_commands_in_the_docs_select_pods_by_labels_that_they_have_and_read_the_logs_of_all() -> None:
    """Of a deployment kubectl reads the log of one pod, and of a selector ten lines unless all are asked for."""
    labels = {
        each["spec"]["template"]["metadata"]["labels"]["app.kubernetes.io/name"]
        for each in of_kind("Deployment").values()
    }
    pages = {page.name: page.read_text() for page in (ROOT / "docs").glob("*.md")}
    selected = {name for text in pages.values() for name in re.findall(r"app\.kubernetes\.io/name=([\w-]+)", text)}
    assert "routing-sync" in selected <= labels
    logs = [command for text in pages.values() for command in re.findall(r"kubectl logs [^`\n]* > ", text)]
    assert logs
    assert [command for command in logs if " -l " not in command or "--tail=-1" not in command] == []


def test_the_images_digest_has_its_form() -> None:
    (example,) = documents(FOLDER / "example" / "kustomization.yaml")
    (image,) = example["images"]
    assert re.fullmatch(r"sha256:[0-9a-f]{64}", image["digest"])
    assert {container_of(verb)["image"] for verb in CONTAINERS} == {image["name"]}
