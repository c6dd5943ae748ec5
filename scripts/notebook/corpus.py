"""Prints part of the embedded corpus: the articles that mention Shakespeare, and other articles up to the given number.

    corpus.py NUMBER > corpus.jsonl
"""

import gzip
import json
import pathlib
import sys

number = int(sys.argv[1])
corpus = pathlib.Path(__file__).resolve().parents[2] / "Sources/tributary/Resources/default/corpus.jsonl.gz"
with gzip.open(corpus, "rt", encoding="utf-8") as file:
    records = [json.loads(line) for line in file]
chosen = [record for record in records if "Shakespeare" in record["text"]][: number // 2]
ids = {record["id"] for record in chosen}
others = [record for record in records if record["id"] not in ids]
chosen += others[:: max(1, len(others) // (number - len(chosen)))][: number - len(chosen)]
for record in chosen:
    print(json.dumps(record, ensure_ascii=False))
