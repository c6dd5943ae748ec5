import Foundation

/// Reads the JSON document of an XGBoost model, versions 2 and 3.
struct XGBoostReader {
    let file: String
    let root: ModelValue

    func forest() throws(TreesError) -> Forest {
        let learner = try member(root, "learner")
        let booster = try member(learner, "gradient_booster", in: "learner")
        let path = "learner.gradient_booster"
        let name = try text(booster, "name", in: path)
        guard name == "gbtree" else {
            throw .unsupported(file: file, field: path + ".name", expected: "gbtree", found: name)
        }
        let model = try member(booster, "model", in: path)
        let parameters = try member(learner, "learner_model_param", in: "learner")
        let loss = try loss(learner, parameters)
        if let targets = parameters["num_target"], try whole(targets, "learner.learner_model_param.num_target") > 1 {
            throw .unsupported(
                file: file, field: "learner.learner_model_param.num_target", expected: "1", found: targets.shown)
        }
        let features = try features(
            learner, model,
            count: try whole(
                try member(parameters, "num_feature", in: "learner.learner_model_param"),
                "learner.learner_model_param.num_feature"))
        let hasNames = (try? list(learner["feature_names"] ?? .null, "feature_names").isEmpty) == false
        let trees = try trees(model, outputs: loss.outputs, features: features.count)
        return Forest(
            file: file, library: .xgBoost, version: version, loss: loss, features: features, hasOwnNames: !hasNames,
            trees: trees, base: .values(try base(parameters, loss)), penalty: nil, categoryPenalty: 0)
    }

    private var version: String? {
        guard case .numbers(let parts)? = root["version"] else { return nil }
        return parts.map { "\(Int(exactly: $0) ?? 0)" }.joined(separator: ".")
    }

    private func loss(_ learner: ModelValue, _ parameters: ModelValue) throws(TreesError) -> Loss {
        let objective = try member(learner, "objective", in: "learner")
        let name = try text(objective, "name", in: "learner.objective")
        let weight = objective["reg_loss_param"]?["scale_pos_weight"] ?? .string("1")
        guard try number(weight, "learner.objective.reg_loss_param.scale_pos_weight") == 1 else {
            throw .unsupported(
                file: file, field: "learner.objective.reg_loss_param.scale_pos_weight", expected: "1",
                found: weight.shown)
        }
        let field = "learner.learner_model_param.num_class"
        let classes = try whole(try member(parameters, "num_class", in: "learner.learner_model_param"), field)
        switch name {
        case "reg:squarederror": return .squared
        case "binary:logistic": return .logistic
        case "multi:softmax", "multi:softprob":
            guard TreeLimits.classes.contains(classes) else {
                throw wrong(field, TreeLimits.classes.expected, "\(classes)")
            }
            return .softmax(classes: classes, factor: 2)
        default:
            throw .unsupported(
                file: file, field: "learner.objective.name",
                expected: "reg:squarederror, binary:logistic, multi:softprob or multi:softmax", found: name)
        }
    }

    /// The base scores as raw predictions. The file has a probability for the logistic loss.
    private func base(_ parameters: ModelValue, _ loss: Loss) throws(TreesError) -> [Double] {
        let field = "learner.learner_model_param.base_score"
        let text = try self.text(parameters, "base_score", in: "learner.learner_model_param")
        let parts = text.drop { $0 == "[" }.prefix { $0 != "]" }.split(separator: ",")
        var values: [Double] = []
        for part in parts {
            guard let value = Double(part), value.isFinite else { throw wrong(field, "finite numbers", text) }
            // XGBoost holds it as a Float.
            values.append(Double(Float(value)))
        }
        if values.count == 1, loss.outputs > 1 { values = [Double](repeating: values[0], count: loss.outputs) }
        guard values.count == loss.outputs else { throw wrong(field, "\(loss.outputs) numbers", text) }
        guard loss == .logistic else { return values }
        guard values[0] > 0, values[0] < 1 else { throw wrong(field, "a probability between 0 and 1", text) }
        return [-log(1 / values[0] - 1)]
    }

