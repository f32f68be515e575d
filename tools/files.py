"""Files: listing, reading and searching a folder, and nothing outside it.

`load_tools("files")` gives tools for the process's current directory; `Files("./docs").tools` for any other folder.
The folder comes from the caller; the model only names what is inside. Nothing is ever written.

On POSIX a path is opened name by name, each within the folder before it, and no symbolic link is followed: whoever
changes the tree meanwhile cannot lead the way out. Python has no such means on Windows: there links are refused, and
where the file lies is checked after opening it. A hard link is the file itself and cannot be told apart.
"""

import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath

from agentkit import ToolFailed, tool

_MAX_PATH = 4096
_MAX_READ = 50_000
_MAX_ENTRIES = 500
_MAX_SEARCHED = 5_000
_MAX_SEARCHED_FILE = 1_000_000
_MAX_MATCHES = 100
_MAX_LINE = 200
_BY_NAME = os.open in os.supports_dir_fd and hasattr(os, "O_NOFOLLOW")
"""Whether a name can be opened within an open folder, without following it if it is a link."""


@dataclass(frozen=True)
class Files:
    """Tools for the files in one folder: `Agent(tools=Files("./docs").tools)`.

    A relative root starts from the process's current directory at each call.
    """

    root: str | Path

    @property
    def tools(self) -> list[Callable[..., str]]:
        """What to give to an agent."""
        return [self.list_files, self.read_file, self.find_in_files]

    @tool
    def list_files(self, folder: str = ".") -> str:
        """List what is in a folder: folders end in /, files show their size.

        Args:
            folder: The folder, from the root, such as docs or docs/guide.
        """

    @tool
    def read_file(self, path: str, offset: int = 0) -> str:
        """Read a text file, or the next part of a long one.

        Args:
            path: The file, such as docs/guide.md.
            offset: The byte to start at, for the next part.
        """

    @tool
    def find_in_files(self, text: str, folder: str = ".") -> str:
        """Find the lines that contain some words, in all text files of a folder and the folders in it.

        Args:
            text: The exact words or letters to find.
            folder: Where to search; everywhere if not given.
        """
