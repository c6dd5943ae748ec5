"""Scores the validation queries with kronfluence (EK-FAC with a sampled Fisher; both factors and scores are kronfluence's), for
`tributary evaluate lds --scores`.

    python kronfluence_scores.py FOLDER > kronfluence.json     (FOLDER from scripts/validation/prepare)

Needs torch, transformers and kronfluence from PyPI; scripts/validation/run installs them. The output has one row per query and one number
per sequence, in the order of the corpus, whose documents are split into sequences as `tributary import` splits them.
"""

import json
import sys
import tempfile
from pathlib import Path

import torch
import transformers
from kronfluence.analyzer import Analyzer, prepare_model
from kronfluence.arguments import FactorArguments, ScoreArguments

sys.path.append(str(Path(__file__).parents[1] / "bench"))
from kronfluence_side import Language, Rows  # noqa: E402

SEQUENCE_LENGTH = 96


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def main() -> None:
    folder = Path(sys.argv[1])
    torch.manual_seed(0)
    transformers.utils.logging.set_verbosity_error()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder / "model")
    model = transformers.AutoModelForCausalLM.from_pretrained(folder / "model", dtype=torch.float32).eval()

    def encode(text: str) -> list[int]:
        return tokenizer.encode(text, add_special_tokens=False)

    train = []
    for document in lines(folder / "corpus.jsonl"):
        tokens = encode(document["text"])
        train += [(tokens[start : start + SEQUENCE_LENGTH], 1) for start in range(0, len(tokens), SEQUENCE_LENGTH)]
    queries = []
    for query in lines(folder / "queries.jsonl"):
        prompt = encode(query["prompt"])
        queries.append((prompt + encode(query["completion"]), len(prompt)))

    modules = [name for name, module in model.named_modules() if ".mlp." in name and hasattr(module, "weight")]
    task = Language(modules)
    analyzer = Analyzer(
        "validation", prepare_model(model, task), task, cpu=True, output_dir=tempfile.mkdtemp(), disable_tqdm=True)
    # One at a time: nothing is padded.
    analyzer.fit_all_factors(
        "f", Rows(train), per_device_batch_size=1,
        factor_args=FactorArguments(strategy="ekfac", use_empirical_fisher=False))
    analyzer.compute_pairwise_scores(
        "s", "f", Rows(queries), Rows(train), per_device_query_batch_size=1, per_device_train_batch_size=1,
        # No damping factor is a tenth of the mean eigenvalue of each layer. All queries are held at once: one sweep for all.
        score_args=ScoreArguments(damping_factor=None, query_gradient_accumulation_steps=len(queries)))
    scores = analyzer.load_pairwise_scores("s")["all_modules"]
    print(json.dumps({"name": "kronfluence", "scores": scores.double().tolist()}))


main()
