"""The server keeps what its OpenAPI document says: `python tests/proofs/schema.py [EXAMPLES] [OPTION ...]`.

schemathesis reads the document, sends what it allows and what it forbids, and compares the answers with it.
"""

import subprocess
import sys

from processes import ENVIRONMENT, HERE, environment, say, shop, workshop

_PACKAGE = "schemathesis==4.32.5"
_EXAMPLES = "20"
"""Requests of each kind to each operation."""
_SAME = ("--seed", "1", "--phases", "examples,coverage,fuzzing")
"""The same requests each time, as long as the document is the same. Sequences of requests are left out: they hold ids
that the server makes up. With an option of one's own, they are tried too: `schema.py 60 --seed 7`."""


def prove(examples: str = _EXAMPLES, *options: str) -> bool:
    """Look for a request that the server answers otherwise than it says; whether there is none."""
    with workshop() as folder, shop() as (url, key):
        say(f"The OpenAPI document, by {_PACKAGE}:")
        python = environment(folder / "schemathesis", _PACKAGE)
        document = f"{url.removesuffix('/v1')}/openapi.json"
        command = [python.with_name("schemathesis"), "run", document, "--header", f"Authorization: Bearer {key}"]
        hooks = {"SCHEMATHESIS_HOOKS": "not_in_a_schema", "PYTHONPATH": str(HERE)}
        done = subprocess.run(
            [*command, "--max-examples", examples, *(options or _SAME)], cwd=folder, env=ENVIRONMENT | hooks
        )
        return done.returncode == 0


if __name__ == "__main__":
    sys.exit(not prove(*sys.argv[1:]))
