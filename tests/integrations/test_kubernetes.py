"""The manifests: their YAML is read, their parts fit together, and obskit reads what they set."""

import re

import pytest

from obskit.settings.program import kubernetes
from obskit.settings.table import FIELDS, environment_name
from tests.integrations.files import are_fields, text, yaml
from tests.services.ports import wait_until


def manifests(node, name):
    """Return the objects of a file by their kind."""
    found = [yaml(node, one) for one in text(f"kubernetes/{name}").split("\n---\n")]
    return {one["kind"]: one for one in found}


def pod(manifest):
    """Return the template of a workload's pods."""
    return manifest["spec"]["template"]


def test_a_service_says_where_it_runs(shared_opensearch):
    """The downward API sets what obskit reads: pod, namespace and node."""
    deployment = manifests(shared_opensearch, "service.yaml")["Deployment"]
    (container,) = pod(deployment)["spec"]["containers"]
    env = {one["name"]: one for one in container["env"]}
    paths = {
        name: one["valueFrom"]["fieldRef"]["fieldPath"]
        for name, one in env.items()
        if "valueFrom" in one
    }
    found = kubernetes(paths)

    assert found == {
        "pod": "metadata.name", "namespace": "metadata.namespace", "node": "spec.nodeName",
    }  # fmt: skip
    are_fields(found)
    ours = {name for name in env if name.startswith("OBSKIT_")}
    assert ours <= set(map(environment_name, FIELDS))
    assert "OBSKIT_SERVICE" in ours


def test_annotations_tell_where_the_metrics_are(shared_opensearch):
    """The port is one that the container opens, and obskit listens there on all addresses."""
    deployment = manifests(shared_opensearch, "service.yaml")["Deployment"]
    (container,) = pod(deployment)["spec"]["containers"]
    annotations = pod(deployment)["metadata"]["annotations"]
    ports = {one["name"]: one["containerPort"] for one in container["ports"]}
    env = {one["name"]: one.get("value") for one in container["env"]}

    assert annotations["prometheus.io/port"] == str(ports["metrics"]) == "9464"
    assert env["OBSKIT_METRICS_HOST"] == "0.0.0.0"
    assert all(isinstance(value, str) for value in annotations.values())


def test_the_daemon_set_fits_together(shared_opensearch):
    """Selectors, volumes, mounts and the service account refer to what is there."""
    found = manifests(shared_opensearch, "fluent-bit.yaml")
    spec = pod(found["DaemonSet"])["spec"]
    (container,) = spec["containers"]
    volumes = {one["name"]: one for one in spec["volumes"]}
    mounts = {one["name"]: one for one in container["volumeMounts"]}

    assert found["DaemonSet"]["spec"]["selector"]["matchLabels"].items() <= (
        pod(found["DaemonSet"])["metadata"]["labels"].items()
    )
    assert set(volumes) == set(mounts)
    assert volumes["config"]["configMap"]["name"] == found["ConfigMap"]["metadata"]["name"]
    assert spec["serviceAccountName"] == found["ServiceAccount"]["metadata"]["name"]
    spaces = {one["metadata"]["namespace"] for kind, one in found.items() if kind != "Namespace"}
    assert spaces == {found["Namespace"]["metadata"]["name"]}
    assert "--config=" + mounts["config"]["mountPath"] + "/fluent-bit.conf" in container["args"]
    asked = set(re.findall(r"\$\{(\w+)\}", found["ConfigMap"]["data"]["fluent-bit.conf"]))
    assert asked == {one["name"] for one in container["env"]}


def test_what_is_kept_on_disk_is_writable(shared_opensearch):
    """Positions and buffers are below the one mount that may be written to."""
    found = manifests(shared_opensearch, "fluent-bit.yaml")
    (container,) = pod(found["DaemonSet"])["spec"]["containers"]
    writable = [one["mountPath"] for one in container["volumeMounts"] if not one.get("readOnly")]
    conf = found["ConfigMap"]["data"]["fluent-bit.conf"]

    for path in re.findall(r"(?:DB|storage\.path) +(\S+)", conf):
        assert any(path.startswith(folder) for folder in writable), path


@pytest.mark.slow
def test_pods_are_scraped_where_their_annotations_say(shared_opensearch, prometheus, promtool):
    """A real Prometheus makes address, path and labels out of what Kubernetes would tell it."""
    config = yaml(shared_opensearch, text("kubernetes/prometheus.yml"))
    (job,) = config["scrape_configs"]
    assert job.pop("kubernetes_sd_configs") == [{"role": "pod"}], "Debian's build lacks it"
    meta = {
        "pod_annotation_prometheus_io_scrape": "true", "pod_annotation_prometheus_io_path": "/m",
        "pod_annotation_prometheus_io_port": "9464", "pod_ip": "127.0.0.2", "pod_name": "shop-1",
        "namespace": "prod", "pod_label_app_kubernetes_io_name": "shop",
    }  # fmt: skip
    labels = {f"__meta_kubernetes_{name}": value for name, value in meta.items()}
    silent = {**labels, "__meta_kubernetes_pod_annotation_prometheus_io_scrape": ""}
    job["static_configs"] = [
        {"targets": ["x:1"], "labels": labels},
        {"targets": ["y:1"], "labels": silent},
    ]
    server = prometheus(config=config)
    wait_until(server.targets, lambda: "no target was found", 20.0)
    (target,) = server.targets()

    assert target["scrapeUrl"] == "http://127.0.0.2:9464/m"
    assert target["labels"] == {
        "instance": "127.0.0.2:9464", "job": "shop", "namespace": "prod", "pod": "shop-1",
    }  # fmt: skip
