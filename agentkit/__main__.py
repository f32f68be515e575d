"""`python -m agentkit`: the command line."""

from agentkit.cli import main

if __name__ == "__main__":
    main()
