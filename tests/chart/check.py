"""Checks a rendered chart: the schemas of Kubernetes, and rules that no schema expresses.

check.py CHART values VALUES...              values that values.schema.json must accept
check.py CHART rejected VALUES...            values that it must reject, for the reason in their first line
check.py CHART rendered VALUES FILE VERSION... the manifests that the chart renders from the values
"""

import ipaddress
import json
import pathlib
import re
import sys

import jsonschema
import kubernetes_validate
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
# Custom resources of the Prometheus Operator, whose schemas are not part of Kubernetes.
CUSTOM = {"PodMonitor", "PrometheusRule"}
# Seconds that the end of a server takes after its grace period (docs/OPERATIONS.md#shutdown).
STOP_SECONDS = 24


def merged(base, over):
    if not isinstance(base, dict) or not isinstance(over, dict):
        return over
    return base | {key: merged(base.get(key), value) for key, value in over.items()}


def read_values(chart, path):
    return merged(yaml.safe_load((chart / "values.yaml").read_text()), yaml.safe_load(path.read_text()) or {})


def schema_errors(chart, path):
    schema = json.loads((chart / "values.schema.json").read_text())
    jsonschema.Draft7Validator.check_schema(schema)
    return [
        f"{'.'.join(map(str, error.absolute_path))}: {error.message}"
        for error in jsonschema.Draft7Validator(schema).iter_errors(read_values(chart, path))
    ]


def check_accepted(chart, paths):
    return [f"{path}: {error}" for path in paths for error in schema_errors(chart, path)]


def check_rejected(chart, paths):
    problems = []
    for path in paths:
        reason = re.match(r"# rejected: (\S+)", path.read_text())
        found = schema_errors(chart, path)
        if not reason:
            problems.append(f"{path}: its first line does not name the reason")
        elif not any(reason[1] in error for error in found):
            problems.append(f"{path}: not rejected because of {reason[1]}: {found or 'accepted'}")
    return problems


def check_schemas(objects, versions):
    problems = []
    for thing in objects:
        if thing["kind"] in CUSTOM:
            continue
        for version in versions:
            try:
                kubernetes_validate.validate(thing, version, strict=True)
            except kubernetes_validate.ValidationError as error:
                where = ".".join(map(str, error.path))
                problems.append(f"{thing['kind']} for Kubernetes {version}: {where}: {error.message}")
    return problems


def check_versions(chart):
    """Compares the chart with the workspace, whose version the image has."""
    app = yaml.safe_load((chart / "Chart.yaml").read_text())["appVersion"]
    cargo = re.search(r'^version = "(.*)"$', (ROOT / "Cargo.toml").read_text(), re.M)[1]
    return [] if app == cargo else [f"appVersion is {app}, but the version in Cargo.toml is {cargo}"]


def check_settings(container):
    known = set(re.findall(r"HEARTH_[A-Z0-9_]+", (ROOT / "docs/CONFIGURATION.md").read_text()))
    names = [entry["name"] for entry in container["env"]]
    unknown = [name for name in names if name.startswith("HEARTH_") and name not in known]
    twice = {name for name in names if names.count(name) > 1}
    return [f"{name} is not in docs/CONFIGURATION.md" for name in unknown] + [f"{name} is set twice" for name in twice]


def check_files(pod, container):
    """Checks that every file that a setting names is in a mounted secret, which is named, not made."""
    problems = []
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    mounts = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
    problems += [f"the volume {name} is not mounted" for name in volumes if name not in mounts.values()]
    problems += [f"{path} mounts an unknown volume" for path, name in mounts.items() if name not in volumes]
    for entry in container["env"]:
        if not entry["name"].endswith("_FILE"):
            continue
        volume = volumes.get(mounts.get(str(pathlib.Path(entry["value"]).parent)), {})
        if "secret" not in volume:
            problems.append(f"{entry['name']}: {entry['value']} is not in a mounted secret")
    return problems


def check_deployment(objects, values):
    [deployment] = [thing for thing in objects if thing["kind"] == "Deployment"]
    pod = deployment["spec"]["template"]["spec"]
    [container] = pod["containers"]
    problems = check_settings(container) + check_files(pod, container)
    grace = pod["terminationGracePeriodSeconds"]
    needed = values["drainSeconds"] + values["stopGraceSeconds"] + STOP_SECONDS
    if grace != needed:
        problems.append(f"terminationGracePeriodSeconds is {grace}, but a stop takes {needed} s")
    if values["autoscaling"]["enabled"] == ("replicas" in deployment["spec"]):
        problems.append("replicas and the autoscaler would set the number of nodes both, or neither")
    security = container["securityContext"]
    compose = set(yaml.safe_load((ROOT / "docker/compose.yml").read_text())["services"]["hearth"]["cap_add"])
    if set(security["capabilities"]["add"]) != compose or security["capabilities"]["drop"] != ["ALL"]:
        problems.append(f"its capabilities are not those of docker/compose.yml: {security['capabilities']}")
    labels = deployment["spec"]["template"]["metadata"]["labels"].items()
    for thing in objects:
        spec = thing.get("spec", {})
        selector = spec.get("podSelector") or spec.get("selector")
        if selector and not selector.get("matchLabels", selector).items() <= labels:
            problems.append(f"{thing['kind']} does not select the pods")
    return problems


def check_network(objects):
    """Checks that no rule for public destinations covers a private address."""
    problems = []
    policies = [thing for thing in objects if thing["kind"] == "NetworkPolicy"]
    for rule in [rule for policy in policies for rule in policy["spec"]["egress"]]:
        for block in [peer["ipBlock"] for peer in rule.get("to", []) if "ipBlock" in peer]:
            network = ipaddress.ip_network(block["cidr"])
            if network.prefixlen > 0:
                continue
            excepted = [ipaddress.ip_network(cidr) for cidr in block["except"]]
            for text in ["10.1.2.3", "172.20.0.1", "192.168.1.1", "169.254.169.254", "100.100.0.1", "127.0.0.1", "fd00::1", "fe80::1"]:
                address = ipaddress.ip_address(text)
                if address.version == network.version and not any(address in cidr for cidr in excepted):
                    problems.append(f"the network policy lets nodes connect to {text}")
    return problems


def check_monitoring(objects):
    rules = [thing for thing in objects if thing["kind"] == "PrometheusRule"]
    groups = yaml.safe_load((ROOT / "docs/prometheus-alerts.yml").read_text())["groups"]
    return [] if all(rule["spec"]["groups"] == groups for rule in rules) else ["the alerts are not those of docs/"]


def check_rendered(chart, arguments):
    values_path, rendered, *versions = arguments
    objects = [thing for thing in yaml.safe_load_all(pathlib.Path(rendered).read_text()) if thing]
    problems = check_schemas(objects, versions) + check_versions(chart) + check_network(objects)
    problems += check_deployment(objects, read_values(chart, pathlib.Path(values_path))) + check_monitoring(objects)
    kinds = ", ".join(sorted(thing["kind"] for thing in objects))
    print(f"{pathlib.Path(values_path).name}: {len(objects)} objects ({kinds})")
    return problems


def main():
    chart, check, *arguments = sys.argv[1:]
    chart = pathlib.Path(chart)
    if check == "rendered":
        problems = check_rendered(chart, arguments)
    else:
        paths = [pathlib.Path(path) for path in arguments]
        problems = {"values": check_accepted, "rejected": check_rejected}[check](chart, paths)
    for problem in problems:
        print(f"FAIL {problem}", file=sys.stderr)
    sys.exit(bool(problems))


main()
