"""The programs' settings: the only readers of environment variables."""
