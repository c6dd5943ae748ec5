#!/usr/bin/env python3
"""Reports the rank of each factual query's source article by influence, and by plain TF-IDF.

Asks a running server (scripts/demo leaves one running) every query of queries.jsonl against the whole corpus, and prints Markdown tables
with the completion's probability, the model's own completion, and the article's rank by influence and by TF-IDF. Queries of the kind
"fact" ask for what the article says of its subject. Queries of the kind "phrase" ask for a word that follows from the words before it,
whatever the subject.
"""

import argparse
import json
import math
import pathlib
import sys
import time
import urllib.parse
import urllib.request


def post(server: str, path: str, body: object) -> object:
    request = urllib.request.Request(server + path, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as response:
        return json.load(response)


def get(server: str, path: str, **query: object) -> object:
    with urllib.request.urlopen(f"{server}{path}?{urllib.parse.urlencode(query)}") as response:
        return json.load(response)


def rank_of(identifiers: list[str], wanted: set[str]) -> str:
    for rank, identifier in enumerate(identifiers, 1):
        if identifier.split("#")[0] in wanted:
            return str(rank)
    return f"> {len(identifiers)}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--server", default="http://127.0.0.1:8080")
    parser.add_argument("--queries", default=pathlib.Path(__file__).with_name("queries.jsonl"))
    parser.add_argument("--job", help="an earlier job with these queries")
    arguments = parser.parse_args()
    server = arguments.server
    queries = [json.loads(line) for line in open(arguments.queries, encoding="utf-8")]
    body = [
        {
            "id": query["id"],
            "prompt": query["prompt"],
            "completion": query["completion"],
            "candidates": {"prefilter": "all"},
            "top_k": 100,
        }
        for query in queries
    ]
    job = arguments.job or post(server, "/v1/influence", body)["id"]
    while (state := get(server, f"/v1/jobs/{job}"))["status"] in ("queued", "running"):
        progress = state.get("progress") or {}
        print(f"{state.get('stage', 'queued')} {progress.get('done', 0)}/{progress.get('total', 0)}", file=sys.stderr)
        time.sleep(5)
    results = get(server, f"/v1/jobs/{job}/result")["results"]
    found = 0
    for kind in dict.fromkeys(query["kind"] for query in queries):
        rows = [(query, result) for query, result in zip(queries, results) if query["kind"] == kind]
        found += print_table(server, kind, rows)
    print(f"The source article is among the first ten of {found} of all {len(queries)} queries.")


def print_table(server: str, kind: str, rows: list[tuple[dict, dict]]) -> int:
    """Returns how many of the queries have their source article among the first ten."""
    found = 0
    print("| query | p | model's own | source article | influence | TF-IDF | first other article |")
    print("|---|---|---|---|---|---|---|")
    for query, result in rows:
        own = post(server, "/v1/completions", {"prompt": query["prompt"], "max_tokens": 8})["completion"]
        hits = get(server, "/v1/search", q=query["prompt"] + query["completion"], limit=100)
        search = [hit["sequence"]["id"] for hit in hits["hits"]]
        influential = [sequence["id"] for sequence in result["sequences"]]
        rank = rank_of(influential, {query["source_article"]})
        found += rank.isdigit() and int(rank) <= 10
        other = next((name for name in influential if name != query["source_article"]), "")
        probability = math.exp(result["query"]["log_probability"])
        print(
            f"| {query['prompt']} **{query['completion'].strip()}** | {probability:.2f} | "
            f"{own.strip().splitlines()[0] if own.strip() else ''} | {query['source_article']} | {rank} | "
            f"{rank_of(search, {query['source_article']})} | {other} |"
        )
    print(f"\nThe source article is among the first ten of {found} of {len(rows)} queries ({kind}).\n")
    return found


if __name__ == "__main__":
    main()
