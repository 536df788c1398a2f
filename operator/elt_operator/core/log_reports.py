"""What a log reports: lines put together with what belongs to them, and what each is worth as an explanation."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

from elt_operator.core import log_signs as signs
from elt_operator.core.log_lines import KEPT, LOOKED_AT, Line
from elt_operator.resources.job import ERROR_MESSAGE_BYTES
from elt_operator.text import cut

_MORE: Final = 4
"""Lines that an explanation may have beside the first."""
_PARAGRAPHS: Final = 6


class Kind(IntEnum):
    """What a report is worth as an explanation."""

    NOISE = 0
    SAYS = 1
    SUMMARY = 2
    CAUSE = 3


@dataclass
class Report:
    """A line, and what belongs to it."""

    text: str
    kind: Kind
    level: str = ""
    source: str = ""
    more: list[str] = field(default_factory=list)
    causes: list[str] = field(default_factory=list)
    context: str = ""
    """What the program itself said of the exception."""
    caused_by: "Report | None" = None
    """The exception that this one followed from."""
    raised: bool = False
    """Whether it is an exception that came with its stack."""

    @property
    def vague(self) -> bool:
        """Whether it says nothing without the lines that follow."""
        return self.kind is Kind.CAUSE and bool(signs.VAGUE.match(self.text[:LOOKED_AT]))

    @property
    def severe(self) -> bool:
        """Whether it reads like an error, whatever its level says."""
        return _reads_like_an_error(self.text[:LOOKED_AT])

    @property
    def ends(self) -> bool:
        """Whether it is about the end of the program, or about the program itself, not about its work."""
        return bool(signs.ENDING.match(self.text[:LOOKED_AT]))

    @property
    def hints(self) -> bool:
        """Whether it has a word of trouble."""
        return bool(signs.HINT.search(self.text[:LOOKED_AT])) and not signs.HARMLESS.match(self.text[:LOOKED_AT])

    @property
    def asks(self) -> bool:
        """Whether it says nothing without the next line."""
        return self.kind is Kind.CAUSE and bool(signs.VAGUE.match(self.end[:LOOKED_AT]))

    @property
    def end(self) -> str:
        """Its last line."""
        return self.more[-1] if self.more else self.text

    def add(self, text: str) -> None:
        """Add a line that belongs to it; of many, the first ones, and the one that calls itself the message."""
        if len(self.more) == _MORE and signs.MESSAGE_FIELD.match(text[:LOOKED_AT]):
            self.more.pop()
        if len(self.more) < _MORE:
            self.more.append(text)

    def words(self) -> str:
        """Return it for a person, at most 1 KiB; where not all fits, what explains most."""
        first = self
        while first.caused_by:
            first = first.caused_by
        cause = self.causes[-1] if self.causes else first.text if first is not self else ""
        head = cut(self.text, ERROR_MESSAGE_BYTES * 3 // 4 if cause else ERROR_MESSAGE_BYTES)
        kept = [head]
        caused = f"Caused by: {cause}" if cause else ""
        for line in (caused, self.context, *self.more):
            known = "\n".join(kept)
            message = line.removeprefix("Caused by: ").partition(": ")[2] or line if line == caused else line
            if line and message not in known and len(f"{known}\n{line}".encode()) <= ERROR_MESSAGE_BYTES:
                kept.append(line)
        return "\n".join(dict.fromkeys(line for line in (self.context, head, *self.more, caused) if line in kept))


def _only_sums_up(text: str) -> bool:
    """Return whether a line says that something failed, but not why."""
    if signs.SUMMARY.match(text[:LOOKED_AT]):
        return True
    if len(text) > signs.SHORT:
        return False
    words = text.lower()
    if not any(word in words for word in signs.SUMMARY_WORDS):
        return False
    return bool(signs.SHORT_SUMMARY.match(text))


def _reads_like_an_error(start: str) -> bool:
    """Return whether a line without a level reports an error."""
    if signs.SEVERE.match(start) or signs.OTHER_LANGUAGES.match(start):
        return True
    words = start.lower()
    return words.endswith(signs.TROUBLE_ENDS) or any(sign in words for sign in signs.TROUBLE)


def kind_of(line: Line, text: str) -> Kind:
    """Return what a line is worth by itself."""
    start = text[:LOOKED_AT]
    if line.level in {"warning", "info"}:
        return Kind.NOISE if signs.NOISE.match(start) else Kind.SAYS
    if _only_sums_up(text):
        return Kind.SUMMARY
    if line.level != "error" and signs.HARMLESS.match(start):
        return Kind.SAYS
    if line.level == "error" or _reads_like_an_error(start):
        return Kind.CAUSE
    return Kind.NOISE if signs.NOISE.match(start) else Kind.SAYS


def _alike(before: str, text: str) -> bool:
    """Return whether ``text`` begins like ``before``, or like what stands there behind an exception's name."""
    begin = text[: signs.ALIKE]
    return before[: signs.ALIKE] == begin if len(text) < signs.ALIKE else begin in before[:LOOKED_AT]


