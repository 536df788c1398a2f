"""The names of all metrics, as the operator itself registers them."""

from elt_operator.controller.cache import Cache
from elt_operator.controller.metrics import Metrics, State
from elt_operator.controller.places import Places
from elt_operator.controller.queue import WorkQueue

_QUERIED = {"counter": "_total", "histogram": "_bucket", "gauge": ""}
_DOCUMENTED = {**_QUERIED, "histogram": ""}


def queried_metrics() -> set[str]:
    """Return them as queries ask for them: of a histogram, its buckets."""
    return _names(_QUERIED)


def documented_metrics() -> set[str]:
    """Return them as the docs list them."""
    return _names(_DOCUMENTED)


def _names(endings: dict[str, str]) -> set[str]:
    metrics = Metrics()
    metrics.registry.register(State(Cache(), WorkQueue(), lambda: True, Places([]), pipelines=True))
    return {f"{family.name}{endings[family.type]}" for family in metrics.registry.collect()}
