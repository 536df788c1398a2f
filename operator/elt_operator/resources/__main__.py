"""``python -m elt_operator.resources DIRECTORY`` writes the CustomResourceDefinitions."""

import sys
from pathlib import Path

from elt_operator.resources import crd

for name, content in crd.files().items():
    Path(sys.argv[1], name).write_text(content, encoding="utf-8")
