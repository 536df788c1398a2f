"""Containers: what every container of a run's pod may say, and those that a Pipeline puts beside the run's own."""

from typing import Annotated, Final, Literal

from pydantic import Field

from elt_operator.resources import names, texts
from elt_operator.resources.environment import EnvFromSources, EnvVar, env_bytes
from elt_operator.resources.fields import ATOMIC, Fields, Label, extra, list_map, matches, rule, rules
from elt_operator.resources.requirements import ResourceRequirements

Image = Annotated[
    str,
    Field(min_length=1, max_length=1024, pattern=r"^\S+$"),
    extra(rules(rule("self.matches('^[!-~]+$')", "an image's name can contain only ASCII characters and no spaces"))),
]
PullPolicy = Literal["Always", "IfNotPresent", "Never"]

Directory = Annotated[
    str,
    Field(min_length=1, max_length=1024, pattern=r"^/"),
    extra(rules(texts.NO_NUL, rule(f"!{matches('self', '/[.][.](/|$)')}", "the path must not contain `..`"))),
]


# Smaller than with the run's own container: eight of these have to fit into what the API server lets the rules cost.
_Words = Annotated[list[texts.Word], Field(max_length=32), ATOMIC]


class _EnvVar(EnvVar):
    """An environment variable of a container beside the run's own."""

    value: Annotated[str, Field(max_length=4096), extra(rules(texts.NO_NUL))] | None = None
    """Its value. Never put a secret here: anyone who can read the Pipeline can read it."""


class ExtraContainer(
    Fields,
    json_schema_extra=rules(
        rule(
            f"self.name != '{names.CONTAINER}'",
            "this name is reserved for the run's own container; choose another one",
            field=".name",
            reason="FieldValueForbidden",
        ),
        texts.at_most(
            texts.TEXT_BYTES,
            texts.total(
                *(texts.if_set(f"self.{field}", texts.of_each(f"self.{field}")) for field in ("command", "args"))
            ),
            "`command` and `args` together",
            "put the rest into a file in the image or in a mounted ConfigMap",
        ),
    ),
):
    """An additional container. It has the same volumes, at the same paths, and security settings as the run's own."""

    name: Label
    """Name of the container, unique within the Pipeline."""
    image: Image
    """Its image, by tag or digest."""
    image_pull_policy: PullPolicy | None = None
    """When the image is pulled; if unset, Kubernetes' own default."""
    command: Annotated[_Words, Field(min_length=1)] | None = None
    """The program to run instead of the image's entrypoint, with its arguments."""
    args: _Words | None = None
    """Arguments for the command or for the image's entrypoint."""
    env: Annotated[list[_EnvVar], Field(max_length=64), list_map("name")] | None = None
    """Environment variables. ELT_* variables are set as in the run's own container; properties are not."""
    env_from: EnvFromSources | None = None
    """Secrets and ConfigMaps whose keys become environment variables; env overrides them."""
    resources: ResourceRequirements | None = None
    """CPU and memory of the container."""
    working_dir: Directory | None = None
    """The directory in which it starts; if unset, the image's own."""


ExtraContainers = Annotated[list[ExtraContainer], Field(max_length=4), list_map("name")]

_BYTES: Final = texts.total(
    texts.if_set("one.command", texts.of_each("one.command")),
    texts.if_set("one.args", texts.of_each("one.args")),
    texts.if_set("one.env", env_bytes("one.env")),
)


def bytes_of(containers: str) -> str:
    """Return in CEL how many bytes the texts of a list of containers have."""
    return f"{containers}.map(one, {_BYTES}).sum()"
