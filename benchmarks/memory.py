"""How much memory a process has needed."""

import sys


def peak_megabytes() -> float:
    """The most resident memory that this process has had since it began.

    Linux is asked for `VmHWM`: its `ru_maxrss` would count the process that started this one.
    """
    if sys.platform == "linux":
        with open("/proc/self/status", encoding="ascii") as status:
            kilobytes = next(line.split()[1] for line in status if line.startswith("VmHWM:"))
        return int(kilobytes) / 1024
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10
