"""Other packages' agents on agentkit's server: `python tests/proofs/clients.py [CLIENT ...]`.

Each comes from the package index into an environment of its own, unchanged, and finds the server by OPENAI_BASE_URL.
Its agent calls two functions in one turn and answers with what they gave.
"""

import subprocess
import sys
from collections.abc import Sequence

from processes import ENVIRONMENT, HERE, environment, say, shop, workshop

CLIENTS = {
    "llama_index": ("llama-index-agent-openai==0.4.12",),
    "autogen": ("autogen-ext[openai]==0.7.5", "autogen-agentchat==0.7.5"),
    "semantic_kernel": ("semantic-kernel==1.36.0", "httpx<0.29"),
}
"""The last versions that speak Assistants; the program of each is clerk_NAME.py."""
_SECONDS = 120


def prove(only: Sequence[str] = ()) -> bool:
    """Run the programs, one after the other; whether all come to their end."""
    done = []
    with workshop() as folder, shop() as (url, key):
        say("Agents of other packages:")
        for name, packages in CLIENTS.items():
            if only and name not in only:
                continue
            say(f"  {name:14} installing {', '.join(packages)}")
            python = environment(folder / name, *packages)
            told = subprocess.run(
                [python, HERE / f"clerk_{name}.py"],
                env=ENVIRONMENT | {"OPENAI_BASE_URL": url, "OPENAI_API_KEY": key},
                cwd=folder,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                encoding="utf-8",
                timeout=_SECONDS,
            )
            done.append(told.returncode == 0)
            say(f"  {name:14} {'two functions in one turn, and the answer' if done[-1] else f'FAILED: {told.stdout}'}")
    return all(done)


if __name__ == "__main__":
    sys.exit(not prove(sys.argv[1:]))
