"""What the API server refuses by our CEL rules: manifest, path and words. And what comes close, and is accepted."""

from typing import Any

GROUP_VERSION = "elt-operator.io/v1alpha1"
KIB = 1024
NUL = "a\0b"
SMILE = "\N{GRINNING FACE}"
"""One character, two UTF-16 units, four bytes."""

Manifest = dict[str, Any]


def pipeline(name: str = "weather", **spec: Any) -> Manifest:
    what = {} if spec.keys() & {"actions", "script"} else {"command": ["true"]}
    full = {"image": "elt:1", **what, **spec}
    return {"apiVersion": GROUP_VERSION, "kind": "Pipeline", "metadata": {"name": name}, "spec": full}


def job(name: str = "job-1", **spec: Any) -> Manifest:
    what = {"pipelineName": "weather", **spec}
    return {"apiVersion": GROUP_VERSION, "kind": "Job", "metadata": {"name": name}, "spec": what}


def entrypoint(**spec: Any) -> Manifest:
    """Return a Pipeline that leaves it to its image what is started."""
    return {**pipeline(), "spec": {"image": "elt:1", **spec}}


def _beside(name: str = "helper", **fields: Any) -> Manifest:
    """Return a container beside the run's own."""
    return {"name": name, "image": "elt:1", **fields}


def _with(kind: str, *containers: Manifest) -> Manifest:
    """Return a Pipeline with init containers, or sidecars."""
    further: Manifest = {kind: list(containers)}
    return pipeline(**further)


def _requires(*requirements: Manifest) -> Manifest:
    """Return a Pipeline that needs nodes with such labels."""
    terms = [{"matchExpressions": list(requirements)}]
    return pipeline(pod={"nodeAffinity": {_REQUIRED: {"nodeSelectorTerms": terms}}})


def _prefers(*requirements: Manifest) -> Manifest:
    """Return a Pipeline that prefers nodes with such labels."""
    preferred = [{"weight": 1, "preference": {"matchExpressions": list(requirements)}}]
    return pipeline(pod={"nodeAffinity": {_PREFERRED: preferred}})


def _spread(**fields: Any) -> Manifest:
    one = {"maxSkew": 1, "topologyKey": "example.com/zone", "whenUnsatisfiable": "ScheduleAnyway", **fields}
    return pipeline(pod={"topologySpreadConstraints": [one]})


def _alias(ip: str, *names: str) -> Manifest:
    return pipeline(pod={"hostAliases": [{"ip": ip, "hostnames": list(names)}]})


def _env(value_from: Manifest | None = None, **entry: Any) -> Manifest:
    return pipeline(env=[{"name": "A", **({"valueFrom": value_from} if value_from else {}), **entry}])


def _volume(**fields: Any) -> Manifest:
    return {"name": "v", "mountPath": "/v", "emptyDir": {}, **fields}


def _files(path: str, key: str = "k") -> Manifest:
    source = {"secretName": "s", "items": [{"key": key, "path": path}]}
    return {"name": "v", "mountPath": "/v", "secret": source}


