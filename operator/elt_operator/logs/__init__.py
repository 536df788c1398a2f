"""The keeper of the logs: it alone touches the store, and through it alone logs are read."""
