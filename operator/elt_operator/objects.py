"""Where the API server has our objects."""

from typing import Final

from elt_operator.kube.paths import Resource
from elt_operator.resources import names

PIPELINES: Final = Resource(names.API_ROOT, names.PIPELINES)
JOBS: Final = Resource(names.API_ROOT, names.JOBS)
