"""kopf's part: login, watch streams, signals, health. Its handlers feed the cache and decide nothing."""
