"""Makes rows of a prompt and a completion for scripts/validation/masked.

    rows.py split FOLDER     cuts each text of the validation corpus in the middle: rows.jsonl, heldout-rows.jsonl, row-queries.jsonl,
                             and the same rows with loss on all of their text: unmasked-rows.jsonl
    rows.py scores FOLDER    turns unmasked.npy into the scores that evaluate lds reads: unmasked.json
"""

import array
import json
import pathlib
import struct
import sys

QUERIES_OF_EACH_KIND = 60


def read(path):
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def write(path, rows):
    with open(path, "w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


def row(document):
    words = document["text"].split(" ")
    middle = len(words) // 2
    return {
        "id": document["id"],
        "prompt": " ".join(words[:middle]),
        "completion": " " + " ".join(words[middle:]),
    }


def split(folder):
    rows = [row(document) for document in read(folder / "corpus.jsonl")]
    held_out = [row(document) for document in read(folder / "heldout.jsonl")]
    write(folder / "rows.jsonl", rows)
    # A span around all of a text: such a record is a row, and is cut to the sequence length like a row, not split like a document.
    texts = [(row["id"], row["prompt"] + row["completion"]) for row in rows]
    write(
        folder / "unmasked-rows.jsonl",
        [{"id": name, "text": text, "loss": [{"start": 0, "end": len(text)}]} for name, text in texts])
    write(folder / "heldout-rows.jsonl", held_out)
    queries = []
    for kind, chosen in (("trained", rows), ("heldout", held_out)):
        for chosen_row in chosen[:QUERIES_OF_EACH_KIND]:
            words = chosen_row["completion"].split(" ")
            queries.append({
                "id": f"{kind}/{chosen_row['id']}",
                "prompt": chosen_row["prompt"],
                "completion": " ".join(words[:9]),
            })
    write(folder / "row-queries.jsonl", queries)


def scores(folder):
    ids = [row["id"] for row in read(folder / "rows.jsonl")]
    with open(folder / "unmasked.ids.jsonl", encoding="utf-8") as file:
        if [json.loads(line) for line in file] != ids:
            sys.exit("the corpus does not have one sequence per row, in the rows' order")
    data = (folder / "unmasked.npy").read_bytes()
    start = 10 + struct.unpack("<H", data[8:10])[0]
    numbers = array.array("d")
    numbers.frombytes(data[start:])
    if sys.byteorder == "big":
        numbers.byteswap()
    table = [list(numbers[start : start + len(ids)]) for start in range(0, len(numbers), len(ids))]
    (folder / "unmasked.json").write_text(json.dumps({"name": "ekfac, unmasked", "scores": table}))


{"split": split, "scores": scores}[sys.argv[1]](pathlib.Path(sys.argv[2]))
