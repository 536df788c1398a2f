"""The operator's settings come from the environment, and wrong ones are refused."""

import pytest
from pydantic import ValidationError

from elt_operator.settings.controller import Settings


def test_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ELT_OPERATOR_WATCH_NAMESPACES", raising=False)

    assert (Settings().namespaces, Settings().default_timeout_seconds) == ([], 3600)


def test_namespaces_are_listed_with_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ELT_OPERATOR_WATCH_NAMESPACES", "a, b,")

    assert Settings().namespaces == ["a", "b"]


def test_a_wrong_setting_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ELT_OPERATOR_WORKERS", "none")

    with pytest.raises(ValidationError, match="workers"):
        Settings()
