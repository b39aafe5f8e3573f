"""The compiled build: the rooms that decide, compiled by mypyc into a wheel, only where it is asked for.

| file | holds |
|---|---|
| `hatch_hook` | the build hook: `ROUTING_SYNC_COMPILE=1` at the build of a wheel |
| `rooms` | which modules are compiled, and why the others are not |
| `native_values` | the source step: value classes spelt out |
| `compiler` | the copy of the source, mypyc, the C compiler |
| `tree` | the wheel beside the tests, so that they run on it |
| `value_list` | which value classes the source has, for the tests of a tree that has no such source |
| `comparison` | the decisions of the compiled build held against the source's |
"""
