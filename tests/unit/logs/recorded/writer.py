"""What wrote the recorded logs: both streams, long lines, NUL, broken UTF-8, and no end at the end."""

import os
import sys
import time

LINES = 170_000
SPECIAL = {
    1_000: b"nothing: \0", 2_000: b"broken: \xff\xfe", 3_000: b"16 KiB: " + b"l" * 16_376,
    4_000: b"long: " + b"m" * 20_000, 5_000: b"a megabyte: " + b"n" * 2**20, 6_000: b"carriage\rreturn", 7_000: b"",
}  # fmt: skip


def lines() -> list[tuple[int, bytes]]:
    """Return stream and text of each line."""
    found = []
    for number in range(LINES):
        text = SPECIAL.get(number % 60_000, b"filler " + b"x" * 180)
        found.append((2 if number % 500 == 499 else 1, b"%07d %s" % (number, text)))
    return found


if __name__ == "__main__":
    rate, begun, written = float(sys.argv[1]) * 1e6, time.monotonic(), 0
    for stream, text in lines()[:-1]:
        os.write(stream, text + b"\n")
        written += len(text) + 1
        if written % 100 == 0:
            time.sleep(max(0.0, begun + written / rate - time.monotonic()))
    os.write(1, lines()[-1][1])
