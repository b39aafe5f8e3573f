"""What kustomize makes of the example installation."""

import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

import kubernetes_validate
import pytest
import yaml

from server_process import ROOT
from tests.deploy.test_kubernetes import OTHERS, SCHEMAS_OF, of_kind, settings_files
from tests.deploy.tools import tool

pytestmark = pytest.mark.thorough

EXAMPLE: Final = ROOT / "deploy" / "kubernetes" / "example"
PROCESSES: Final = ("routing-sync", "routing-sync-serve")

Objects = dict[tuple[str, str], dict[str, Any]]


def objects_of(folder: Path) -> Objects:
    """The objects that kustomize makes of a folder, by kind and name."""
    command = [str(tool("kubectl")), "kustomize", str(folder)]
    made = subprocess.run(command, check=True, capture_output=True, text=True)
    assert made.stderr == "", "kustomize warns"
    documents = list(yaml.safe_load_all(made.stdout))
    objects = {(each["kind"], each["metadata"]["name"]): each for each in documents}
    assert len(objects) == len(documents)
    return objects


def doctor_of_a_copy(folder: Path) -> Path:
    """The doctor beside an installation that was copied from the example, as docs/deploy.md says."""
    shutil.copytree(EXAMPLE.parent, folder, ignore=shutil.ignore_patterns("production"), dirs_exist_ok=True)
    shutil.copytree(EXAMPLE, folder / "production")
    return folder / "doctor"


@pytest.fixture(scope="module")
def built() -> Objects:
    return objects_of(EXAMPLE)


def template_of(built: Objects, name: str) -> dict[str, Any]:
    template: dict[str, Any] = built["Deployment", name]["spec"]["template"]
    return template


def test_kubernetes_takes_every_object(built: Objects) -> None:
    own = [each for each in built.values() if not each["apiVersion"].startswith(OTHERS)]
    assert len(own) == 9
    for each in own:
        kubernetes_validate.validate(each, SCHEMAS_OF, strict=True)


def test_the_containers_get_the_settings_of_base_and_installation(built: Objects) -> None:
    ((name, settings),) = [(name, each["data"]) for (kind, name), each in built.items() if kind == "ConfigMap"]
    assert settings == settings_files()
    for process in PROCESSES:
        (container,) = template_of(built, process)["spec"]["containers"]
        assert container["envFrom"] == [{"configMapRef": {"name": name}}]


def test_a_changed_setting_rolls_the_pods(built: Objects) -> None:
    """By the hash in the map's name."""
    (name,) = [name for kind, name in built if kind == "ConfigMap"]
    assert name.startswith("routing-sync-")


def test_the_image_is_named_by_digest(built: Objects) -> None:
    for process in PROCESSES:
        (container,) = template_of(built, process)["spec"]["containers"]
        assert "/routing-sync@sha256:" in container["image"]


def test_the_pods_carry_the_tags_and_the_selectors_do_not(built: Objects) -> None:
    for process in PROCESSES:
        tags = {f"tags.datadoghq.com/{tag}" for tag in ("env", "service", "version")}
        assert tags <= template_of(built, process)["metadata"]["labels"].keys()
        assert built["Deployment", process]["spec"]["selector"]["matchLabels"].keys() == {"app.kubernetes.io/name"}


def test_the_scaler_owns_the_number_of_workers(built: Objects) -> None:
    assert "replicas" not in built["Deployment", "routing-sync"]["spec"]
    assert built["Deployment", "routing-sync-serve"]["spec"]["replicas"] == 2
    base = of_kind("ScaledObject", "keda")["routing-sync"]["spec"]
    assert built["ScaledObject", "routing-sync"]["spec"] == base, "the example's names are those of the component"


def test_the_accounts_have_roles_of_their_own(built: Objects) -> None:
    roles = {
        name: built["ServiceAccount", name]["metadata"]["annotations"]["eks.amazonaws.com/role-arn"]
        for name in PROCESSES
    }
    assert len(set(roles.values())) == len(PROCESSES)
    assert {template_of(built, name)["spec"]["serviceAccountName"] for name in PROCESSES} == set(PROCESSES)


def test_the_doctor_is_a_job_of_the_workers_pod_and_nothing_else_is_rolled(built: Objects, tmp_path: Path) -> None:
    doctor = objects_of(doctor_of_a_copy(tmp_path))
    for each in doctor.values():
        kubernetes_validate.validate(each, SCHEMAS_OF, strict=True)
    job = doctor.pop(("Job", "routing-sync-doctor"))
    assert doctor == {
        key: each for key, each in built.items() if key[0] in ("Namespace", "ServiceAccount", "ConfigMap")
    }
    pod, worker = job["spec"]["template"], template_of(built, "routing-sync")
    assert pod["metadata"]["labels"].pop("app.kubernetes.io/name") == "routing-sync-doctor"
    assert pod["metadata"]["labels"].items() <= worker["metadata"]["labels"].items()
    ((own,), (workers,)) = pod["spec"].pop("containers"), worker["spec"]["containers"]
    assert own.pop("args") == ["doctor", "--strict"]
    assert own.keys() == workers.keys() - {"args", "ports", "startupProbe", "livenessProbe", "readinessProbe"}
    assert own.items() <= workers.items()
    assert pod["spec"].pop("restartPolicy") == "Never"
    assert pod["spec"].items() <= worker["spec"].items()
    assert worker["spec"].keys() - pod["spec"].keys() == {"containers", "topologySpreadConstraints"}
