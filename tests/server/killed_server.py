"""A server that is there to be killed: `python killed_server.py DATABASE` prints its port. Its model never finishes."""

import socket
import sys

import uvicorn
from run_case import WaitingModel

from agentkit.server.app import create_app
from agentkit.server.settings import ServerSettings

if __name__ == "__main__":
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as door:
        door.bind(("127.0.0.1", 0))
        settings = ServerSettings(database=sys.argv[1], models={"*": WaitingModel()})
        server = uvicorn.Server(uvicorn.Config(create_app(settings), log_level="warning", lifespan="on"))
        print(door.getsockname()[1], flush=True)
        server.run([door])
