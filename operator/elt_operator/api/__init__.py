"""The Jobs API over HTTP: reads from a cache of its own, writes with the token of whoever asks."""
