"""A pytest plugin: says what -k expressions select.

It reads {"ids": {function: [id, ...]}, "expressions": [...]} from the file $KEYWORDS_ASK, gives the collected functions those ids, and
writes {"tests": [{"id": node id, "names": [...]}], "answers": [[index, ...] or error text]} to $KEYWORDS_ANSWER.
"""

import json
import os

from _pytest.config import UsageError
from _pytest.mark import KeywordMatcher, _parse_expression


def _ask():
    with open(os.environ["KEYWORDS_ASK"], encoding="utf-8") as f:
        return json.load(f)


def pytest_generate_tests(metafunc):
    ids = _ask()["ids"].get(metafunc.function.__name__)
    if ids:
        metafunc.parametrize("case", range(len(ids)), ids=ids)


def _answer(expression, matchers):
    expression = expression.lstrip()
    if not expression:
        return list(range(len(matchers)))
    try:
        parsed = _parse_expression(expression, "Wrong expression passed to '-k'")
        return [i for i, m in enumerate(matchers) if parsed.evaluate(m)]
    except UsageError as e:
        # pytest 9 has no place for a fault that Python's compiler finds.
        unplaced = ": None: at column 1: " in str(e)
        return ("internal: " if unplaced else "") + str(e)
    except (SyntaxError, ValueError) as e:  # faults that pytest itself does not foresee
        return "internal: " + str(e)


def pytest_collection_modifyitems(items):
    matchers = [KeywordMatcher.from_item(item) for item in items]
    answer = {
        "tests": [{"id": item.nodeid, "names": sorted(m._names)} for item, m in zip(items, matchers)],
        "answers": [_answer(e, matchers) for e in _ask()["expressions"]],
    }
    with open(os.environ["KEYWORDS_ANSWER"], "w", encoding="utf-8") as f:
        json.dump(answer, f)
