"""The drift sweep: finds pairs that no event would ever bring back, and repairs them (docs/rules.md, *The sweep*).

| file | holds |
|---|---|
| `drift_sweep` | the rounds of a worker: who sweeps, since when, how far |
| `sweep_run` | one run over the stored pairs, for the rounds and for the verb `sweep` |
| `watermark_report` | each worker's watermark, left in the store |
"""