    private func features(
        _ learner: ModelValue, _ model: ModelValue, count: Int
    ) throws(TreesError) -> [Forest.Feature] {
        guard TreeLimits.features.contains(count) else {
            throw wrong("learner.learner_model_param.num_feature", TreeLimits.features.expected, "\(count)")
        }
        var names: [String] = []
        for name in try list(learner["feature_names"] ?? .numbers([]), "learner.feature_names") {
            guard case .string(let name) = name else { throw wrong("learner.feature_names", "texts", name.shown) }
            names.append(name)
        }
        if names.isEmpty { names = (0..<count).map { "f\($0)" } }
        guard names.count == count else { throw wrong("learner.feature_names", "\(count) names", "\(names.count)") }
        guard Set(names).count == count else { throw wrong("learner.feature_names", "each name once", "one twice") }
        var features = names.map { Forest.Feature(name: $0, categories: nil) }
        let field = "learner.gradient_booster.model.cats.enc"
        let encodings = try list(model["cats"]?["enc"] ?? .numbers([]), field)
        guard encodings.isEmpty || encodings.count == count else {
            throw wrong(field, "\(count) lists of categories", "\(encodings.count)")
        }
        for (index, encoding) in encodings.enumerated() {
            let categories = try categories(encoding, "\(field)[\(index)]")
            if !categories.isEmpty { features[index] = Forest.Feature(name: names[index], categories: categories) }
        }
        return features
    }

    /// The names of categories: texts joined, with the offset of each; or numbers.
    private func categories(_ encoding: ModelValue, _ field: String) throws(TreesError) -> [String] {
        guard let values = encoding["values"] else { return [] }
        let numbers = try numbers(values, field + ".values")
        guard let offsets = encoding["offsets"] else {
            return numbers.map { number in Int(exactly: number).map { "\($0)" } ?? "\(number)" }
        }
        let bounds = try wholes(offsets, field + ".offsets")
        guard !bounds.isEmpty else { return [] }
        guard bounds[0] == 0, bounds.last == numbers.count, zip(bounds, bounds.dropFirst()).allSatisfy({ $0 <= $1 })
        else {
            throw wrong(field + ".offsets", "rising numbers from 0 to \(numbers.count)", "other numbers")
        }
        var bytes: [UInt8] = []
        for number in numbers {
            guard let byte = Int(exactly: number), (-128...255).contains(byte) else {
                throw wrong(field + ".values", "bytes", "\(number)")
            }
            bytes.append(UInt8(truncatingIfNeeded: byte))
        }
        return zip(bounds, bounds.dropFirst()).map { String(decoding: bytes[$0..<$1], as: UTF8.self) }
    }

    // MARK: Trees

    private func trees(_ model: ModelValue, outputs: Int, features: Int) throws(TreesError) -> [Tree] {
        let path = "learner.gradient_booster.model"
        let values = try list(try member(model, "trees", in: path), path + ".trees")
        guard TreeLimits.trees.contains(values.count), values.count.isMultiple(of: outputs) else {
            throw wrong(
                path + ".trees", "a multiple of \(outputs) trees, \(TreeLimits.trees.expected)", "\(values.count)")
        }
        let classes = try wholes(try member(model, "tree_info", in: path), path + ".tree_info")
        guard classes.count == values.count, classes.indices.allSatisfy({ classes[$0] == $0 % outputs }) else {
            throw .unsupported(
                file: file, field: path + ".tree_info", expected: "one tree for each class and iteration",
                found: "another order, as of parallel trees")
        }
        if let parallel = model["gbtree_model_param"]?["num_parallel_tree"] {
            let field = path + ".gbtree_model_param.num_parallel_tree"
            guard try whole(parallel, field) <= 1 else {
                throw .unsupported(file: file, field: field, expected: "1", found: parallel.shown)
            }
        }
        if let starts = model["iteration_indptr"] {
            let found = try wholes(starts, path + ".iteration_indptr")
            guard found == Array(stride(from: 0, through: values.count, by: outputs)) else {
                throw .unsupported(
                    file: file, field: path + ".iteration_indptr", expected: "\(outputs) trees an iteration",
                    found: "other numbers, as of a forest")
            }
        }
        var trees: [Tree] = []
        for (index, value) in values.enumerated() {
            trees.append(try tree(value, "\(path).trees[\(index)]", features: features))
        }
        return trees
    }

