"""HTTP as uvicorn speaks it with httptools, but with a limit for what stands before a body."""

from typing import Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MOST_HEAD_BYTES: Final = 128 * 1024
"""Of a request's line and headers, tokens among them."""


class LimitedProtocol(HttpToolsProtocol):
    """A connection whose requests have heads of a bounded size: httptools itself collects whatever comes."""

    _head_bytes = 0
    """How much has come of a head that has not ended, whole chunks counted."""
    _is_in_head = True
    _has_moved_on = False

    def data_received(self, data: bytes) -> None:
        """Take what has come; close the connection if a head does not end."""
        self._has_moved_on = False
        super().data_received(data)
        self._head_bytes = 0 if self._has_moved_on or not self._is_in_head else self._head_bytes + len(data)
        if self._head_bytes > MOST_HEAD_BYTES and not self.transport.is_closing():
            self.send_400_response("The headers are too large.")

    def on_headers_complete(self) -> None:
        """Take notice that a body follows, or the end."""
        self._is_in_head, self._has_moved_on = False, True
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Take notice that the next request follows."""
        self._is_in_head, self._has_moved_on = True, True
        super().on_message_complete()
