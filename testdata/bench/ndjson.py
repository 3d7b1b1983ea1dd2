#!/usr/bin/env python3
"""Writes an index's documents as bodies of bulk updates, or of what makes them, of at most 5 MB each: ndjson.py URL INDEX DIRECTORY [create]."""

import json
import os
import sys
import urllib.request

MAX_BODY = 5 << 20
# What trtperf sets once, when a document is made.
ONCE = {"ts_created", "@timestamp", "b_is_valid", "s_failure_reasons", "b_is_baseline", "b_is_regression", "b_is_post_merge", "b_is_pr_job", "s_branch"}


def ask(url, body):
    request = urllib.request.Request(url, data=json.dumps(body).encode(), headers={"Content-Type": "application/json"}, method="POST")
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def compact(value):
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def documents(url, index):
    ask(f"{url}/{index}/_refresh", {})
    query = {"size": 5000, "sort": [{"s_trtperf_id": "asc"}], "query": {"match_all": {}}}
    while True:
        hits = ask(f"{url}/{index}/_search", query)["hits"]["hits"]
        if not hits:
            return
        yield from hits
        query["search_after"] = hits[-1]["sort"]


def main():
    url, index, directory = sys.argv[1:4]
    create = sys.argv[4:] == ["create"]
    os.makedirs(directory)
    bodies, body = 0, b""

    def write():
        nonlocal bodies, body
        if body:
            with open(os.path.join(directory, f"{bodies:04}"), "wb") as file:
                file.write(body)
            bodies, body = bodies + 1, b""

    for hit in documents(url, index):
        upsert = hit["_source"]
        doc = {k: v for k, v in upsert.items() if k not in ONCE}
        line, what = ("create", upsert) if create else ("update", {"doc": doc, "upsert": upsert})
        lines = (compact({line: {"_id": hit["_id"]}}) + "\n" + compact(what) + "\n").encode()
        if len(body) + len(lines) > MAX_BODY:
            write()
        body += lines
    write()


main()