    private func tree(_ value: ModelValue, _ path: String, features: Int) throws(TreesError) -> Tree {
        let left = try wholes(try member(value, "left_children", in: path), path + ".left_children")
        let count = left.count
        guard count >= 1, count < 2 * TreeLimits.leaves.upperBound else {
            throw wrong(path + ".left_children", "1 to \(2 * TreeLimits.leaves.upperBound - 1) nodes", "\(count)")
        }
        if let vector = value["tree_param"]?["size_leaf_vector"],
            try whole(vector, path + ".tree_param.size_leaf_vector") > 1
        {
            throw .unsupported(
                file: file, field: path + ".tree_param.size_leaf_vector", expected: "1", found: vector.shown)
        }
        func column(_ name: String) throws(TreesError) -> [Double] {
            let numbers = try numbers(try member(value, name, in: path), "\(path).\(name)")
            guard numbers.count == count else { throw wrong("\(path).\(name)", "\(count) numbers", "\(numbers.count)") }
            return numbers
        }
        func wholeColumn(_ name: String) throws(TreesError) -> [Int] { try whole(try column(name), "\(path).\(name)") }
        let right = try wholeColumn("right_children")
        let splitFeatures = try wholeColumn("split_indices")
        let conditions = try column("split_conditions")
        let defaults = try column("default_left")
        let types = value["split_type"] == nil ? [Int](repeating: 0, count: count) : try wholeColumn("split_type")
        let hessians = try column("sum_hessian")
        let categories = try nodeCategories(value, path, count: count)

        // Splits and leaves get numbers of their own, in the order in which a walk from the root meets the nodes.
        var places = [Int?](repeating: nil, count: count)
        var order: [Int] = []
        var splitCount = 0
        var leafCount = 0
        var pending = [0]
        while let node = pending.popLast() {
            guard (0..<count).contains(node) else {
                throw wrong(path + ".left_children", "numbers of nodes below \(count)", "\(node)")
            }
            guard places[node] == nil else {
                throw wrong(path + ".left_children", "each node once", "node \(node) as a child twice, or of itself")
            }
            order.append(node)
            if left[node] < 0 {
                places[node] = ~leafCount
                leafCount += 1
            } else {
                places[node] = splitCount
                splitCount += 1
                pending += [right[node], left[node]]
            }
        }
        var splits: [Tree.Split] = []
        var leaves: [Double] = []
        var leafHessians: [Double] = []
        for node in order {
            guard left[node] >= 0 else {
                guard conditions[node].isFinite, hessians[node].isFinite else {
                    throw wrong(path + ".split_conditions", "finite numbers", "\(conditions[node])")
                }
                leaves.append(Double(Float(conditions[node])))
                leafHessians.append(Double(Float(hessians[node])))
                continue
            }
            guard (0..<features).contains(splitFeatures[node]) else {
                throw wrong(path + ".split_indices", "numbers from 0 to \(features - 1)", "\(splitFeatures[node])")
            }
            guard let leftNumber = places[left[node]], let rightNumber = places[right[node]] else { continue }
            let rule: Tree.Rule
            switch types[node] {
            case 0:
                guard !conditions[node].isNaN else { throw wrong(path + ".split_conditions", "numbers", "NaN") }
                rule = .below(Float(conditions[node]))
            case 1: rule = .noneOf(categories[node] ?? .sorted([]))
            default: throw wrong(path + ".split_type", "0 or 1", "\(types[node])")
            }
            splits.append(
                Tree.Split(
                    feature: splitFeatures[node], rule: rule, missingGoesLeft: defaults[node] != 0, left: leftNumber,
                    right: rightNumber))
        }
        guard TreeLimits.leaves.contains(leaves.count) else {
            throw wrong(path + ".left_children", "\(TreeLimits.leaves.expected) of leaves", "\(leaves.count)")
        }
        var reason = ""
        let tree = Tree(splits: splits, leafValues: leaves, leafHessians: leafHessians, isFitted: true, reason: &reason)
        guard let tree else { throw wrong(path + ".left_children", "a tree", reason) }
        return tree
    }

