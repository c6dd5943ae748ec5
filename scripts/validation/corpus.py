"""Writes the validation corpus and its queries into a folder: corpus.jsonl, heldout.jsonl, queries.jsonl, and every sixth query again in
twenty-queries.jsonl, for slow studies. All are taken from the embedded model's corpus.

The texts are short English openings of Wikipedia articles on three topics (CC BY-SA 4.0, see
Sources/tributary/Resources/default/NOTICE.md). Half of the queries are from documents of the corpus, and half from documents that are
held out: the prompt is the first part of the text, and the completion is the words that follow.
"""

import gzip
import hashlib
import json
import pathlib
import sys

SOURCE = pathlib.Path(__file__).parents[2] / "Sources/tributary/Resources/default/corpus.jsonl.gz"
TOPICS = {"Geography", "Biology and health sciences", "Physical sciences"}
WORDS = range(15, 43)
HELD_OUT = 60
QUERIES_OF_EACH_KIND = 60


def documents():
    for line in gzip.open(SOURCE, "rt", encoding="utf-8"):
        document = json.loads(line)
        metadata = document["metadata"]
        if metadata["language"] == "en" and metadata["topic"] in TOPICS and len(document["text"].split()) in WORDS:
            yield document


def query(document, kind):
    words = document["text"].split(" ")
    start = len(words) // 2
    end = min(start + 8, len(words))
    return {
        "id": f"{kind}/{document['id']}",
        "prompt": " ".join(words[:start]),
        "completion": " " + " ".join(words[start:end]),
    }


def write(path, rows):
    with open(path, "w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


def main(folder):
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    # An order that has nothing to do with the texts, and is the same everywhere.
    ordered = sorted(documents(), key=lambda document: hashlib.sha256(document["id"].encode()).hexdigest())
    held_out, corpus = ordered[:HELD_OUT], ordered[HELD_OUT:]
    write(folder / "corpus.jsonl", corpus)
    write(folder / "heldout.jsonl", held_out)
    queries = [query(document, "trained") for document in corpus[:QUERIES_OF_EACH_KIND]]
    queries += [query(document, "heldout") for document in held_out[:QUERIES_OF_EACH_KIND]]
    write(folder / "queries.jsonl", queries)
    write(folder / "twenty-queries.jsonl", queries[::6])
    words = sum(len(document["text"].split()) for document in corpus)
    print(f"{len(corpus)} documents, {words} words, {len(queries)} queries", file=sys.stderr)


main(sys.argv[1])
