"""The kronfluence side of scripts/bench/sweep. It reads commands from standard input and answers with seconds as JSON.

    python kronfluence_side.py SETTING.json

Reads the same setting as the Swift side. Commands: "scores 8" (8 sequences per batch; queries and the sweep are timed separately),
"fit 8", "memory".
"""

import json
import os
import resource
import sys
import tempfile
import time
from pathlib import Path

import torch
import transformers
from kronfluence.analyzer import Analyzer, prepare_model
from kronfluence.arguments import FactorArguments, ScoreArguments
from kronfluence.score import pairwise
from kronfluence.task import Task
from torch.nn.functional import cross_entropy

UNSCORED = -100


class Language(Task):
    def __init__(self, modules: list[str]) -> None:
        super().__init__()
        self.modules = modules

    def compute_train_loss(self, batch, model, sample=False):
        logits = model(input_ids=batch["input_ids"], use_cache=False).logits[:, :-1].float()
        labels = batch["labels"][:, 1:]
        if sample:
            with torch.no_grad():
                drawn = torch.multinomial(torch.softmax(logits.flatten(0, 1), -1), 1).view_as(labels)
                labels = torch.where(labels == UNSCORED, labels, drawn)
        return cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=UNSCORED, reduction="sum")

    def compute_measurement(self, batch, model):
        return self.compute_train_loss(batch, model)

    def get_influence_tracked_modules(self):
        return self.modules


class Rows(torch.utils.data.Dataset):
    def __init__(self, rows: list[tuple[list[int], int]]) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int):
        tokens, first = self.rows[index]
        return {"input_ids": torch.tensor(tokens), "labels": torch.tensor([UNSCORED] * first + tokens[first:])}


def load(path: str) -> torch.nn.Module:
    place = Path(path)
    if place.suffix == ".gguf":
        return transformers.AutoModelForCausalLM.from_pretrained(place.parent, gguf_file=place.name, dtype=torch.float32)
    return transformers.AutoModelForCausalLM.from_pretrained(place, dtype=torch.float32)


def main() -> None:
    setting = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    threads = int(os.environ.get("OMP_NUM_THREADS", setting["workers"]))
    torch.set_num_threads(threads)
    transformers.utils.logging.set_verbosity_error()
    model = load(setting["model"]).eval()
    modules = [name for name, module in model.named_modules() if ".mlp." in name and hasattr(module, "weight")]
    for module in model.modules():
        if isinstance(module, transformers.pytorch_utils.Conv1D):
            linear = torch.nn.Linear(module.nx, module.nf)
            linear.weight.data, linear.bias.data = module.weight.data.T.contiguous(), module.bias.data
            replace(model, module, linear)
    task = Language(modules)
    model = prepare_model(model, task)
    train = Rows([(row, 1) for row in setting["sequences"]])
    queries = Rows([(query["tokens"], query["completion_start"]) for query in setting["queries"]])
    analyzer = Analyzer("bench", model, task, cpu=True, output_dir=tempfile.mkdtemp(), disable_tqdm=True)
    factor_arguments = FactorArguments(strategy="ekfac", use_empirical_fisher=False)

    dot_products = pairwise.compute_dot_products_with_loader
    spent = {"sweep": 0.0}

    def timed(*arguments, **options):
        start = time.monotonic()
        result = dot_products(*arguments, **options)
        spent["sweep"] += time.monotonic() - start
        return result

    pairwise.compute_dot_products_with_loader = timed

    def fit(batch: int) -> dict:
        seconds = {}
        start = time.monotonic()
        analyzer.fit_covariance_matrices("f", train, per_device_batch_size=batch, factor_args=factor_arguments, overwrite_output_dir=True)
        seconds["covariances"] = time.monotonic() - start
        start = time.monotonic()
        analyzer.perform_eigendecomposition("f", factor_args=factor_arguments, overwrite_output_dir=True)
        seconds["eigendecomposition"] = time.monotonic() - start
        start = time.monotonic()
        analyzer.fit_lambda_matrices("f", train, per_device_batch_size=batch, factor_args=factor_arguments, overwrite_output_dir=True)
        seconds["eigenvalues"] = time.monotonic() - start
        return {"seconds": seconds, "tokens": sum(len(row) for row in setting["sequences"])}

    def scores(batch: int) -> dict:
        # All queries are held at once, so that there is one sweep.
        arguments = ScoreArguments(
            damping_factor=None,
            query_gradient_low_rank=setting["rank"],
            query_gradient_accumulation_steps=len(queries),
        )
        spent["sweep"] = 0.0
        start = time.monotonic()
        analyzer.compute_pairwise_scores(
            "s", "f", queries, train, per_device_query_batch_size=1, per_device_train_batch_size=batch,
            score_args=arguments, overwrite_output_dir=True)
        whole = time.monotonic() - start
        tokens = sum(len(row) for row in setting["sequences"])
        return {"seconds": {"sweep": spent["sweep"], "queries": whole - spent["sweep"]}, "tokens": tokens}

    def memory() -> dict:
        return {"seconds": {}, "peakBytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}

    # Factors that were fitted elsewhere, in its own layout.
    folder = Path(analyzer.factors_output_dir("f"))
    folder.mkdir(parents=True, exist_ok=True)
    for file in Path(setting["factors"]).glob("*.safetensors"):
        (folder / file.name).symlink_to(file.resolve())
    (folder / "factor_arguments.json").write_text(json.dumps(factor_arguments.to_dict()))

    print("ready", flush=True)
    for line in sys.stdin:
        command, *rest = line.split()
        batch = int(rest[0]) if rest else 8
        match command:
            case "scores":
                answer = scores(batch)
            case "fit":
                answer = fit(batch)
            case _:
                answer = memory()
        print(json.dumps(answer), flush=True)


def replace(model: torch.nn.Module, old: torch.nn.Module, new: torch.nn.Module) -> None:
    for module in model.modules():
        for name, child in module.named_children():
            if child is old:
                setattr(module, name, new)


if __name__ == "__main__":
    main()