    /// The categories of each categorical split, by its node.
    private func nodeCategories(_ value: ModelValue, _ path: String, count: Int) throws(TreesError) -> [Int: Categories]
    {
        guard let nodes = value["categories_nodes"] else { return [:] }
        let numbers = try wholes(nodes, path + ".categories_nodes")
        guard !numbers.isEmpty else { return [:] }
        let segments = try wholes(try member(value, "categories_segments", in: path), path + ".categories_segments")
        let sizes = try wholes(try member(value, "categories_sizes", in: path), path + ".categories_sizes")
        let all = try wholes(try member(value, "categories", in: path), path + ".categories")
        guard segments.count == numbers.count, sizes.count == numbers.count else {
            throw wrong(path + ".categories_sizes", "\(numbers.count) numbers", "\(sizes.count) and \(segments.count)")
        }
        var sets: [Int: Categories] = [:]
        var end = 0
        for (index, node) in numbers.enumerated() {
            let (start, size) = (segments[index], sizes[index])
            guard (0..<count).contains(node), start == end, size >= 0, size <= all.count - start else {
                throw wrong(
                    path + ".categories_segments", "segments of \(all.count) categories, one after the other",
                    "\(start) and \(size)")
            }
            end = start + size
            let members = all[start..<end]
            guard members.allSatisfy({ $0 >= 0 }), sets.updateValue(.sorted(members.sorted()), forKey: node) == nil
            else {
                throw wrong(path + ".categories", "categories from 0, and each node once", "others")
            }
        }
        return sets
    }

    // MARK: Fields

    private func wrong(_ field: String, _ expected: String, _ found: String) -> TreesError {
        .malformed(file: file, line: nil, field: field, expected: expected, found: String(found.prefix(120)))
    }

    private func member(_ value: ModelValue, _ name: String, in path: String = "") throws(TreesError) -> ModelValue {
        guard let member = value[name] else {
            throw wrong(
                path.isEmpty ? name : path + "." + name, "this field",
                "none: the file is not an XGBoost model, or cut short")
        }
        return member
    }

    private func text(_ value: ModelValue, _ name: String, in path: String) throws(TreesError) -> String {
        let value = try member(value, name, in: path)
        guard case .string(let text) = value else { throw wrong(path + "." + name, "a text", value.shown) }
        return text
    }

    /// A number, which the library's parameters have as text.
    private func number(_ value: ModelValue, _ field: String) throws(TreesError) -> Double {
        switch value {
        case .number(let number): return number
        case .string(let text):
            guard let number = Double(text) else { throw wrong(field, "a number", value.shown) }
            return number
        default: throw wrong(field, "a number", value.shown)
        }
    }

    private func whole(_ value: ModelValue, _ field: String) throws(TreesError) -> Int {
        let number = try number(value, field)
        guard let whole = Int(exactly: number), (0..<1 << 31).contains(whole) else {
            throw wrong(field, "a whole number from 0", value.shown)
        }
        return whole
    }

    private func list(_ value: ModelValue, _ field: String) throws(TreesError) -> [ModelValue] {
        switch value {
        case .array(let elements): return elements
        case .numbers(let numbers): return numbers.map { .number($0) }
        default: throw wrong(field, "a list", value.shown)
        }
    }

    private func numbers(_ value: ModelValue, _ field: String) throws(TreesError) -> [Double] {
        switch value {
        case .numbers(let numbers): return numbers
        case .array(let elements):
            // Older versions write booleans for default_left.
            var numbers: [Double] = []
            for element in elements {
                switch element {
                case .boolean(let value): numbers.append(value ? 1 : 0)
                case .number(let value): numbers.append(value)
                default: throw wrong(field, "numbers", element.shown)
                }
            }
            return numbers
        default: throw wrong(field, "a list of numbers", value.shown)
        }
    }

    private func wholes(_ value: ModelValue, _ field: String) throws(TreesError) -> [Int] {
        try whole(try numbers(value, field), field)
    }

    private func whole(_ numbers: [Double], _ field: String) throws(TreesError) -> [Int] {
        var wholes: [Int] = []
        wholes.reserveCapacity(numbers.count)
        for number in numbers {
            guard let whole = Int(exactly: number), (-(1 << 40)...1 << 40).contains(whole) else {
                throw wrong(field, "whole numbers", "\(number)")
            }
            wholes.append(whole)
        }
        return wholes
    }
}
