"""What a benchmark ran on, for its results."""

import importlib.metadata
import os
import pathlib
import platform

# Vector units that decide how fast convolutions can be.
FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "asimd")
PACKAGES = ("tensorflow", "keras", "torch", "numpy")


def describe():
    """Processor, cores, flags that matter and memory."""
    pages, size = (os.sysconf(x) for x in ("SC_PHYS_PAGES", "SC_PAGE_SIZE"))
    cpu = _cpu_information()
    flags = (cpu.get("flags") or cpu.get("Features") or "").split()
    return {
        "cpu": cpu.get("model name") or platform.processor(),
        "cores": os.cpu_count(),
        "flags": [flag for flag in FLAGS if flag in flags],
        "memory_gb": round(pages * size / 2**30, 1),
        "system": platform.system(),
    }


def versions():
    """Versions of Python and of what is timed, None of what is missing."""
    found = {name: _version(name) for name in PACKAGES}
    return {"python": platform.python_version(), **found}


def _version(package):
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _cpu_information():
    """The first processor's lines of Linux's /proc/cpuinfo."""
    path = pathlib.Path("/proc/cpuinfo")
    if not path.exists():
        return {}
    lines = path.read_text().split("\n\n")[0].splitlines()
    pairs = (line.partition(":") for line in lines)
    return {name.strip(): value.strip() for name, _, value in pairs}
