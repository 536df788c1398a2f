"""The names of all metrics, as the programs themselves register them."""

import time
from collections.abc import Iterable
from itertools import chain
from pathlib import Path

from kubernetes.aio.client import Configuration
from prometheus_client.core import Metric

from builders import START
from elt_operator.api import metrics as api
from elt_operator.api import program as api_program
from elt_operator.controller.cache import Cache
from elt_operator.controller.metrics import Metrics, State
from elt_operator.controller.places import Places
from elt_operator.controller.queue import WorkQueue
from elt_operator.kube.client import Client
from elt_operator.log_reader import metrics as log_reader
from elt_operator.log_reader.keeper import Keeper
from elt_operator.log_reader.pod_folders import PodFolders
from elt_operator.log_reader.reader import Reader
from elt_operator.log_reader.spool import Spool
from elt_operator.logs import metrics as logs
from elt_operator.logs.jobs import Watched
from elt_operator.settings.api import Settings as ApiSettings

_QUERIED = {"counter": "_total", "histogram": "_bucket", "gauge": ""}
_DOCUMENTED = {**_QUERIED, "histogram": ""}


def queried_metrics() -> set[str]:
    """Return them as queries ask for them: of a histogram, its buckets."""
    return _names(_QUERIED)


def documented_metrics() -> set[str]:
    """Return them as the docs list them."""
    return _names(_DOCUMENTED)


def _names(endings: dict[str, str]) -> set[str]:
    families = chain(_of_the_controller(), _of_the_api(), _of_the_keeper(), _of_a_log_reader())
    return {f"{family.name}{endings[family.type]}" for family in families}


def _of_the_controller() -> Iterable[Metric]:
    metrics = Metrics()
    metrics.registry.register(State(Cache(), WorkQueue(), lambda: True, Places([]), pipelines=True))
    return metrics.registry.collect()


def _of_the_api() -> Iterable[Metric]:
    metrics = api.Metrics()
    metrics.watch(api_program.parts(Client(Configuration(host="http://nowhere"), "test"), ApiSettings()))
    return metrics.registry.collect()


def _of_the_keeper() -> Iterable[Metric]:
    metrics = logs.Metrics()
    metrics.registry.register(logs.State(Watched(lambda: START), lambda: START))
    return metrics.registry.collect()


def _of_a_log_reader() -> Iterable[Metric]:
    nowhere = Path("/nowhere")
    keeper = Keeper("http://nowhere", nowhere)
    return log_reader.State(Reader(PodFolders(nowhere), Spool(nowhere, 1, 1), keeper, [], time.monotonic)).collect()
