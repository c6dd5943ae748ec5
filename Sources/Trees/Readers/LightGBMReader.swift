import JSON

/// Reads the text in which LightGBM saves a model, version 4.
///
/// The file has a head, a block for each tree, and the parameters of the training. Each line of a block is `name=value`; a parameter is
/// `[name: value]`.
struct LightGBMReader {
    private let file: String
    private var lines: [Line] = []
    /// The last line's number, for what is missing.
    private var end = 1

    private struct Line {
        let number: Int
        let text: Substring
    }

    /// The lines of a block by their names.
    private struct Block {
        let line: Int
        var values: [Substring: (text: Substring, line: Int)] = [:]
    }

    init(_ bytes: [UInt8], file: String) throws(TreesError) {
        self.file = file
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw .malformed(file: file, line: nil, field: "the file", expected: "UTF-8", found: "other bytes")
        }
        for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            end = index + 1
            let trimmed = line.last == "\r" ? line.dropLast() : line
            if !trimmed.isEmpty { lines.append(Line(number: end, text: trimmed)) }
        }
    }

    func forest() throws(TreesError) -> Forest {
        var head = Block(line: 1)
        var blocks: [Block] = []
        var parameters = Block(line: end)
        var categories: Substring?
        var isEnded = false
        var hasParameters = false
        var areParametersEnded = false
        for line in lines {
            if hasParameters, !areParametersEnded {
                if line.text == "end of parameters" {
                    areParametersEnded = true
                } else if line.text.first == "[", line.text.last == "]", let colon = line.text.firstIndex(of: ":") {
                    let name = line.text[line.text.index(after: line.text.startIndex)..<colon]
                    parameters.values[name] = (
                        line.text[line.text.index(after: colon)...].dropLast().drop { $0 == " " }, line.number
                    )
                }
            } else if line.text == "parameters:" {
                hasParameters = true
            } else if line.text.hasPrefix("pandas_categorical:") {
                categories = line.text.dropFirst("pandas_categorical:".count)
            } else if line.text == "end of trees" {
                isEnded = true
            } else if !isEnded {
                guard let equals = line.text.firstIndex(of: "=") else {
                    // Words alone, such as "tree" at the start or "average_output", are options of the model.
                    head.values[line.text] = ("", line.number)
                    continue
                }
                let name = line.text[..<equals]
                let value = line.text[line.text.index(after: equals)...]
                if name == "Tree" {
                    guard Int(value) == blocks.count else {
                        throw wrong(line.number, "Tree", "the number \(blocks.count)", value)
                    }
                    guard blocks.count < TreeLimits.trees.upperBound else {
                        throw .tooMany(file: file, what: "trees", limit: TreeLimits.trees.upperBound)
                    }
                    blocks.append(Block(line: line.number))
                } else if let last = blocks.indices.last {
                    guard blocks[last].values.updateValue((value, line.number), forKey: name) == nil else {
                        throw wrong(line.number, String(name), "each name once for a tree", "it twice")
                    }
                } else {
                    head.values[name] = (value, line.number)
                }
            }
        }
        guard isEnded else {
            throw wrong(end, "end of trees", "this line after the last tree", "the end of the file: it is cut short")
        }
        guard hasParameters, areParametersEnded else {
            throw wrong(
                end, "parameters", "the training's parameters, as save_model writes them",
                hasParameters ? "the end of the file: it is cut short" : "none")
        }
        return try forest(head, blocks, parameters, categories)
    }

    private func forest(
        _ head: Block, _ blocks: [Block], _ parameters: Block, _ categories: Substring?
    ) throws(TreesError) -> Forest {
        try refuseOtherBoosters(head, parameters)
        let loss = try loss(head)
        let outputs = loss.outputs
        let perIteration = try whole(head, "num_tree_per_iteration")
        guard perIteration == outputs else {
            throw wrong(head, "num_tree_per_iteration", "\(outputs) for this objective", "\(perIteration)")
        }
        let features = try features(head, categories)
        guard !blocks.isEmpty, blocks.count.isMultiple(of: outputs) else {
            throw wrong(head, "Tree", "a multiple of \(outputs) trees, at least one iteration", "\(blocks.count)")
        }
        let rate = try number(parameters, "learning_rate")
        guard rate.isFinite, rate > 0 else { throw wrong(parameters, "learning_rate", "a number above 0", "\(rate)") }
        let penalty = try number(parameters, "lambda_l2")
        guard penalty.isFinite, penalty >= 0 else {
            throw wrong(parameters, "lambda_l2", "a number from 0", "\(penalty)")
        }
        let categoryPenalty = try number(parameters, "cat_l2")
        guard categoryPenalty.isFinite, categoryPenalty >= 0 else {
            throw wrong(parameters, "cat_l2", "a number from 0", "\(categoryPenalty)")
        }
        var trees: [Tree] = []
        trees.reserveCapacity(blocks.count)
        for (index, block) in blocks.enumerated() {
            var tree = try tree(block, index: index, features: features.count)
            // The first trees' shrinkage became 1 when the base score was added to their leaves.
            if index < outputs { tree.rate = rate }
            trees.append(tree)
        }
        let average = try text(parameters, "boost_from_average")
        return Forest(
            file: file, library: .lightGBM, version: nil, loss: loss, features: features,
            hasOwnNames: features.enumerated().allSatisfy { $1.name == "Column_\($0)" }, trees: trees,
            base: average == "0" || average == "false"
                ? .values([Double](repeating: 0, count: outputs)) : .averageOfLabels,
            penalty: penalty, categoryPenalty: categoryPenalty)
    }

    /// Names what makes the leaves something else than Newton steps on all rows.
    private func refuseOtherBoosters(_ head: Block, _ parameters: Block) throws(TreesError) {
        if head.values["average_output"] != nil {
            throw .unsupported(
                file: file, field: "average_output", expected: "a sum of trees", found: "a random forest")
        }
        let boosting = try text(parameters, "boosting")
        guard boosting == "gbdt" else {
            throw .unsupported(file: file, field: "boosting", expected: "gbdt", found: String(boosting))
        }
        for (name, plain) in Self.plainTexts {
            guard let value = parameters.values[Substring(name)]?.text, value != plain else { continue }
            throw .unsupported(
                file: file, field: name, expected: plain.isEmpty ? "nothing" : plain, found: String(value.prefix(60)))
        }
        for (name, plain) in Self.plainNumbers {
            guard parameters.values[Substring(name)] != nil else { continue }
            let value = try number(parameters, name)
            guard value != plain else { continue }
            throw .unsupported(file: file, field: name, expected: "\(plain)", found: "\(value)")
        }
        let bags = try number(parameters, "bagging_freq") > 0
        for name in ["bagging_fraction", "pos_bagging_fraction", "neg_bagging_fraction"] where bags {
            let value = try number(parameters, name)
            guard value == 1 else {
                throw .unsupported(
                    file: file, field: name, expected: "1 (the rows of each tree are not in the file)",
                    found: "\(value)")
            }
        }
    }

    private static let plainTexts = [
        ("data_sample_strategy", "bagging"), ("weight_column", ""), ("group_column", ""),
    ]
    private static let plainNumbers: [(String, Double)] = [
        ("linear_tree", 0), ("lambda_l1", 0), ("max_delta_step", 0), ("path_smooth", 0), ("use_quantized_grad", 0),
        ("scale_pos_weight", 1), ("is_unbalance", 0), ("sigmoid", 1), ("reg_sqrt", 0),
    ]

    private func loss(_ head: Block) throws(TreesError) -> Loss {
        let objective = try text(head, "objective").split(separator: " ")
        let classes = try whole(head, "num_class")
        switch objective.first {
        case "regression" where objective.count == 1 && classes == 1: return .squared
        case "binary" where objective.dropFirst() == ["sigmoid:1"] && classes == 1: return .logistic
        case "multiclass" where objective.dropFirst() == ["num_class:\(classes)"]:
            guard TreeLimits.classes.contains(classes) else {
                throw wrong(head, "num_class", TreeLimits.classes.expected, "\(classes)")
            }
            return .softmax(classes: classes, factor: Double(classes) / Double(classes - 1))
        default:
            throw .unsupported(
                file: file, field: "objective", expected: "regression, binary sigmoid:1 or multiclass",
                found: String(objective.joined(separator: " ").prefix(60)))
        }
    }

    private func features(_ head: Block, _ categories: Substring?) throws(TreesError) -> [Forest.Feature] {
        let names = try text(head, "feature_names").split(separator: " ")
        let largest = try whole(head, "max_feature_idx")
        guard names.count == largest + 1, TreeLimits.features.contains(names.count) else {
            throw wrong(
                head, "feature_names", "\(largest + 1) names, \(TreeLimits.features.expected)", "\(names.count)")
        }
        guard Set(names).count == names.count else { throw wrong(head, "feature_names", "each name once", "one twice") }
        guard let categories, categories != "null", categories != "[]" else {
            return names.map { Forest.Feature(name: String($0), categories: nil) }
        }
        let ranges = try text(head, "feature_infos").split(separator: " ")
        guard ranges.count == names.count else {
            throw wrong(head, "feature_infos", "\(names.count) ranges", "\(ranges.count)")
        }
        let lists = try self.lists(categories)
        // Numbers have their range in brackets, categories are listed; a feature of one value has neither.
        let categorical = ranges.indices.filter { ranges[$0].first != "[" && ranges[$0] != "none" }
        guard categorical.count == lists.count else {
            throw wrong(
                end, "pandas_categorical", "a list for each of \(categorical.count) categorical features",
                "\(lists.count)")
        }
        var features = names.map { Forest.Feature(name: String($0), categories: nil) }
        for (index, list) in zip(categorical, lists) {
            features[index] = Forest.Feature(name: String(names[index]), categories: list)
        }
        return features
    }

    /// The categories that pandas had, in the order of its numbers.
    private func lists(_ text: Substring) throws(TreesError) -> [[String]] {
        let tree: JSONTree
        do {
            tree = try JSONReader.read(Array(text.utf8))
        } catch {
            throw wrong(end, "pandas_categorical", "a JSON list", "a mistake: \(error.reason)")
        }
        guard case .array(let elements) = tree else { throw wrong(end, "pandas_categorical", "a list", tree.shown) }
        var lists: [[String]] = []
        for element in elements {
            guard case .array(let names) = element else {
                throw wrong(end, "pandas_categorical", "lists", element.shown)
            }
            var list: [String] = []
            for name in names {
                switch name {
                case .string(let text), .number(let text): list.append(text)
                case .boolean(let value): list.append(value ? "true" : "false")
                default: throw wrong(end, "pandas_categorical", "texts and numbers", name.shown)
                }
            }
            lists.append(list)
        }
        return lists
    }

    // MARK: A tree

    private func tree(_ block: Block, index: Int, features: Int) throws(TreesError) -> Tree {
        if try number(block, "is_linear") != 0 {
            throw .unsupported(file: file, field: "is_linear", expected: "0", found: "1: linear trees")
        }
        let leaves = try whole(block, "num_leaves")
        guard TreeLimits.leaves.contains(leaves) else {
            throw wrong(block, "num_leaves", TreeLimits.leaves.expected, "\(leaves)")
        }
        let values = try numbers(block, "leaf_value", count: leaves)
        let rate = try number(block, "shrinkage")
        guard rate.isFinite, rate > 0 else { throw wrong(block, "shrinkage", "a number above 0", "\(rate)") }
        var reason = ""
        guard leaves > 1 else {
            guard let tree = Tree(splits: [], leafValues: values, rate: rate, isFitted: false, reason: &reason) else {
                throw wrong(block, "Tree", "a tree", reason)
            }
            return tree
        }
        let count = leaves - 1
        let splitFeatures = try wholes(block, "split_feature", count: count)
        let thresholds = try numbers(block, "threshold", count: count)
        let decisions = try wholes(block, "decision_type", count: count)
        let left = try wholes(block, "left_child", count: count)
        let right = try wholes(block, "right_child", count: count)
        let categories = try self.categories(block)
        var splits: [Tree.Split] = []
        splits.reserveCapacity(count)
        for split in 0..<count {
            guard (0..<features).contains(splitFeatures[split]) else {
                throw wrong(block, "split_feature", "numbers from 0 to \(features - 1)", "\(splitFeatures[split])")
            }
            let decision = decisions[split]
            guard (0..<16).contains(decision), let missing = Tree.Missing(rawValue: decision >> 2) else {
                throw wrong(block, "decision_type", "numbers from 0 to 11", "\(decision)")
            }
            let rule: Tree.Rule
            if decision & 1 == 1 {
                let threshold = thresholds[split]
                guard let category = Int(exactly: threshold), categories.indices.contains(category) else {
                    throw wrong(block, "threshold", "a categorical split's number below num_cat", "\(threshold)")
                }
                rule = .oneOf(categories[category])
            } else {
                guard !thresholds[split].isNaN else { throw wrong(block, "threshold", "a number", "nan") }
                rule = .atMost(thresholds[split], missing)
            }
            splits.append(
                Tree.Split(
                    feature: splitFeatures[split], rule: rule, missingGoesLeft: decision & 2 == 2, left: left[split],
                    right: right[split]))
        }
        let tree = Tree(
            splits: splits, leafValues: values, leafCounts: try wholes(block, "leaf_count", count: leaves), rate: rate,
            isFitted: true, reason: &reason)
        guard let tree else { throw wrong(block, "left_child", "a tree of \(leaves) leaves", reason) }
        return tree
    }

    private func categories(_ block: Block) throws(TreesError) -> [Categories] {
        let count = try whole(block, "num_cat")
        guard count > 0 else { return [] }
        guard count < TreeLimits.leaves.upperBound else {
            throw wrong(block, "num_cat", "at most \(TreeLimits.leaves.upperBound)", "\(count)")
        }
        let bounds = try wholes(block, "cat_boundaries", count: count + 1)
        let words = try wholes(block, "cat_threshold", count: nil)
        guard bounds[0] == 0, bounds[count] == words.count, zip(bounds, bounds.dropFirst()).allSatisfy({ $0 <= $1 })
        else {
            throw wrong(block, "cat_boundaries", "rising numbers from 0 to \(words.count)", "other numbers")
        }
        var bits: [UInt32] = []
        for word in words {
            guard let exact = UInt32(exactly: word) else {
                throw wrong(block, "cat_threshold", "numbers of 32 bits", "\(word)")
            }
            bits.append(exact)
        }
        return (0..<count).map { .bits(Array(bits[bounds[$0]..<bounds[$0 + 1]])) }
    }

    // MARK: Fields

    private func wrong(_ line: Int, _ field: String, _ expected: String, _ found: some StringProtocol) -> TreesError {
        .malformed(file: file, line: line, field: field, expected: expected, found: String(found.prefix(120)))
    }

    private func wrong(_ block: Block, _ field: String, _ expected: String, _ found: String) -> TreesError {
        wrong(block.values[Substring(field)]?.line ?? block.line, field, expected, found)
    }

    private func text(_ block: Block, _ name: String) throws(TreesError) -> Substring {
        guard let value = block.values[Substring(name)] else {
            throw wrong(block.line, name, "this field", "none: the file is cut short, or not LightGBM's")
        }
        return value.text
    }

    private func number(_ block: Block, _ name: String) throws(TreesError) -> Double {
        let text = try text(block, name)
        guard let value = Double(text) else { throw wrong(block, name, "a number", String(text)) }
        return value
    }

    private func whole(_ block: Block, _ name: String) throws(TreesError) -> Int {
        let text = try text(block, name)
        guard let value = Int(text), value >= 0, value < 1 << 31 else {
            throw wrong(block, name, "a whole number from 0", String(text))
        }
        return value
    }

    private func numbers(_ block: Block, _ name: String, count: Int) throws(TreesError) -> [Double] {
        let parts = try parts(block, name, count: count)
        var values: [Double] = []
        values.reserveCapacity(parts.count)
        for part in parts {
            // Thresholds can be infinite; a leaf's value cannot.
            guard let value = Double(part), value.isFinite || name == "threshold" else {
                throw wrong(block, name, "\(count) finite numbers", String(part))
            }
            values.append(value)
        }
        return values
    }

    private func wholes(_ block: Block, _ name: String, count: Int?) throws(TreesError) -> [Int] {
        var values: [Int] = []
        for part in try parts(block, name, count: count) {
            guard let value = Int(part), (-(1 << 40)...1 << 40).contains(value) else {
                throw wrong(block, name, "whole numbers", String(part))
            }
            values.append(value)
        }
        return values
    }

    private func parts(_ block: Block, _ name: String, count: Int?) throws(TreesError) -> [Substring] {
        let parts = try text(block, name).split(separator: " ")
        guard count == nil || parts.count == count else {
            throw wrong(block, name, "\(count ?? 0) numbers", "\(parts.count)")
        }
        return parts
    }
}