@dataclass
class _Reader:
    """Puts together what one program said."""

    reports: list[Report] = field(default_factory=list)
    in_traceback: bool = False
    headed_traceback: bool = False
    in_stack: bool = False
    muted: bool = False
    in_fields: bool = False
    in_group: bool = False
    in_aftermath: bool = False
    after_blank: bool = False
    expects_cause: bool = False
    looked_at: Line | None = None
    kind: Kind = Kind.NOISE
    """What ``looked_at`` is worth by itself."""
    chained: bool | None = None
    """Whether the last exception caused the next; ``None`` where they have nothing to do with each other."""
    context: str = ""

    @property
    def last(self) -> Report | None:
        """The report that lines may belong to."""
        return self.reports[-1] if self.reports else None

    def take(self, line: Line) -> None:
        """Take the next line."""
        text = signs.PADDING.sub("  ", line.text.strip())
        if not text:
            self.after_blank = True
            return
        if self._passed_over(line, text):
            return
        raised = self.in_traceback and line.headed is self.headed_traceback and self._may_be_raised(line.text)
        self.in_traceback = False
        if self._after_the_end(line, text):
            self._begin(Report(text, Kind.NOISE, line.level, line.source, raised=raised))
        elif self._is_one_of_a_group(line, text, raised=raised):
            pass
        elif raised:
            self._begin(Report(text, self._kind_of_raised(text), "error", line.source, raised=True))
        elif not self._belongs(line, text):
            self._begin(Report(text, self._alone(line, text), line.level, line.source))
        self.after_blank = False

    def _may_be_raised(self, text: str) -> bool:
        """Return whether the first line below a stack of Python's is the exception: it may have any name."""
        if text[0].isspace() or not signs.RAISED.match(text[:LOOKED_AT]):
            return False
        return not (self.after_blank and signs.NOISE.match(text[:LOOKED_AT]))

    def _is_one_of_a_group(self, line: Line, text: str, *, raised: bool) -> bool:
        """Return whether the line is a further exception of a group, and enter it with the first one."""
        if not self.in_group or self.chained is not None or not (last := self.last) or last.kind is not Kind.CAUSE:
            return False
        if (
            line.headed
            or self._kind_of_raised(text) is not Kind.CAUSE
            or not (raised or self._alone(line, text) is Kind.CAUSE)
        ):
            return False
        last.add(text)
        return True

    def _alone(self, line: Line, text: str) -> Kind:
        """Return what the line is worth by itself; asked for more than once, it is looked at once."""
        if self.looked_at is not line:
            self.looked_at, self.kind = line, kind_of(line, text)
            if self.kind is Kind.SAYS and self._is_announced(line):
                self.kind = Kind.CAUSE
        return self.kind

    def _is_announced(self, line: Line) -> bool:
        """Return whether the line above says that this one is the reason."""
        last = self.last
        announces = last and last.kind is Kind.SUMMARY and signs.ANNOUNCES.match(last.end[:LOOKED_AT])
        return bool(announces) and not line.headed and not self.after_blank

    def _after_the_end(self, line: Line, text: str) -> bool:
        """Return whether the line tells what went wrong only while the program ended."""
        over = self.last and self.last.raised and self.chained is None and not signs.CAUSED_BY.match(text)
        goes_on = self.in_aftermath and not line.headed and not over
        self.in_aftermath = goes_on or bool(signs.AFTERMATH.match(text[:LOOKED_AT]))
        return self.in_aftermath

    def _kind_of_raised(self, text: str) -> Kind:
        return Kind.SUMMARY if _only_sums_up(text) else Kind.CAUSE

    def _begin(self, report: Report) -> None:
        if self.chained is not None and self.last and report.raised:
            report.caused_by = self.last if self.chained and self.last.kind is Kind.CAUSE else None
        report.context = self.context if report.raised else ""
        self.chained, self.context, self.expects_cause = None, "", False
        self.in_group = bool(signs.GROUP.match(report.text)) or (self.in_group and report.kind is Kind.CAUSE)
        self.reports.append(report)

    def _passed_over(self, line: Line, text: str) -> bool:
        """Return whether the line only tells where in a program something happened, or decorates."""
        return (
            self._of_a_broken_logger(text)
            or self._of_a_traceback(line, text)
            or self._of_a_stack(line, text)
            or self._of_fields(line, text)
            or bool(signs.DECORATION.match(text[:LOOKED_AT]))
        )

    def _of_a_broken_logger(self, text: str) -> bool:
        """Return whether Python's logging only tells that it could not write a line."""
        muted = self.muted or text in {signs.LOGGING_ERROR, signs.LOGGING_ERROR_GOES_ON}
        if muted and not self.muted and text == signs.LOGGING_ERROR_GOES_ON and self.last and self.last.raised:
            self.last.kind = Kind.NOISE  # the log begins in the middle
        self.muted = muted and not text.startswith(signs.LOGGING_ERROR_END)
        return muted

    def _of_a_traceback(self, line: Line, text: str) -> bool:
        start = text[:LOOKED_AT]
        if signs.TRACEBACK.match(start):
            self._enter_traceback(line, text)
        elif self.in_traceback and (line.text[0].isspace() or text[0] in signs.FRAMES_OF_RICH):
            return True
        elif signs.PYTHON_FRAME.match(start):
            self.in_traceback, self.headed_traceback = True, line.headed
        elif text in signs.CHAINS:
            self.chained = signs.CHAINS[text]
        else:
            return False
        return True

    def _of_a_stack(self, line: Line, text: str) -> bool:
        start = line.text[:LOOKED_AT]
        self.in_stack = bool(signs.STACK.match(text[:LOOKED_AT])) or (
            self.in_stack and bool(signs.STACK_LINE.match(start))
        )
        if self.in_stack or not signs.FRAME.match(start):
            return self.in_stack
        self.in_fields = text.endswith(signs.FIELDS_BEGIN)
        self._frame(line)
        return True

    def _of_fields(self, line: Line, text: str) -> bool:
        """Return whether the line is a field of an error of Node's that only repeats or decorates."""
        self.in_fields = self.in_fields and line.text[0].isspace()
        start = text[:LOOKED_AT]
        return self.in_fields and not signs.FIELD_WITH_WORDS.match(start) and not signs.SEVERE.match(start)

    def _enter_traceback(self, line: Line, text: str) -> None:
        before = text.partition("Traceback (most")[0].strip(" |+╭─:")
        if signs.SEVERE.match(before[:LOOKED_AT]) or line.level == "error":
            self._begin(Report(before, Kind.SUMMARY, line.level, line.source))
        last = self.last
        if last and last.level == "error" and not last.raised and not self.after_blank and not last.more:
            self.context = last.text
        self.in_traceback, self.headed_traceback = True, line.headed

    def _frame(self, line: Line) -> None:
        """Take a line of a stack, which makes what stands above it an exception."""
        if not (last := self.last) or last.raised or last.level in {"warning", "info"}:
            return
        last.raised = True
        if self.in_aftermath or (last.kind is Kind.SAYS and self._was_a_message()):
            return
        before = self.reports[-2] if len(self.reports) > 1 else None
        if before and before.level == "error" and not before.raised:
            last.context = before.text
        of_a_logger = line.text.startswith("\tat") and before and before.level in {"warning", "info"}
        if of_a_logger and not last.level and not last.text.startswith("Exception in thread"):
            last.kind = Kind.SAYS  # Java's loggers write the stack of what they have told below it
        elif last.kind is not Kind.SUMMARY:
            last.kind = Kind.CAUSE

    def _lately(self) -> list[Report]:
        """Return the last reports, which may be paragraphs of one message, the last one first."""
        return self.reports[: -_PARAGRAPHS - 1 : -1]

    def _was_a_message(self) -> bool:
        """Return whether the last lines belong to an exception's message of several paragraphs, and enter them."""
        for distance, report in enumerate(self._lately()):
            if report.kind is Kind.CAUSE:
                if report.raised or report.level:
                    return False
                report.raised = True
                report.more += [later.text for later in self.reports[len(self.reports) - distance :]]
                report.more = report.more[:_MORE]
                return True
        return False

    def _belongs(self, line: Line, text: str) -> bool:
        """Return whether the line belongs to the report above it, and enter it there."""
        last = self.last
        if last and self._claims(last, line, text):
            last.add(text)
            return True
        if not last or (line.level and line.level != last.level):
            return False
        if found := signs.CAUSED_BY.match(line.text[:KEPT]):
            return self._cause(last, found["cause"].strip())
        if self.expects_cause and (line.text[0].isspace() or not last.causes):
            last.causes.append(text.partition(": ")[2] if text[0].isdigit() else text)
            return True
        if last.kind is not Kind.CAUSE or not self._continues(last, line, text):
            return False
        if not signs.HEADING.match(text):
            last.add(text)
        return True

    def _claims(self, last: Report, line: Line, text: str) -> bool:
        """Return whether the line only says what could not be done, right below the reason."""
        start = text[:LOOKED_AT]
        if last.kind is not Kind.CAUSE or line.level not in {"", "error"} or not signs.CLAIM.match(start):
            return False
        if signs.ENDING.match(start) and not last.ends:
            return False
        return last.raised or not signs.CLAIM.match(last.text[:LOOKED_AT])

    def _continues(self, last: Report, line: Line, text: str) -> bool:
        """Return whether the line goes on with what ``last`` began: by its form, or since ``last`` asks for more."""
        alone = self._alone(line, text)
        follows = not line.headed and not self.after_blank
        asked = last.asks and not line.headed
        if alone is Kind.NOISE or (alone is Kind.SUMMARY and not last.asks):
            return False
        if (follows and self._is_rest_of(last.end, alone, text)) or self._is_a_part(line, text):
            return True
        if line.inner and not last.vague:
            return alone is not Kind.CAUSE
        if line.inner or asked:
            return alone is not Kind.SUMMARY or (follows and last.asks)
        if not follows or not (last.vague or last.raised):
            return False
        return alone is Kind.SAYS or (last.vague and not signs.SEVERE.match(text[:LOOKED_AT]))

    @staticmethod
    def _is_a_part(line: Line, text: str) -> bool:
        """Return whether the line has the form of a part of an error."""
        return line.text[0].isspace() or bool(signs.CONTINUES.match(text[:LOOKED_AT]))

    @staticmethod
    def _is_rest_of(before: str, alone: Kind, text: str) -> bool:
        """Return whether ``text`` is one error of a database with ``before``, or was wrapped at a terminal's edge."""
        start = text[:LOOKED_AT]
        if signs.DOWNSTREAM.match(start) or _alike(before, text):
            return True
        if signs.CODED.match(start) and signs.CODED.search(before[:LOOKED_AT]):
            return True
        wrapped = len(before) >= signs.WRAPPED_AT and before[-1].isalnum() and text[0].islower()
        return wrapped and alone is Kind.SAYS

    def _cause(self, last: Report, cause: str) -> bool:
        if last.kind is not Kind.CAUSE:
            if not cause:
                return False
            if explained := next((report for report in self._lately() if report.kind is Kind.CAUSE), None):
                explained.causes.append(cause)
                return True
            self._begin(Report(f"Caused by: {cause}", Kind.CAUSE, last.level, last.source, raised=True))
            return True
        self.expects_cause = not cause
        if cause:
            last.causes.append(cause)
        if cause.endswith("Traceback (most recent call last):"):
            last.causes[-1] = cause.partition(": Traceback")[0]
            self.in_traceback, self.headed_traceback = True, False
        return True


def reports(lines: Iterable[Line]) -> list[Report]:
    """Return what ``lines`` report, in the order in which it begins; each program's lines are taken by themselves."""
    readers: dict[str, _Reader] = {}
    found: list[Report] = []
    for line in lines:
        reader = readers.setdefault(line.source, _Reader())
        before = len(reader.reports)
        reader.take(line)
        found += reader.reports[before:]
    return found
