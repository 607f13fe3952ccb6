"""What becomes of durable appends on a disk that takes a millisecond more to flush?

How much of a durable append is the flush depends on the disk: 0.15 ms on some, 1 ms and more on
most. This asks `append` and `writers` again, in a process whose `fdatasync` returns so much later.
It needs Linux and a C compiler.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.harness import Answer, folder

LATER_US = 1000

_SHIM = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <unistd.h>

int fdatasync(int fd) {
    static int (*flush)(int);
    if (!flush) flush = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    int result = flush(fd);
    usleep(LATER_US);
    return result;
}
"""


def answers() -> Iterator[Answer]:
    with folder() as here:
        found = here / "answers.json"
        command = [sys.executable, "-m", "benchmarks", "append", "writers", "--json", str(found)]
        environment = os.environ | {"LD_PRELOAD": str(_shim(here))}
        subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
        for answer in json.loads(found.read_text())["answers"]:
            del answer["file"]
            if "full" in answer["question"].lower():
                answer["question"] = f"flush + {LATER_US / 1000:g} ms: {answer['question']}"
                yield Answer(**answer)


def _shim(here: Path) -> Path:
    source, library = here / "later.c", here / "later.so"
    source.write_text(_SHIM)
    define = f"-DLATER_US={LATER_US}"
    subprocess.run(["cc", define, "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    return library
