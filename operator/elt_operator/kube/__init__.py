"""All I/O: the API client, the cache of snapshots, the work queue, gathering situations and carrying out plans."""