def _properties(entries: int, size: int, character: str = "x") -> dict[str, str]:
    """Return properties of ``size`` bytes each, names included."""
    names = [f"tap-x.key{number:03}" for number in range(entries)]
    return {name: character * ((size - len(name)) // len(character.encode())) for name in names}


def _variables(entries: int, size: int) -> list[Manifest]:
    return [{"name": f"A{number:03}", "value": "x" * (size - 4)} for number in range(entries)]


def _many_files() -> list[Manifest]:
    items = [{"key": "k", "path": f"{number:04}" + "x" * 996} for number in range(64)]
    return [
        {"name": f"v{number}", "mountPath": f"/v{number}", "configMap": {"name": "c", "items": items}}
        for number in range(4)
    ]


def _interval(start: str, end: str) -> Manifest:
    return job(trigger={"intervalStart": start, "intervalEnd": end})


OUTSIDE = {
    "before everything": "0001-01-01T00:00:00+23:59",
    "after everything": "9999-12-31T23:59:59-23:59",
    "just before 1970": "1969-12-31T23:59:59Z",
    "1969 by its offset": "1970-01-01T00:00:00+00:01",
    "the year 3000": "3000-01-01T00:00:00Z",
    "the year 3000 by its offset": "2999-12-31T23:59:59-00:01",
    "a leap day after them all": "3004-02-29T00:00:00+02:00",
    "the year 0": "0000-02-29T00:00:00Z",
    "a five-digit year": "12026-01-01T00:00:00Z",
}
"""Times that are well written, in years that are not accepted."""

MISSPELT = {
    "lower-case t": "2026-01-01t00:00:00Z",
    "lower-case z": "2026-01-01T00:00:00z",
    "a space": "2026-01-01 00:00:00Z",
    "no offset": "2026-01-01T00:00:00",
    "offset without a colon": "2026-01-01T00:00:00+0100",
    "hours as offset": "2026-01-01T00:00:00+01",
    "offset of a day": "2026-01-01T00:00:00+24:00",
    "no seconds": "2026-01-01T00:00Z",
    "no time": "2026-01-01",
    "a leap second": "2016-12-31T23:59:60Z",
    "hour 24": "2026-01-01T24:00:00Z",
    "minute 60": "2026-01-01T00:60:00Z",
    "month 13": "2026-13-01T00:00:00Z",
    "February 30": "2028-02-30T00:00:00Z",
    "February 29 of a common year": "2026-02-29T00:00:00Z",
    "February 29 of 2100": "2100-02-29T00:00:00Z",
    "a comma": "2026-01-01T00:00:00,5Z",
    "a point and nothing": "2026-01-01T00:00:00.Z",
    "ten digits": "2026-01-01T00:00:00.1234567890Z",
    "a year that is out of range, with a lower-case t": "3000-01-01t00:00:00Z",
    "a year that is out of range, and no offset": "3000-01-01T00:00:00",
    "a negative year": "-0044-03-15T00:00:00Z",
    "a sign before the year": "+2026-01-01T00:00:00Z",
    "week of the year": "2026-W01-1T00:00:00Z",
    "seconds since 1970": "1767225600",
    "a line end": "2026-01-01T00:00:00Z\n",
    "digits of another script": "٢٠٢٦-01-01T00:00:00Z",
    "NUL": "2026-01-01T00:00:00Z\0",
    "nothing": "",
}
WRONG_TIMES = OUTSIDE | MISSPELT

RIGHT_TIMES = [
    "1970-01-01T00:00:00Z",
    "2999-12-31T23:59:59Z",
    "2999-12-31T23:59:59.999999999Z",
    "2024-02-29T12:30:00+05:45",
    "2000-02-29T00:00:00-00:00",
    "2026-01-01T00:00:00.5-11:00",
]

_RESERVED_KEY = "are reserved"

FORBIDDEN_ANNOTATIONS = [
    "container.apparmor.security.beta.kubernetes.io/elt",
    "Container.AppArmor.Security.Beta.Kubernetes.IO/elt",
    "seccomp.security.alpha.kubernetes.io/pod",
    "kubernetes.io/ingress-bandwidth",
    "kubernetes.io/psp",
    "scheduler.alpha.kubernetes.io/critical-pod",
    "cdi.k8s.io/gpu",
    "x-k8s.io.k8s.io/x",
    "k8s.v1.cni.cncf.io/networks",
    "v1.multus-cni.io/default-network",
    "k8s.ovn.org/pod-networks",
    "cni.projectcalico.org/ipAddrs",
    "security.openshift.io/scc",
    "networking.gke.io/interfaces",
    "policy.cilium.io/no-track-port",
    "iam.amazonaws.com/role",
    "vpc.amazonaws.com/pod-eni",
    "accounts.google.com/service-account",
    "devices.nri.io/container.elt",
    "mounts.noderesource.dev/container.elt",
    "ulimits.nri.containerd.io/container.elt",
    "irq-load-balancing.crio.io",
    "irq-load-balancing.crio.io/x",
    "seccomp-profile.kubernetes.cri-o.io/x",
    "io.kubernetes.cri-o.Devices",
    "io.kubernetes.cri-o.userns-mode",
    "io.kubernetes.cri-o.Devices/x",
    "io.katacontainers.config.hypervisor.kernel_params",
    "IO.Katacontainers.config.runtime/x",
    "io.containerd.image",
    "dev.gvisor.spec.mount.v.source",
    "org.systemd.property.DeviceAllow",
    "run.oci.handler",
    "elt-operator.io/job",
    "x.elt-operator.io/job",
]

FREE_ANNOTATIONS = [
    "note",
    "My_Note-1",
    "example.com/note",
    "prometheus.io/scrape",
    "sidecar.istio.io/inject",
    "linkerd.io/inject",
    "vault.hashicorp.com/agent-inject",
    "karpenter.sh/do-not-disrupt",
    "cluster-autoscaler.kubernetes.io/safe-to-evict",
    "cluster-autoscaler.kubernetes.io/safe-to-evict-local-volumes",
    "mykubernetes.io/x",
    "kubernetes.io.example.com/x",
]

_NO_KEY = "a key looks like"

_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
_ITS_REQUIREMENT = f"spec.pod.nodeAffinity.{_REQUIRED}.nodeSelectorTerms[0].matchExpressions[0]"

REFUSED: dict[str, tuple[Manifest, str, str]] = {
    # sizes
    "a script of too many bytes": (pipeline(script="é" * (32 * KIB + 1)), "spec.script", "65,536 bytes"),
    "a script of emojis": (pipeline(script=SMILE * (64 * KIB)), "spec.script", "65,536 bytes"),
    "actions too long together": (pipeline(actions=["é" * 2048] * 17), "spec.actions", "65,536 bytes"),
    "a command too long": (pipeline(command=["x" * 4096] * 17), "spec.command", "65,536 bytes"),
    "a property too long in bytes": (
        pipeline(properties={"tap.a": SMILE * 32_000}), "spec.properties[tap.a]", "65,536 bytes"
    ),
    "a variable too long in bytes": (_env(value=SMILE * 32_768), "spec.env[0].value", "65,536 bytes"),
    "a Job's property too long in bytes": (
        job(properties={"tap.a": "é" * 32_768, "tap.b": SMILE * 20_000}), "spec.properties[tap.b]",
        "65,536 bytes",
    ),
    "properties too long together": (pipeline(properties=_properties(100, 1967)), "spec", "196,608 bytes"),
    "long names of properties count": (
        pipeline(properties={"a" * 120 + f"{n:03}": "x" * 1900 for n in range(100)}), "spec", "196,608 bytes"
    ),
    "properties of 1.4 MB": (pipeline(properties=_properties(100, 14_000)), "spec", "196,608 bytes"),
    "variables too long together": (pipeline(env=_variables(128, 1537)), "spec", "196,608 bytes"),
    "properties and variables too long together": (
        pipeline(properties=_properties(50, 2000), env=_variables(50, 2000)), "spec", "196,608 bytes"
    ),
    "script, properties and annotations too long together": (
        pipeline(
            script="x" * 64 * KIB, properties=_properties(64, KIB),
            pod={"annotations": {f"a{n}": "x" * 8190 for n in range(10)}},
        ), "spec", "196,608 bytes",
    ),
    "paths of files too long together": (pipeline(volumes=_many_files()), "spec", "196,608 bytes"),
    "arguments too long in bytes": (job(arguments=["€" * 4096] * 64), "spec", "131,072 bytes"),
    "arguments and properties too long together": (
        job(arguments=["x" * 4096] * 20, properties=_properties(50, KIB)), "spec", "131,072 bytes"
    ),
    "a Job's properties too long together": (job(properties=_properties(100, 1311)), "spec", "131,072 bytes"),
    "a name of 129 characters": (pipeline(properties={"a" * 129: 1}), "spec.properties", "at most 128 characters"),
    # NUL
    "NUL in a script": (pipeline(script=NUL), "spec.script", "character NUL"),
    "NUL in a command": (pipeline(command=["true", NUL]), "spec.command[1]", "character NUL"),
    "NUL in an action": (pipeline(actions=["run", NUL]), "spec.actions[1]", "character NUL"),
    "NUL in a property": (pipeline(properties={"tap.a": NUL}), "spec.properties[tap.a]", "character NUL"),
    "NUL in a property's name": (pipeline(properties={NUL: 1}), "spec.properties", "must start with a lower-case"),
    "NUL in a variable": (_env(value=NUL), "spec.env[0].value", "character NUL"),
    "NUL in an argument": (job(arguments=["x", NUL]), "spec.arguments[1]", "character NUL"),
    "NUL in a Job's property": (job(properties={"tap.a": NUL}), "spec.properties[tap.a]", "character NUL"),
    "NUL in a mount path": (pipeline(volumes=[_volume(mountPath=f"/{NUL}")]), "mountPath", "character NUL"),
    "NUL in a path within a volume": (pipeline(volumes=[_volume(subPath=NUL)]), "subPath", "character NUL"),
    "NUL in a file's path": (pipeline(volumes=[_files(NUL)]), "items[0].path", "character NUL"),
    "NUL in the schedule": (pipeline(schedule="* * * * *\0"), "spec.schedule", "character NUL"),
    "NUL in the time zone": (pipeline(timeZone="UTC\0"), "spec.timeZone", "character NUL"),
    "NUL in the image": (pipeline(image="elt\0:1"), "spec.image", "ASCII"),
    "an image in Greek": (pipeline(image="ελτ:1"), "spec.image", "ASCII"),
    # times
    **{
        f"time: {what}": (
            job(trigger={"scheduledTime": text}), "spec.trigger.scheduledTime", "the time must look like"
        )
        for what, text in MISSPELT.items()
    },
    **{
        f"time: {what}": (
            job(trigger={"scheduledTime": text}), "spec.trigger.scheduledTime",
            "the time is out of range: its year must be from 1970 to 2999",
        )
        for what, text in OUTSIDE.items()
    },
    "a start before everything": (
        _interval("0001-01-01T00:00:00+23:59", "2026-01-01T00:00:00Z"), "spec.trigger.intervalStart", "out of range"
    ),
    "an end after everything": (
        _interval("2026-01-01T00:00:00Z", "9999-12-31T23:59:59-23:59"), "spec.trigger.intervalEnd", "out of range"
    ),
    "an interval backwards": (
        _interval("2026-01-02T00:00:00Z", "2026-01-01T00:00:00Z"),
        "spec.trigger.intervalStart", "the start before the end",
    ),
    "an interval backwards by its offset": (
        _interval("2026-01-02T00:00:00Z", "2026-01-02T00:30:00+01:00"),
        "spec.trigger.intervalStart", "the start before the end",
    ),
    "half an interval": (
        job(trigger={"intervalStart": "2026-01-02T00:00:00Z"}), "spec.trigger.intervalStart", "together"
    ),
    # keys
    **{
        f"annotation {key}": (
            pipeline(pod={"annotations": {key: "x"}}), "spec.pod.annotations",
            "needs a prefix" if "/" not in key else _RESERVED_KEY,
        )
        for key in FORBIDDEN_ANNOTATIONS
    },
    **{
        f"label {key}": (pipeline(pod={"labels": {key: "x"}}), "spec.pod.labels", _RESERVED_KEY)
        for key in (
            "app.kubernetes.io/managed-by", "kubernetes.io/name", "x.k8s.io/y", "elt-operator.io/job", "job-name",
            "controller-uid",
        )
    },
    **{
        f"{field} with the key {key!r}": (pipeline(pod={field: {key: "x"}}), f"spec.pod.{field}", _NO_KEY)
        for field in ("annotations", "labels", "nodeSelector")
        for key in ("", "a b", "-a", "a/b/c", "/a", "example.com/", "x" * 64, "exa_mple.com/a", "ä", "a\0")
    },
    "a label's prefix in upper case": (pipeline(pod={"labels": {"Example.com/a": "x"}}), "spec.pod.labels", _NO_KEY),
    # volumes
    **{
        f"subPath {path!r}": (pipeline(volumes=[_volume(subPath=path)]), "spec.volumes[0].subPath", "must be relative")
        for path in ("/a", "..", "../a", "a/../b", "a/..")
    },
    **{
        f"file at {path!r}": (pipeline(volumes=[_files(path)]), "items[0].path", "must be relative")
        for path in ("/a", "..", "../a", "a/../b", "a/..", "..a", "..data/a")
    },
    **{
        f"key {key!r}": (pipeline(volumes=[_files("a", key)]), "items[0].key", "must not start with `..`")
        for key in (".", "..", "..data")
    },
    "key .. of a Secret": (
        _env({"secretKeyRef": {"name": "s", "key": ".."}}), "secretKeyRef.key", "must not start with `..`"
    ),
    **{
        f"mounted at {path}": (pipeline(volumes=[_volume(mountPath=path)]), "spec.volumes[0].mountPath", "must not")
        for path in ("/", "//", "/a/../b", "/..")
    },
    "two volumes at one path": (
        pipeline(volumes=[_volume(), _volume(name="w")]), "spec.volumes", "must not have the same mountPath"
    ),
    "the operator's own volume": (pipeline(volumes=[_volume(name="elt-tmp")]), "spec.volumes[0].name", "reserved for"),
    "a negative size": (
        pipeline(volumes=[_volume(emptyDir={"sizeLimit": "-1Mi"})]), "emptyDir.sizeLimit", "at least 0"
    ),
    **{
        f"pull secret {name!r}": (
            pipeline(imagePullSecrets=[{"name": name}]), "spec.imagePullSecrets[0].name", "lower-case letters"
        )
        for name in ("", "A", "other/s", "a_b", "-a", "a..b", "x" * 254)
    },
    # environment
    **{
        f"field {path}": (_env({"fieldRef": {"fieldPath": path}}), "fieldRef.fieldPath", "use metadata.name")
        for path in (
            "x", "metadata", "metadata.labels", "metadata.generateName", "spec.containers", "status.phase",
            "metadata.labels['a b']", "metadata.labels[a]", "metadata.annotations['']", "metadata.name ", "limits.cpu",
        )
    },
    # resources
    "a negative limit": (pipeline(resources={"limits": {"cpu": "-1"}}), "spec.resources.limits[cpu]", "at least 0"),
    "a negative number": (pipeline(resources={"requests": {"cpu": -1}}), "spec.resources.requests[cpu]", "at least 0"),
    "a request above its limit": (
        pipeline(resources={"requests": {"memory": "1Gi"}, "limits": {"memory": "1000M"}}), "spec.resources.requests",
        "must not exceed its limit",
    ),
    "a request above its limit, in thousandths": (
        pipeline(resources={"requests": {"cpu": 2}, "limits": {"cpu": "1999m"}}), "spec.resources.requests",
        "must not exceed its limit",
    ),
    **{
        f"resource {name!r}": (pipeline(resources={"limits": {name: 1}}), "spec.resources.limits", "a resource is cpu")
        for name in (
            "", "disk", "requests.cpu", "nvidia.com/", "a b/c", "a/b/c", "pods", "requests.example.com/x", "hugepages-",
            "hugepages-x", "hugepages-0", "hugepages-2", "x" * 240 + ".com/xyz",
        )
    },
    "a GPU without a limit": (
        pipeline(resources={"requests": {"nvidia.com/gpu": 1}}), "spec.resources.requests", "cannot be overcommitted"
    ),
    "fewer GPUs than the limit": (
        pipeline(resources={"requests": {"nvidia.com/gpu": 1}, "limits": {"nvidia.com/gpu": 2}}),
        "spec.resources.requests", "cannot be overcommitted",
    ),
    "half a GPU": (
        pipeline(resources={"limits": {"nvidia.com/gpu": "500m"}}), "spec.resources.limits", "a whole number"
    ),
    "a huge page and a half": (
        pipeline(resources={"limits": {"hugepages-2Mi": "3Mi", "memory": 1}}), "spec.resources.limits", "a multiple"
    ),
    "nothing but huge pages": (
        pipeline(resources={"limits": {"hugepages-2Mi": "4Mi"}}), "spec.resources.limits", "cpu or memory to be set"
    ),
    # tolerations
    "a toleration of nothing": (pipeline(pod={"tolerations": [{}]}), "spec.pod.tolerations[0].operator", "Exists"),
    "a toleration of any key's value": (
        pipeline(pod={"tolerations": [{"key": "", "value": "x"}]}), "spec.pod.tolerations[0].operator", "Exists"
    ),
    "a toleration of existence and value": (
        pipeline(pod={"tolerations": [{"key": "a", "operator": "Exists", "value": "x"}]}),
        "spec.pod.tolerations[0].value", "must not be set",
    ),
    "a toleration with seconds and no effect": (
        pipeline(pod={"tolerations": [{"key": "a", "tolerationSeconds": 1}]}), "spec.pod.tolerations[0].effect",
        "needs effect NoExecute",
    ),
    "a toleration of no key": (
        pipeline(pod={"tolerations": [{"key": "a b"}]}), "spec.pod.tolerations[0].key", _NO_KEY
    ),
    "a toleration of no value": (
        pipeline(pod={"tolerations": [{"key": "a", "value": "b c"}]}), "spec.pod.tolerations[0].value", "contains only"
    ),
    # what is run
    **{
        f"both {' and '.join(ways)}": (pipeline(**ways), "spec", "at most one of `actions`, `script` and `command`")
        for ways in (
            {"actions": ["run x"], "script": "x"}, {"actions": ["run x"], "command": ["x"]},
            {"script": "x", "command": ["x"]}, {"actions": ["run x"], "script": "x", "command": ["x"]},
        )
    },
    "args of a script": (pipeline(script="x", args=["a"]), "spec.args", "`args` belong to `command` or to the image"),
    "args of actions": (pipeline(actions=["x"], args=[]), "spec.args", "remove them, or `actions` or `script`"),
    "args too long together": (entrypoint(args=["x" * 4096] * 17), "spec.args", "65,536 bytes"),
    "args too long in bytes": (pipeline(args=["é" * 4096] * 9), "spec.args", "65,536 bytes"),
    "command and args too long with all the rest": (
        pipeline(command=["x" * 4096] * 16, args=["x" * 4096] * 16, properties=_properties(65, KIB)), "spec",
        "196,608 bytes",
    ),
    "NUL in args": (entrypoint(args=["x", NUL]), "spec.args[1]", "character NUL"),
    # where it is run
    **{
        f"working directory {path}": (pipeline(workingDir=path), "spec.workingDir", "must not contain `..`")
        for path in ("/..", "/../a", "/a/..", "/a/../b")
    },
    "NUL in the working directory": (pipeline(workingDir=f"/{NUL}"), "spec.workingDir", "character NUL"),
    # what is expected of the data
    "late after a schedule that there is not": (
        pipeline(expect={"afterScheduleSeconds": 600}),
        "spec.expect.afterScheduleSeconds",
        "`afterScheduleSeconds` needs a `schedule`; set one, or use `maxAgeSeconds`",
    ),
    # further containers
    **{
        f"{kind} with the name of the run's own": (
            _with(kind, _beside("a"), _beside("elt")), f"spec.{kind}[1].name", "for the run's own container"
        )
        for kind in ("initContainers", "sidecars")
    },
    "one name for an init container and a sidecar": (
        pipeline(initContainers=[_beside("a"), _beside("b")], sidecars=[_beside("c"), _beside("b")]), "spec.sidecars",
        "an init container and a sidecar must not have the same name",
    ),
    **{
        f"{kind} {what}": (_with(kind, _beside(**fields)), f"spec.{kind}[0].{field}", words)
        for kind in ("initContainers", "sidecars")
        for what, fields, field, words in (
            ("with NUL in args", {"args": [NUL]}, "args[0]", "character NUL"),
            ("with NUL in the command", {"command": ["x", NUL]}, "command[1]", "character NUL"),
            ("with NUL in a variable", {"env": [{"name": "A", "value": NUL}]}, "env[0].value", "character NUL"),
            ("in a directory above", {"workingDir": "/a/../b"}, "workingDir", "must not contain `..`"),
            ("with an image in Greek", {"image": "ελτ:1"}, "image", "ASCII"),
            ("with ELT_JOB", {"env": [{"name": "ELT_JOB", "value": "x"}]}, "env[0].name", "set by the operator"),
            ("with no source", {"envFrom": [{}]}, "envFrom[0]", "exactly one of `secretRef` and `configMapRef`"),
            ("with a negative limit", {"resources": {"limits": {"cpu": -1}}}, "resources.limits[cpu]", "at least 0"),
        )
    },
    **{
        f"{kind} too long together": (
            _with(kind, *(_beside(name, args=["x" * 4096] * 16, env=_variables(1, 16)) for name in "abc")),
            "spec", "196,608 bytes",
        )
        for kind in ("initContainers", "sidecars")
    },
    "a word of a container too long in bytes": (
        _with("initContainers", _beside("a", args=["€" * 16_384] * 2)), "spec.initContainers[0]", "65,536 bytes"
    ),
    "init containers, sidecars and the script too long together": (
        pipeline(
            script="x" * 64 * KIB, initContainers=[_beside("a", command=["x" * 4096] * 16)],
            sidecars=[_beside("b", env=_variables(17, 4096))],
        ), "spec", "196,608 bytes",
    ),
    # where it may go
    "an affinity to nothing": (pipeline(pod={"nodeAffinity": {}}), "spec.pod.nodeAffinity", f"set {_REQUIRED} or"),
    **{
        f"{operator} without values": (
            _requires({"key": "a", "operator": operator}), f"{_ITS_REQUIREMENT}.values", "needs `values`"
        )
        for operator in ("In", "NotIn")
    },
    "In no values": (
        _requires({"key": "a", "operator": "In", "values": []}), f"{_ITS_REQUIREMENT}.values", "needs `values`"
    ),
    **{
        f"{operator} with a value": (
            _requires({"key": "a", "operator": operator, "values": ["b"]}), f"{_ITS_REQUIREMENT}.values",
            "`values` must not be set",
        )
        for operator in ("Exists", "DoesNotExist")
    },
    **{
        f"{operator} than {values}": (
            _requires({"key": "a", "operator": operator, **({"values": values} if values else {})}),
            f"{_ITS_REQUIREMENT}.values", "needs exactly one value, a number",
        )
        for operator, values in (
            ("Gt", ["many"]), ("Lt", ["1.5"]), ("Gt", ["1", "2"]), ("Gt", []), ("Lt", [""]), ("Gt", ["9" * 19]),
        )
    },
    "a preference of no key": (
        _prefers({"key": "a b", "operator": "Exists"}),
        f"spec.pod.nodeAffinity.{_PREFERRED}[0].preference.matchExpressions[0].key", _NO_KEY,
    ),
    **{
        f"spread over {key!r}": (
            _spread(topologyKey=key), "spec.pod.topologySpreadConstraints[0].topologyKey", _NO_KEY
        )
        for key in ("a b", "-zone", "example.com/", "zone.", "Example.com/zone", "x" * 64)
    },
    "spread with a key of no label": (
        _spread(labelSelector={"matchLabels": {"a b": "x"}}),
        "spec.pod.topologySpreadConstraints[0].labelSelector.matchLabels", _NO_KEY,
    ),
    **{
        f"host alias of {ip}": (_alias(ip, "db.internal"), "spec.pod.hostAliases[0].ip", "an IPv4 or IPv6 address")
        for ip in (
            "10.0.0", "10.0.0.256", "010.0.0.1", "10.0.0.7/8", "10.0.0.7:53", "db.internal", "fe80::1%eth0", "[::1]",
            "::ffff:10.0.0.7", "1::2::3", " 10.0.0.7",
        )
    },
}  # fmt: skip

_LONG_NAME = "a" * 64

BEYOND_BOUNDS: dict[str, tuple[Manifest, str, str]] = {
    # what is run
    "65 args": (entrypoint(args=["x"] * 65), "spec.args", "Too many"),
    "an arg of 16,385 characters": (entrypoint(args=["x" * 16_385]), "spec.args[0]", "Too long"),
    "an empty command": (pipeline(command=[]), "spec.command", "at least 1 items"),
    # where it is run
    **{
        f"working directory {path!r}": (pipeline(workingDir=path), "spec.workingDir", "should match")
        for path in ("data", "./data", "~/data", "../data")
    },
    "a long working directory": (pipeline(workingDir=f"/{'x' * 1024}"), "spec.workingDir", "Too long"),
    # further containers
    **{
        f"{kind} {what}": (_with(kind, *beside), f"spec.{kind}{path}", words)
        for kind in ("initContainers", "sidecars")
        for what, beside, path, words in (
            ("of one name", [_beside("a"), _beside("a")], "[1]", "Duplicate value"),
            ("in five", [_beside(name) for name in "abcde"], "", "Too many"),
            ("without a name", [{"image": "elt:1"}], "[0].name", "Required value"),
            ("without an image", [{"name": "a"}], "[0].image", "Required value"),
            ("with an upper-case name", [_beside("Proxy")], "[0].name", "should match"),
            ("with a long name", [_beside(_LONG_NAME)], "[0].name", "Too long"),
            ("with an empty command", [_beside(command=[])], "[0].command", "at least 1 items"),
            ("in a directory of no root", [_beside(workingDir="data")], "[0].workingDir", "should match"),
            ("with 65 args", [_beside(args=["x"] * 65)], "[0].args", "Too many"),
            ("with ports", [_beside(ports=[{"containerPort": 80}])], "[0].ports", "unknown field"),
            ("with mounts", [_beside(volumeMounts=[])], "[0].volumeMounts", "unknown field"),
            ("with rights", [_beside(securityContext={})], "[0].securityContext", "unknown field"),
            ("with a probe", [_beside(startupProbe={})], "[0].startupProbe", "unknown field"),
            ("with a restart policy", [_beside(restartPolicy="Always")], "[0].restartPolicy", "unknown field"),
        )
    },
    # where it may go
    "no terms": (
        pipeline(pod={"nodeAffinity": {_REQUIRED: {"nodeSelectorTerms": []}}}),
        f"spec.pod.nodeAffinity.{_REQUIRED}.nodeSelectorTerms", "at least 1 items",
    ),
    "a term of nothing": (
        _requires(), f"spec.pod.nodeAffinity.{_REQUIRED}.nodeSelectorTerms[0].matchExpressions", "at least 1 items"
    ),
    "an operator of no labels": (
        _requires({"key": "a", "operator": "Like", "values": ["b"]}), f"{_ITS_REQUIREMENT}.operator", "Unsupported"
    ),
    "a value of no label": (
        _requires({"key": "a", "operator": "In", "values": ["b c"]}), f"{_ITS_REQUIREMENT}.values[0]", "should match"
    ),
    "a pod affinity": (pipeline(pod={"podAffinity": {}}), "spec.pod.podAffinity", "unknown field"),
    "a preference of no weight": (
        pipeline(
            pod={
                "nodeAffinity": {
                    _PREFERRED: [
                        {"weight": 0, "preference": {"matchExpressions": [{"key": "a", "operator": "Exists"}]}}
                    ]
                }
            }
        ),
        f"spec.pod.nodeAffinity.{_PREFERRED}[0].weight", "greater than or equal to 1",
    ),
    "spread with no skew": (
        _spread(maxSkew=0), "spec.pod.topologySpreadConstraints[0].maxSkew", "greater than or equal to 1"
    ),
    "spread over nothing": (_spread(topologyKey=""), "spec.pod.topologySpreadConstraints[0].topologyKey", "at least 1"),
    "spread somehow": (
        _spread(whenUnsatisfiable="Maybe"), "spec.pod.topologySpreadConstraints[0].whenUnsatisfiable", "Unsupported"
    ),
    "a host without a name": (_alias("10.0.0.7"), "spec.pod.hostAliases[0].hostnames", "at least 1 items"),
    "a host's name with a space": (_alias("10.0.0.7", "a b"), "spec.pod.hostAliases[0].hostnames[0]", "should match"),
    "a group below 0": (
        pipeline(pod={"supplementalGroups": [-1]}), "spec.pod.supplementalGroups[0]", "greater than or equal to 0"
    ),
    "a group twice": (pipeline(pod={"supplementalGroups": [7, 7]}), "spec.pod.supplementalGroups[1]", "Duplicate"),
    **{
        f"queue {name!r}": (pipeline(queueName=name), "spec.queueName", words)
        for name, words in (
            ("Nightly", "should match"), ("other/nightly", "should match"), ("a.b", "should match"),
            ("-a", "should match"), ("", "at least 1 chars"), (_LONG_NAME, "Too long"),
        )
    },
}  # fmt: skip
"""What the API server refuses by bounds, patterns and types: manifest, path and words."""

ACCEPTED: dict[str, Manifest] = {
    "a long script": pipeline(script="x" * 64 * KIB),
    "a long script of two-byte characters": pipeline(script="é" * 32 * KIB),
    "a script that starts with a dash": pipeline(script="-x"),
    "actions just short enough": pipeline(actions=["é" * 2048] * 16),
    "a command just short enough": pipeline(command=["x" * 4096] * 16),
    "properties just short enough": pipeline(properties=_properties(100, 1966)),
    "variables just short enough": pipeline(env=_variables(128, 1535)),
    "a property just short enough": pipeline(properties={"tap.a": "é" * 32_768}),
    "a name of 128 characters": pipeline(properties={"a" * 128: 1}),
    "a Job just short enough": job(arguments=["x" * 4096] * 16, properties=_properties(64, KIB)),
    "control characters but NUL": job(arguments=["".join(map(chr, range(1, 32))) + "\x7f\x85\u2028\ufeff"]),
    **{f"scheduled for {text}": job(trigger={"scheduledTime": text}) for text in RIGHT_TIMES},
    "an interval": _interval("2026-01-01T00:00:00Z", "2026-01-01T00:00:00-00:01"),
    "annotations": pipeline(pod={"annotations": dict.fromkeys(FREE_ANNOTATIONS, "x")}),
    "labels": pipeline(pod={"labels": {"team": "data", "azure.workload.identity/use": "true"}}),
    "a node": pipeline(pod={"nodeSelector": {"kubernetes.io/os": "linux", "disk": "ssd"}}),
    "tolerations": pipeline(
        pod={
            "tolerations": [
                {"operator": "Exists"},
                {"key": "", "operator": "Exists", "value": ""},
                {"key": "example.com/elt", "value": "x", "effect": "NoExecute", "tolerationSeconds": 5},
                {"key": "elt", "operator": "Equal", "value": ""},
            ]
        }
    ),
    "paths": pipeline(
        volumes=[
            _volume(subPath="a/b..c/.d", emptyDir={"sizeLimit": "1.5Gi"}),
            {**_files("a/..b/c", ".k"), "name": "w", "mountPath": "/v/w"},
            {"name": "x", "mountPath": "/x", "configMap": {"name": "c", "items": [{"key": "a", "path": ".a"}]}},
            {"name": "y", "mountPath": "/y/..z", "persistentVolumeClaim": {"claimName": "y"}},
        ]
    ),
    "pull secrets": pipeline(imagePullSecrets=[{"name": "registry.example.com"}, {"name": "x" * 253}]),
    "fields of the pod": pipeline(
        env=[
            {"name": f"A{number}", "valueFrom": {"fieldRef": {"fieldPath": path}}}
            for number, path in enumerate(
                (
                    "metadata.name", "metadata.namespace", "metadata.uid", "metadata.labels['example.com/team']",
                    "metadata.annotations['note']", "spec.nodeName", "spec.serviceAccountName", "status.hostIP",
                    "status.hostIPs", "status.podIP", "status.podIPs",
                )
            )
        ]
    ),
    "resources": pipeline(
        resources={
            "requests": {"cpu": "250m", "memory": "0.5Gi", "ephemeral-storage": 0, "nvidia.com/gpu": 1},
            "limits": {"cpu": 2, "memory": "1e9", "nvidia.com/gpu": "1"},
        }
    ),
    "huge pages": pipeline(
        resources={"limits": {"hugepages-2Mi": "4Mi", "memory": "1Gi"}, "requests": {"hugepages-2Mi": "4Mi"}}
    ),
    "nothing but an image": entrypoint(),
    "no args": entrypoint(args=[]),
    "as many args as there may be": entrypoint(args=["x" * KIB] * 64),
    "command and args just short enough": pipeline(command=["x" * 4096] * 16, args=["x" * 4096] * 16),
    "a variable in args": pipeline(args=["$(PASSWORD)", "control \x01"]),
    **{f"working directory {path}": pipeline(workingDir=path) for path in ("/", "/a b", "/..a/b..", "/a/.b", "//a")},
    "eight further containers": pipeline(
        initContainers=[_beside(name, command=["x"], args=["y"], workingDir="/") for name in "abcd"],
        sidecars=[
            _beside(
                name, imagePullPolicy="Never", env=[{"name": "A", "value": "x"}],
                envFrom=[{"secretRef": {"name": "s"}}], resources={"limits": {"cpu": 1}},
            )
            for name in "efgh"
        ],
    ),
    "further containers just short enough": pipeline(
        initContainers=[_beside("a", args=["x" * 16_384] * 4)],
        sidecars=[_beside("b", command=["x" * 16_384] * 4, env=_variables(15, 4096))],
    ),
    "a name with dots for a variable": _env(name="spring.profiles.active", value="batch"),
    "required nodes": _requires(
        {"key": "kubernetes.io/os", "operator": "In", "values": ["linux", ""]},
        {"key": "a", "operator": "NotIn", "values": ["b"]},
        {"key": "example.com/gpu", "operator": "Exists"},
        {"key": "c", "operator": "DoesNotExist", "values": []},
        {"key": "cores", "operator": "Gt", "values": ["7"]},
        {"key": "level", "operator": "Lt", "values": ["7"]},
    ),
    "preferred nodes": _prefers({"key": "disk", "operator": "In", "values": ["ssd"]}),
    "spread over zones": _spread(
        topologyKey="topology.kubernetes.io/zone", whenUnsatisfiable="DoNotSchedule",
        labelSelector={"matchLabels": {"app.kubernetes.io/name": "weather"}},
    ),
    **{f"host alias of {ip}": _alias(ip, "db", "db.internal") for ip in ("10.0.0.7", "::1", "2001:db8::A", "fe80::1")},
    "further groups": pipeline(pod={"supplementalGroups": [0, 2_147_483_647]}),
    **{f"queue {name}": pipeline(queueName=name) for name in ("nightly", "7", "a" * 63)},
    **{
        f"label {key}": pipeline(pod={"labels": {key: "x"}})
        for key in ("app.kubernetes.io/name", "app.kubernetes.io/instance", "app.kubernetes.io/part-of")
    },
    "kept for ever so long": pipeline(runRetentionSeconds=31_536_000),
    "not kept": pipeline(runRetentionSeconds=0),
}  # fmt: skip
