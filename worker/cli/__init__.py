"""The command line: a module for each verb.

| room or file | holds |
|---|---|
| `main`, `verbs` | the console script, and the table of the verbs |
| `run`, `serve`, `doctor`, `provision`, `size`, `healthcheck` | those verbs, and the image's health check |
| `input_files/` | the verbs that read files: captured events, questions, audit lines |
| `history/` | `explain` and `timeline` |
| `letters/` | `dead-letters` and `redrive` |
| `drift/` | `sweep` |
| `terminal`, `standard_output`, `new_file`, `exit_status` | what the verbs share |
"""
