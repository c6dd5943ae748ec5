// The explanation of the numbers, in one place.

import { h } from "./dom.js";
import { count, percent, plural, score } from "./format.js";
import { asAsked, draftOf, itemsOf } from "./query.js";
import { link } from "./router.js";

/** What a reader must know to understand a ranking. */
export function howToRead() {
  const entry = (term, ...text) => [h("dt", {}, term), h("dd", {}, ...text)];
  return h("details", { class: "explain" }, h("summary", {}, "How to read this"), h("dl", {},
    entry("Score",
      "How much training on the sequence raised (+) or lowered (−) the completion’s log-probability, in ",
      "nats. It is estimated from the model’s gradients and the curvature of its loss, as a local, linear ",
      "prediction: trust the order more than the size."),
    entry("Per copy",
      "The score divided by the number of training sequences. It estimates the change of the log-probability if ",
      "one more copy of the sequence were in the training set: 0.01 nats are about 1\u202f%. Above 0.1 nats, too ",
      "much for a linear prediction, no percentage is shown."),
    entry("Marked token",
      "Influence comes from the positions where the model learned to predict a token. The mark is on the token ",
      "before the predicted one: a marked “William” says that it mattered to learn what follows ",
      "“William”. Each sequence has its own scale: its strongest token has the full colour."),
    entry("Mostly one token",
      "Nearly all of the influence comes from a single token (“spurious” in the API). Such scores are ",
      "often artefacts of a rare token with a large gradient, and say little about the text. Treat them with ",
      "caution."),
    entry("What becomes likelier",
      "The other way to mark tokens: if the model moves towards the question, which of the sequence’s own ",
      "tokens become likelier? They are what the sequence and the question have in common for the model."),
    entry("Dimmed text",
      "Training took no loss on it: the model read it, and learned to predict only the rest. It can still have ",
      "influence, because the model’s reading of it led to what was predicted later."),
    entry("Layers",
      "The parts of the score that go through each layer; they add up to the score. Expect meaning that is shared ",
      "across languages or wordings in the middle and later blocks, and the wording itself in the first and the ",
      "last.")));
}

/** How the candidates were chosen and what they may miss, by prefilter. */
const lookedAt = {
  tfidf: (others) => "They match the question best by TF-IDF, the words that they share with it. "
    + `The other ${others} were not scored: a translation, a paraphrase or a pattern without these words may be `
    + "among them. ",
  index: (others) => "Their compressed gradients are the most similar to the question’s. "
    + `The other ${others} were not scored: the compression may hide some that belong here. `,
  both: (others) => "They match the question best by compressed gradients and shared words combined. "
    + `The other ${others} were not scored. `,
};

/** What may be missing from the answer, and how to find it. */
export function whatWasLookedAt(result, isOpen) {
  const { selection, considered, corpus_sequences: all } = result.candidates;
  if (selection === "all" || (selection in lookedAt && considered >= all)) {
    return h("p", { class: "scope" },
      `Every one of the ${plural(all, "training sequence")} was scored: nothing was left out.`);
  }
  if (selection === "texts") {
    return h("p", { class: "scope" },
      `The ${plural(considered, "text")} that came with the question, each scored as if it were a training sequence.`);
  }
  if (selection === "ids") {
    return h("p", { class: "scope" },
      `Only the ${plural(considered, "sequence")} named in the question were scored, of ${count(all)}.`);
  }
  const asked = {
    direction: "both", top_k: 20, rank: result.query.parts ? "auto" : 32, rescore: 100, ...result.asked,
    ...asAsked(result.query, result.asked ?? {}),
  };
  const again = (change) => link(["ask"], itemsOf(draftOf({
    ...asked, candidates: { limit: 1000, ...asked.candidates, prefilter: selection, ...change },
  })));
  const bias = result.prefilter_bias;
  return h("details", { open: isOpen || Boolean(bias) },
    h("summary", {}, `${count(considered)} of ${count(all)} sequences were scored`),
    h("p", { class: "scope" },
      lookedAt[selection](count(all - considered)),
      h("a", { href: again({ prefilter: "all", probe: null }) }, "Ask again and score every sequence"),
      ` (about ${Math.max(2, Math.round(all / Math.max(considered, 1)))} times the work)`,
      bias ? "." : [", or ", h("a", { href: again({ probe: 100 }) }, "with a sample of the others"), "."]),
    bias && missed(bias));
}

/** What a random sample says about the sequences that were not scored. */
function missed({ sampled, outside, missed_share: share, missed_share_error: error, would_rank: number, found }) {
  if (sampled === 0) return null;
  return h("div", { class: "missed" },
    h("p", {},
      `Of the ${count(outside)} others, ${count(sampled)} drawn at random `,
      `${sampled === 1 ? "was" : "were"} also scored. `,
      share !== undefined && ["The sequences that were not scored hold an estimated ",
        h("strong", {}, `${percent(share)} ± ${percent(error)}`), " of all positive influence. "],
      number === 0 ? "None of the sample would have been shown here."
        : `${count(number)} of the sample would have been shown here:`),
    number > 0 && h("ol", {
      tabindex: 0, "aria-label": "Sequences of the sample that would have been shown",
    }, found.map((probe) => h("li", {},
      h("span", { class: `value ${probe.score >= 0 ? "positive" : "negative"}` }, score(probe.score)),
      " ", h("bdi", {}, probe.id), h("span", { class: "hint" }, ` at rank ${count(probe.rank)}`,
        probe.source && [", ", h("bdi", {}, probe.source)]),
      h("p", { class: "excerpt", dir: "auto" }, probe.text)))),
    number > found.length && h("p", { class: "hint" }, `and ${count(number - found.length)} more`),
    h("p", { class: "hint" }, "Much of that share is many small scores. What matters is whether some of the sample "
      + "would have been shown. A sample without any of the few strongest sequences gives too low an estimate."));
}
