"""Sets of tools, looked at as data: what is wrong with them, what was agreed on them, what has changed since.

lint(registry)      findings: vague names, untyped parameters, what providers refuse
lock(registry)      tools.lock.json: names, schemas, policies
diff(old, new)      changes: breaking, compatible, or of words only
"""

from .changes import Change, diff, unfit_calls
from .lint import CODES, lint
from .lint_words import Finding
from .lockfile import LOCK_FILE, Lock, dump_lock, load_lock, lock, save_lock

__all__ = [
    "CODES",
    "LOCK_FILE",
    "Change",
    "Finding",
    "Lock",
    "diff",
    "dump_lock",
    "lint",
    "load_lock",
    "lock",
    "save_lock",
    "unfit_calls",
]
