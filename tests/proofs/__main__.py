"""All proofs that need the package index, one after the other: `python tests/proofs`."""

import sys
import time

import clients
import schema
import sdk
from processes import say

PROOFS = {"the SDK's tests": sdk.prove, "agents of other packages": clients.prove, "the OpenAPI document": schema.prove}


def main() -> int:
    """Run them; the status is 1 if one does not hold."""
    failed = []
    for name, prove in PROOFS.items():
        begun = time.monotonic()
        if not prove():
            failed.append(name)
        say(f"({time.monotonic() - begun:.0f} s)\n")
    say(f"These do not hold: {', '.join(failed)}." if failed else "All proofs hold.")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
