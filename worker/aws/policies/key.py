"""Whether the policy of an encryption key lets SNS deliver to a queue that it encrypts.

SNS needs `kms:GenerateDataKey` and `kms:Decrypt` ("Enable compatibility between event sources from AWS services and
encrypted queues", Amazon SQS Developer Guide). Conditions are not judged: a statement with some counts as a yes.
"""

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Final

import orjson

_NEEDED: Final = ("kms:generatedatakey", "kms:decrypt")
_SNS: Final = "sns.amazonaws.com"


def sns_may_use(policy: str) -> bool:
    """Whether statements of the policy let SNS use the key; a policy that cannot be read lets nobody."""
    try:
        statements = orjson.loads(policy).get("Statement", [])
    except (orjson.JSONDecodeError, AttributeError):
        return False
    listed = statements if isinstance(statements, list) else [statements]
    allowed = [
        str(action).lower()
        for each in listed
        if isinstance(each, Mapping) and each.get("Effect") == "Allow" and _names_sns(each.get("Principal"))
        for action in _listed(each.get("Action"))
    ]
    return all(any(fnmatchcase(needed, action) for action in allowed) for needed in _NEEDED)


def _names_sns(principal: object) -> bool:
    if isinstance(principal, Mapping):
        return _SNS in _listed(principal.get("Service")) or "*" in _listed(principal.get("AWS"))
    return principal == "*"


def _listed(value: object) -> list[object]:
    return value if isinstance(value, list) else [value]
