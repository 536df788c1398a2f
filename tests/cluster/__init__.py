"""The project's own test cluster; ``PYTHONPATH=tests python3 -m cluster --help`` says what it can do.

Only the standard library is used, so it works before any virtual environment exists.
"""
