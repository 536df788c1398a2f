"""Properties and the environment variables they become."""

import re
from collections.abc import Iterable, Mapping

_NOT_IN_A_VARIABLE = re.compile("[^A-Z0-9]")


def variable(property_name: str) -> str:
    """Return the environment variable of a property: ``tap-weather.start_date`` gives ``TAP_WEATHER_START_DATE``.

    The rule is Meltano's own (https://docs.meltano.com/guide/configuration#configuring-settings).
    """
    return _NOT_IN_A_VARIABLE.sub("_", property_name.upper())


def variables(properties: Mapping[str, int | str] | None) -> dict[str, str]:
    """Return the variables of ``properties`` with their values as text."""
    return {variable(name): str(value) for name, value in (properties or {}).items()}


def protected_overrides(overrides: Iterable[str], protected: Iterable[str]) -> list[str]:
    """Return the names among ``overrides`` that set the variable of a protected property, however they are spelt."""
    closed = {variable(name) for name in protected}
    return sorted(name for name in overrides if variable(name) in closed)
