"""Labels and annotations of a run's pod, and the labels of its node."""

from typing import Annotated, Final

from pydantic import Field

from elt_operator.resources import names
from elt_operator.resources.fields import LABEL_VALUE, QUALIFIED_NAME, extra, matches, rule, rules

KEY_WORDS: Final = (
    "a key looks like name or example.org/name: letters, digits, `-`, `_` and `.`, the name at most 63 characters"
)

# Domains whose annotations would give a pod more than the fields of a Pipeline do: AppArmor and devices (Kubernetes),
# namespaces, mounts, kernels and devices (runtimes), foreign networks and addresses, roles in a cloud. Runtimes also
# write a domain backwards: io.katacontainers.config.
_KUBERNETES: Final = (names.GROUP, "kubernetes.io", "k8s.io")
_RUNTIMES: Final = (
    "containerd.io",
    "cri-o.io",
    "crio.io",
    "gvisor.dev",
    "katacontainers.io",
    "noderesource.dev",
    "nri.io",
)
_NETWORKS: Final = (
    "antrea.io",
    "cilium.io",
    "cncf.io",
    "multus-cni.io",
    "networking.gke.io",
    "openshift.io",
    "ovn.org",
    "projectcalico.org",
)
_ROLES: Final = ("accounts.google.com", "amazonaws.com")


def _of_domains(*domains: str) -> str:
    """Return a regular expression of the keys in one of ``domains``, or below one, in any case and either direction."""
    forwards = "|".join(domain.replace(".", "[.]") for domain in domains)
    backwards = "|".join("[.]".join(reversed(domain.split("."))) for domain in domains)
    return f"(?i)^(([^/]*[.])?({forwards})/|({backwards})[./])"


_LABEL_KEYS: Final = rule(f"self.all(key, {matches('key', QUALIFIED_NAME)})", KEY_WORDS)
_ANNOTATION_KEYS: Final = rule(f"self.all(key, {matches('key.lowerAscii()', QUALIFIED_NAME)})", KEY_WORDS)

LabelMap = Annotated[
    dict[
        Annotated[str, Field(max_length=317)],
        Annotated[str, Field(max_length=63, pattern=LABEL_VALUE)],
    ],
    Field(max_length=32),
    extra(
        rules(
            _LABEL_KEYS,
            rule(
                f"!self.exists(key, {matches('key', _of_domains(*_KUBERNETES))}"
                " && !key.startsWith('app.kubernetes.io/')"
                f" || key in ['job-name', 'controller-uid', '{names.MANAGED_BY_LABEL}'])",
                f"keys of {names.GROUP}, kubernetes.io and k8s.io, job-name and controller-uid are reserved, except"
                f" app.kubernetes.io/* without {names.MANAGED_BY_LABEL}; choose another prefix",
                reason="FieldValueForbidden",
            ),
        )
    ),
]

AnnotationMap = Annotated[
    dict[Annotated[str, Field(max_length=317)], Annotated[str, Field(max_length=8192)]],
    Field(max_length=32),
    extra(
        rules(
            _ANNOTATION_KEYS,
            rule(
                f"!self.exists(key, {matches('key', _of_domains(*_KUBERNETES, *_RUNTIMES, *_NETWORKS, *_ROLES))}"
                " && !key.startsWith('cluster-autoscaler.kubernetes.io/safe-to-evict'))",
                "keys of Kubernetes, container runtimes, networks and cloud roles are reserved, except"
                " cluster-autoscaler.kubernetes.io/safe-to-evict; docs/pipeline.md lists them",
                reason="FieldValueForbidden",
            ),
            rule(
                "self.all(key, key.contains('/') || !key.contains('.'))",
                "a key with a dot needs a prefix, as in example.org/name: container runtimes read keys such as"
                " io.katacontainers.config as commands",
                reason="FieldValueForbidden",
            ),
        )
    ),
]

NodeSelector = Annotated[
    dict[Annotated[str, Field(max_length=317)], Annotated[str, Field(max_length=63, pattern=LABEL_VALUE)]],
    Field(max_length=32),
    extra(rules(_LABEL_KEYS)),
]
