"""What has become of an export."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

KINDS = ("assistant", "thread", "message", "run", "step")


@dataclass(kw_only=True, slots=True)
class Report:
    """What was taken, what was there, and what was left out."""

    taken: Counter[str] = field(default_factory=Counter)
    there: Counter[str] = field(default_factory=Counter)
    """What was there already, and was not touched."""
    changed: Counter[str] = field(default_factory=Counter)
    """What was there, and was overwritten."""
    left: list[str] = field(default_factory=list)
    """What was left out, and why."""
    notes: list[str] = field(default_factory=list)
    """What is not as it was."""

    def lines(self) -> Iterable[str]:
        """The counts, in words."""
        for told, counts in (("taken", self.taken), ("overwritten", self.changed), ("there already", self.there)):
            parts = [f"{counts[kind]:,} {kind}{'' if counts[kind] == 1 else 's'}" for kind in KINDS if counts[kind]]
            if parts:
                yield f"{told}: {', '.join(parts)}"
        if not (self.taken or self.changed):
            yield "nothing has changed"
