import Attribution

// How influence is spread over what was scored, and over what was not.
extension Schema {
    static let scoreDistribution = object(
        "How the scores of all that was scored are distributed, in nats.",
        .required("sequences", integer("How many were scored.", from: 1)),
        .required("mean", number("Their mean.")),
        .required("standard_deviation", number("Their standard deviation.", from: 0)),
        .required(
            "bounds",
            array("The ends of the histogram's bars, ascending; one more than there are bars.", of: number("An end."))),
        .required("counts", array("How many scores each bar has.", of: integer("A count.", from: 0))),
        .optional("power_law", reference(.powerLaw)),
        .optional(
            "shares",
            array(
                "How much of the positive influence the strongest sequences hold, from the smallest part on; a part that is not one "
                    + "whole sequence is left out.",
                of: object(
                    "The strongest sequences.",
                    .required("part", number("The part of what was scored that they are.", over: 0)),
                    .required("sequences", integer("How many they are.", from: 1)),
                    .required("share", number("Their part of the sum of all scores above zero.", from: 0))))))

    static let powerLaw = object(
        "The power law of the strongest proponents (Clauset, Shalizi and Newman 2009), absent where they are too few: from "
            + "`from` on, the density of scores falls as s to the power of minus `exponent`.",
        .required(
            "exponent",
            number(
                "The density's exponent, of the greatest likelihood. The share of scores above s falls with it less 1.",
                over: 1)),
        .required("standard_error", number("The exponent's standard error.", from: 0)),
        .required("from", number("The score at which the tail begins: where the law then fits best.", over: 0)),
        .required("sequences", integer("How many scores are in it.", from: 1)),
        .required(
            "distance",
            number("The largest distance between the tail's cumulative distribution and the law's.", from: 0)))

    static let sourceInfluence = object(
        "The influence of all sequences of one source that were scored.",
        .required("source", string("The source; null for the sequences that have none.").orNull),
        .required("sequences", integer("How many of them were scored.", from: 1)),
        .required("positive", number("The sum of their scores above zero, in nats.", from: 0)),
        .required("negative", number("The sum of their scores below zero.")))

    static let prefilterBias = object(
        "What the choice of candidates has missed, as a random sample of the other sequences tells.",
        .required("sampled", integer("How many were drawn.", from: 0)),
        .required("outside", integer("How many sequences were not chosen.", from: 0)),
        .required("positive_outside", number("The estimated sum of their scores above zero, in nats.", from: 0)),
        .required("positive_outside_error", number("Its standard error.", from: 0)),
        .optional(
            "missed_share",
            number("That sum as a share of all positive influence; absent where there is none.", from: 0)),
        .optional("missed_share_error", number("Its standard error.", from: 0)),
        .required(
            "would_rank", integer("How many of the sample would have been among the sequences returned.", from: 0)),
        .required(
            "found",
            array(
                "The strongest of these, at most \(PrefilterBias.limit).",
                of: object(
                    "A sequence that was not chosen, and would have been returned.",
                    .required("rank", integer("The rank that it would have had.", from: 1)),
                    .required("id", string("Its id.")), .optional("source", string("Where its document is from.")),
                    .required("score", number("Its score, in nats.")),
                    .required("text", string("The beginning of its text."))))))
}
