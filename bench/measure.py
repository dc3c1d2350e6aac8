"""Runs a program, then adds one JSON line to stderr: exit code, wall and CPU seconds, peak resident memory.

usage: measure.py MEMORY_LIMIT_BYTES PROGRAM [arguments]; the limit is on private memory, 0 means none.
"""
import os
import resource
import sys
import time

limit = int(sys.argv[1])
begin = time.perf_counter()
child = os.fork()
if child == 0:
    if limit > 0:
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    try:
        os.execvp(sys.argv[2], sys.argv[2:])
    except OSError as e:
        print(f"{sys.argv[2]}: {e.strerror}", file=sys.stderr)
        os._exit(127)
_, status, usage = os.wait4(child, 0)
seconds = time.perf_counter() - begin
code = os.waitstatus_to_exitcode(status)
print(f'\n{{"exit": {code}, "seconds": {seconds:.6f}, "cpu_seconds": {usage.ru_utime + usage.ru_stime:.6f}, '
      f'"peak_bytes": {usage.ru_maxrss * 1024}}}', file=sys.stderr)
