"""Prints the patch for Argo CD's ConfigMap ``argocd-cm`` that makes it know Pipelines and Jobs."""

from pathlib import Path

import yaml

GROUP = "elt-operator.io"
SCRIPTS = Path(__file__).parent / "resource_customizations" / GROUP


class Text(yaml.SafeDumper):
    """Writes a text of several lines as such."""


Text.add_representer(
    str,
    lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None),
)


def dump(value: object) -> str:
    """Return ``value`` as YAML in the order it has."""
    return yaml.dump(value, Dumper=Text, sort_keys=False, width=120)


def actions(kind: Path) -> str:
    """Return the actions of one kind, as ``argocd-cm`` wants them: a YAML text in a YAML text."""
    definitions = [
        {"name": action.parent.name, "action.lua": action.read_text()}
        for action in sorted(kind.glob("actions/*/action.lua"))
    ]
    return dump({"discovery.lua": (kind / "actions" / "discovery.lua").read_text(), "definitions": definitions})


def patch() -> str:
    """Return the patch."""
    entries = {}
    for kind in sorted(SCRIPTS.iterdir()):
        entries[f"resource.customizations.health.{GROUP}_{kind.name}"] = (kind / "health.lua").read_text()
        entries[f"resource.customizations.actions.{GROUP}_{kind.name}"] = actions(kind)
    return "# Made from resource_customizations by `make gitops`; do not edit.\n" + dump({"data": entries})


if __name__ == "__main__":
    print(patch(), end="")
