"""CPU, memory and other resources of a run's container, checked as Kubernetes will check them when the run starts."""

from typing import Annotated, Final

from pydantic import Field

from elt_operator.resources.fields import QUALIFIED_NAME, Fields, Quantity, extra, matches, rule, rules

# https://kubernetes.io/docs/concepts/configuration/manage-resources-containers/#extended-resources).
_WHOLE: Final = "(name.startsWith('hugepages-') || (name.contains('/') && !name.contains('kubernetes.io/')))"
"""In CEL, whether a resource cannot be overcommitted, nor divided."""

_HUGE_PAGES: Final = "^hugepages-[1-9][0-9]{0,8}[KMG]i$"


def _amount(kind: str) -> str:
    return f"quantity(string(self.{kind}[name]))"


Resources = Annotated[
    dict[Annotated[str, Field(max_length=253)], Quantity],
    Field(max_length=16),
    extra(
        rules(
            rule(
                "self.all(name, name in ['cpu', 'memory', 'ephemeral-storage'] || "
                f"{matches('name', _HUGE_PAGES)} || (name.size() <= 244 && name.contains('/')"
                f" && !name.startsWith('requests.') && {matches('name', QUALIFIED_NAME)}))",
                "a resource is cpu, memory, ephemeral-storage, huge pages such as hugepages-2Mi, or has a prefix as in"
                " example.com/gpu",
            )
        )
    ),
]


class ResourceRequirements(
    Fields,
    json_schema_extra=rules(
        rule(
            "!has(self.requests) || !has(self.limits) || self.requests.all(name, !(name in self.limits)"
            f" || {_amount('requests')}.compareTo({_amount('limits')}) <= 0)",
            "a request must not exceed its limit",
            field=".requests",
        ),
        rule(
            f"!has(self.requests) || self.requests.all(name, !{_WHOLE} || (has(self.limits) && name in self.limits"
            f" && {_amount('requests')}.compareTo({_amount('limits')}) == 0))",
            "huge pages and resources with a prefix cannot be overcommitted: set the same quantity in `limits`",
            field=".requests",
        ),
        rule(
            f"!has(self.limits) || self.limits.all(name, !{_WHOLE} || {_amount('limits')}.isInteger())",
            "huge pages and resources with a prefix need a whole number",
            field=".limits",
        ),
        rule(
            f"!has(self.limits) || self.limits.all(name, !{matches('name', _HUGE_PAGES)}"
            f" || {_amount('limits')}.asInteger() % quantity(name.replace('hugepages-', '')).asInteger() == 0)",
            "huge pages need a multiple of their size",
            field=".limits",
        ),
        rule(
            "!has(self.limits) || !self.limits.exists(name, name.startsWith('hugepages-'))"
            " || 'cpu' in self.limits || 'memory' in self.limits"
            " || (has(self.requests) && ('cpu' in self.requests || 'memory' in self.requests))",
            "huge pages need cpu or memory to be set as well",
            field=".limits",
        ),
    ),
):
    """CPU, memory and other resources of the run's container."""

    requests: Resources | None = None
    """What the scheduler reserves; no more than the limit."""
    limits: Resources | None = None
    """What the container can use; a process that exceeds the memory limit is killed (OutOfMemory)."""
