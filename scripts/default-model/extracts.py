"""Cleans the openings of encyclopaedia articles and cuts them to a few sentences.

The result is plain prose in one line, in characters that take a small tokenizer few tokens.
"""

import re
import unicodedata

# In characters, so that a text is one sequence of at most 128 tokens: measured with the corpus's own 4,096-token
# tokenizer, whose tokens are shorter in French and Spanish.
LONGEST_TEXT = {"en": 340, "fr": 300, "es": 300}
LONGEST_FIRST_SENTENCE = {"en": 410, "fr": 345, "es": 355}

UNIFORM = str.maketrans({
    "\u00a0": " ", "\u2009": " ", "\u202f": " ", "\n": " ", "\t": " ",
    "\u00ad": None, "\u200b": None, "\u200c": None, "\u200d": None, "\u200e": None, "\u200f": None,
    "\u2019": "'", "\u2018": "'", "\u02bc": "'", "\u201c": '"', "\u201d": '"',
    "\u2212": "-", "\u2011": "-", "\u2010": "-",
})  # fmt: skip
READABLE = re.compile(r"[\x20-\x7e¡-ſ–—…€π]*")
UNREADABLE = r"[^\x20-\x7e¡-ſ–—…€π]"
# What is left where the package dropped a formula.
MUTILATED = re.compile(r"[{}\\]|[,:;(]\s*[.]")
ASIDE = re.compile(
    r"pronounced|pronunci|prononc|listen|écouter|escuchar|\bIPA\b|\bAFI\b|\bAPI\b"
    r"|\bsq mi\b|\bmi\b|\bft\b|\bmph\b|\blb\b|\bacres?\b|°F|\binches\b|\bin\b ?\)",
    re.IGNORECASE,
)
ABBREVIATIONS = {
    "st", "ste", "dr", "mr", "mrs", "ms", "jr", "sr", "vs", "no", "mt", "ca", "av", "apr", "ej", "fl", "lit", "ed",
    "vol", "approx", "est", "uu", "ee", "ph", "prof", "gen", "col", "capt", "rev", "hon", "mme", "mlle", "etc",
    "sra", "dra", "op", "cit", "cf", "sp", "spp", "lat", "gr", "ver", "núm", "nº",
}  # fmt: skip


def cleaned(extract: str) -> str:
    """The extract in one line, without spellings in other scripts, pronunciations and converted units in brackets."""
    text = unicodedata.normalize("NFC", extract).translate(UNIFORM)
    text = re.sub(r"\s*\[[^\]]*\]", "", text)
    text = re.sub(rf"(\s*pronun\w+ en \w+:)?\s*([/\\])(?=[^/\\]*{UNREADABLE})[^/\\]{{2,60}}\2", "", text)
    text = re.sub(rf"\s*([—–])(?=[^—–]*{UNREADABLE})[^—–]{{2,120}}\1", "", text)
    bracket = re.compile(r"\s*\(([^()]*)\)")
    kept: list[str] = []

    def reduce(match: re.Match) -> str:
        inside = match.group(1)
        is_language_mark = inside in {"en", "de", "es", "it", "fr", "pt", "ru", "nl", "pl", "ja", "zh", "ca"}
        if not inside.strip(" ,;:/") or not READABLE.fullmatch(inside) or is_language_mark or ASIDE.search(inside):
            return ""
        kept.append(match.group(0))
        return f"\x00{len(kept) - 1}\x01"

    while bracket.search(text):
        text = bracket.sub(reduce, text)
    while "\x00" in text:
        text = re.sub("\x00(\\d+)\x01", lambda match: kept[int(match.group(1))], text)
    text = re.sub(r"(?<=[a-zß-ÿ])\((?=[A-Z])", " (", text)
    text = re.sub(
        r"(^.{,60}?), pronon\w+(?: en \w+)?\s*:?,|, pronunciado:(?=,)|\( (?:en français|audio)[^)]*\)", r"\1", text
    )
    text = re.sub(r"(^.{,60}?)(?: escuchar(?=[ ,])|\s*;(?=\s+(?:fue|es|est|was|is) ))", r"\1", text)
    text = re.sub(r"\s+", " ", text)
    text = re.sub(r"(\s*,)+", ",", text)
    text = re.sub(r"\s+([.)])", r"\1", text)
    text = re.sub(r"\.\.+", ".", text)
    return text.strip()


def sentences(text: str) -> list[str]:
    """Splits at full stops that end a sentence: not those of initials and abbreviations."""
    result, start = [], 0
    for match in re.finditer(r'[.!?]["»)]?\s+(?=["«¿¡(]?\s?[A-ZÀ-ÖØ-Þ0-9])', text):
        word = re.split(r"[\s(\"'-]", text[start : match.start()])[-1]
        is_initial = len(word) == 1 and word.isalpha()
        is_abbreviation = text[match.start()] == "." and (word.lower() in ABBREVIATIONS or "." in word)
        if is_initial or is_abbreviation:
            continue
        result.append(text[start : match.end()].strip())
        start = match.end()
    result.append(text[start:].strip())
    return [sentence for sentence in result if sentence]


COUNTRY = re.compile(
    r"\bis (a|an|the)\b[^.]*\b(country|nation|sovereign state|city-state|island state|kingdom)\b"
    r"|\best (un|une)\b[^.]*\b(pays|État|république|royaume|monarchie)\b"
    r"|\bes (un|una|uno)\b[^.]*\b(país|[Ee]stado|república|nación|monarquía)\b"
)
CAPITAL = re.compile(r"\bcapitale?\b(?! (punishment|letter))")


CLAUSE = re.compile(
    r";|,(?= (?:qui|dont|où|ce qui|ainsi|considéré|connu|il|elle|ils|elles"
    r"|que|cuy|quien|donde|así|considerad|conocid|reconocid|siendo|además"
    r"|which|who|whose|where|with|including|known|considered|and (?:is|was|has|had)|but)\w*\b)"
)


def shortened(sentence: str, limit: int) -> str:
    """The sentence, without its last clauses where it is longer than `limit`; empty where it cannot be cut."""
    if len(sentence) <= limit:
        return sentence
    ends = [match.start() for match in CLAUSE.finditer(sentence) if 100 <= match.start() < limit]
    # An opening bracket or quotation mark left open would show that something is missing.
    ends = [end for end in ends if all(sentence[:end].count(a) == sentence[:end].count(b) for a, b in ("()", "«»"))]
    return sentence[: ends[-1]] + "." if ends else ""


def trimmed(text: str, language: str) -> str:
    """The first sentences; for a country, the one with its capital in second place."""
    limit = LONGEST_TEXT[language]
    parts = sentences(text)
    if not parts or not parts[-1].endswith((".", '."', ".)", "!", "?", ". »")):
        parts = parts[:-1]
    if not parts:
        return ""
    parts[0] = shortened(parts[0], LONGEST_FIRST_SENTENCE[language])
    if not parts[0] or parts[0].count("(") != parts[0].count(")") or re.match(r".{,60} ; de soltera", parts[0]):
        return ""
    if COUNTRY.search(parts[0]) and not CAPITAL.search(parts[0]):
        capital = next((sentence for sentence in parts[1:] if CAPITAL.search(sentence)), None)
        if capital and len(parts[0]) + len(capital) < limit:
            parts = [parts[0], capital] + [sentence for sentence in parts[1:] if sentence is not capital]
    chosen = ""
    for sentence in parts:
        longer = f"{chosen} {sentence}".strip()
        if not READABLE.fullmatch(sentence) or (chosen and len(longer) > limit):
            break
        chosen = longer
    return chosen
