"""The operator waits for its resource types, and says what is missing."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet

import aiohttp
import pytest

from elt_operator.kube import resource_types
from elt_operator.kube.resource_types import ResourceTypes


class Answers:
    """Answers one question after the other with these."""

    def __init__(self, *answers: list[str] | Exception) -> None:
        self.left = list(answers)
        self.told: list[str] = []
        self.types = ResourceTypes(self)  # type: ignore[arg-type]  # only this is asked of a client

    async def unserved(self, needed: Mapping[str, AbstractSet[str]]) -> list[str]:
        assert needed.keys() == {"eltpipelines", "eltjobs"}
        self.told.append(self.types.check())
        answer = self.left.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


async def test_it_waits_and_says_for_what(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource_types, "_RETRY_SECONDS", 0.0)
    fields = [f"eltjobs.status.field{number}" for number in range(7)]
    answers = Answers(aiohttp.ClientConnectionError("refused"), fields, [])

    await answers.types.wait()

    asked_first, no_answer, missing = answers.told
    assert "not asked" in asked_first
    assert "does not answer: ClientConnectionError: refused" in no_answer
    assert "eltjobs.status.field4, …. Renew the CustomResourceDefinitions: `kubectl apply --server-side" in missing
    assert answers.types.check() == ""
