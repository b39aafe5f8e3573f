"""The table of the doctor's findings in docs/doctor.md: every code with its severity and its sentence."""

import ast
import inspect

import worker.findings
from worker.findings import FindingCode


def findings_table() -> str:
    """The codes in the order of the class, from the sentence below each one."""
    (described,) = [
        node
        for node in ast.parse(inspect.getsource(worker.findings)).body
        if isinstance(node, ast.ClassDef) and node.name == FindingCode.__name__
    ]
    rows = ["| code | severity | meaning |", "|---|---|---|"]
    for assigned, sentence in zip(described.body, described.body[1:], strict=False):
        if isinstance(assigned, ast.Assign) and isinstance(assigned.targets[0], ast.Name):
            assert isinstance(sentence, ast.Expr)
            code = FindingCode[assigned.targets[0].id]
            meaning = " ".join(str(ast.literal_eval(sentence.value)).split())
            rows.append(f"| `{code.value}` | {code.severity.value} | {meaning} |")
    return "\n".join(rows)
