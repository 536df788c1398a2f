"""What is hidden in logs besides what looks like a secret by itself."""

from typing import Annotated

from pydantic import Field, field_validator

from elt_operator.archive import masking
from elt_operator.settings.common import Common


class Masked(Common):
    """The settings of a program that cuts logs into frames."""

    mask_patterns: Annotated[list[str], Field(max_length=masking.MOST_PATTERNS)] = Field(default_factory=list)
    """What else is hidden: regular expressions of RE2, as a JSON list; where one has groups, only those are hidden."""

    @field_validator("mask_patterns")
    @classmethod
    def _usable(cls, patterns: list[str]) -> list[str]:
        for pattern in patterns:
            try:
                masking.users_pattern(pattern)
            except masking.PatternError as error:
                raise ValueError(f"pattern {pattern[:60]!r}: {error}") from error
        return patterns
