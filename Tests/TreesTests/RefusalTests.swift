import Foundation
import JSON
import Tables
import Testing

@testable import Trees

@Suite("Models that are no plain boosters")
struct OtherBoosterTests {
    @Test(
        "are refused by the name of their setting",
        arguments: [
            ("lightgbm-dart", "boosting"), ("lightgbm-rf", "average_output"), ("lightgbm-linear", "linear_tree"),
            ("lightgbm-l1", "lambda_l1"), ("lightgbm-bagging", "bagging_fraction"),
            ("lightgbm-goss", "data_sample_strategy"),
            ("lightgbm-poisson", "objective"), ("xgboost-dart", "learner.gradient_booster.name"),
            ("xgboost-linear", "learner.gradient_booster.name"), ("xgboost-poisson", "learner.objective.name"),
            ("xgboost-forest", "learner.gradient_booster.model.gbtree_model_param.num_parallel_tree"),
        ])
    func named(name: String, field: String) throws {
        let error = #expect(throws: TreesError.self) { try TreeFixture.forest("refused/" + name) }
        guard case .unsupported(_, let found, _, _)? = error else {
            Issue.record("\(name): \(String(describing: error))")
            return
        }
        #expect(found == field)
    }

    @Test(
        "are refused by their leaves where the file does not say it",
        arguments: ["lightgbm-weights", "xgboost-weights", "xgboost-l1", "xgboost-subsample"])
    func byLeaves(name: String) throws {
        let forest = try TreeFixture.forest("refused/" + name)
        let table = try TreeFixture.table("refused/\(name)/train.csv", forest)
        let error = #expect(throws: TreesError.self) { try TrainedForest(forest, table: table, rows: "train.csv") }
        guard case .notRebuilt(_, "train.csv", let mismatch)? = error else {
            Issue.record("\(name): \(String(describing: error))")
            return
        }
        #expect(mismatch.residual > 0.01)
    }
}

@Suite("Rows that are not the training rows")
struct OtherRowsTests {
    /// The rows of a fixture, changed.
    private func table(_ name: String, _ change: (inout RowReader.Block) -> Void) throws -> (Forest, LeafTable) {
        let forest = try TreeFixture.forest(name)
        let reader = try RowReader(path: TreeFixture.path(name + "/train.csv"), target: "target", forest: forest)
        var rows = try #require(try reader.next(1_000))
        change(&rows)
        return (forest, try LeafTable.of(rows, forest: forest))
    }

    @Test("are refused: one row less, one changed label, one row more", arguments: TreeFixture.scored)
    func gate(name: String) throws {
        let changes: [(inout RowReader.Block, Int) -> Void] = [
            { rows, features in
                rows.labels.removeLast()
                rows.values.removeLast(features)
            },
            { rows, _ in rows.labels[7] = rows.labels[7] == 0 ? 1 : 0 },
            { rows, features in
                rows.labels.append(rows.labels[3])
                rows.values += rows.values[3 * features..<4 * features]
            },
        ]
        let unchanged = try table(name) { _ in }
        _ = try TrainedForest(unchanged.0, table: unchanged.1, rows: "train.csv")
        for change in changes {
            let features = unchanged.0.features.count
            let (forest, other) = try table(name) { change(&$0, features) }
            let error = #expect(throws: TreesError.self) { try TrainedForest(forest, table: other, rows: "train.csv") }
            guard case .notRebuilt? = error else {
                Issue.record("\(name): \(String(describing: error))")
                continue
            }
        }
    }

    @Test("are refused where one label of a regression is a little off")
    func label() throws {
        for name in ["lightgbm-squared", "xgboost-squared"] {
            let (forest, table) = try table(name) { $0.labels[11] += 5 }
            #expect(throws: TreesError.self) { try TrainedForest(forest, table: table, rows: "train.csv") }
        }
    }

    private func read(_ text: String, _ name: String = "lightgbm-logistic", target: String = "target") throws
        -> LeafTable
    {
        let forest = try TreeFixture.forest(name)
        let file = try TemporaryFile(text)
        return try LeafTable.read(
            RowReader(path: file.path, name: "rows.csv", target: target, forest: forest), forest: forest)
    }

    private var lines: [String] {
        get throws {
            String(decoding: try TreeFixture.bytes("lightgbm-logistic/train.csv"), as: UTF8.self).split(separator: "\n")
                .map(String.init)
        }
    }

    @Test("are refused with the file and the line: text in a number, labels that are not 0 or 1, ragged rows")
    func lineErrors() throws {
        var lines = try lines
        let columns = lines[0].split(separator: ",").map(String.init)
        var fields = lines[3].split(separator: ",", omittingEmptySubsequences: false).map(String.init)
        fields[0] = "tall"
        lines[3] = fields.joined(separator: ",")
        #expect(
            throws: TreesError.badRow(
                file: "rows.csv", row: 3, line: 4, column: columns[0],
                expected: "a number, or nothing for a missing value",
                found: "\"tall\"")
        ) { try read(lines.joined(separator: "\n")) }

        for (label, found) in [
            ("2", "\"2\""), ("0.5", "\"0.5\""), ("", "nothing"), ("yes", "\"yes\""), ("nan", "\"nan\""),
        ] {
            var lines = try self.lines
            lines[5] = lines[5].split(separator: ",").dropLast().joined(separator: ",") + "," + label
            #expect(
                throws: TreesError.badRow(
                    file: "rows.csv", row: 5, line: 6, column: "target", expected: "a label 0 or 1", found: found)
            ) { try read(lines.joined(separator: "\n")) }
        }

        lines = try self.lines
        lines[9] += ",1"
        let error = #expect(throws: TableError.self) { try read(lines.joined(separator: "\n")) }
        guard case .raggedRow("rows.csv", 9, 10, _, _)? = error else {
            Issue.record("\(String(describing: error))")
            return
        }
    }

    @Test("are refused by the name of the column that is missing, and read in any order")
    func columns() throws {
        let lines = try lines
        let columns = lines[0].split(separator: ",").map(String.init)
        let other = [lines[0].replacing(columns[2], with: "other")] + lines.dropFirst()
        #expect(
            throws: TableError.missingColumn(
                file: "rows.csv", column: columns[2], columns: columns.map { $0 == columns[2] ? "other" : $0 })
        ) {
            try read(other.joined(separator: "\n"))
        }
        #expect(throws: TableError.missingColumn(file: "rows.csv", column: "label", columns: columns)) {
            try read(lines.joined(separator: "\n"), target: "label")
        }
        #expect(throws: TreesError.self) { try read(lines.joined(separator: "\n"), target: columns[1]) }

        let reversed = lines.map {
            $0.split(separator: ",", omittingEmptySubsequences: false).reversed().joined(separator: ",")
        }
        let (one, two) = (try read(lines.joined(separator: "\n")), try read(reversed.joined(separator: "\n")))
        #expect(one.blocks[0].leaves == two.blocks[0].leaves)
    }

    @Test("are refused where a label is no class, and where XGBoost did not have a category")
    func classes() throws {
        let softmax = String(decoding: try TreeFixture.bytes("xgboost-mixed-softmax/train.csv"), as: UTF8.self)
        var lines = softmax.split(separator: "\n").map(String.init)
        lines[4] =
            lines[4].split(separator: ",", omittingEmptySubsequences: false).dropLast().joined(separator: ",") + ",3.0"
        #expect(
            throws: TreesError.badRow(
                file: "rows.csv", row: 4, line: 5, column: "target", expected: "a label from 0 to 2", found: "\"3.0\"")
        ) { try read(lines.joined(separator: "\n"), "xgboost-mixed-softmax") }
        lines = softmax.replacing("red", with: "purple").split(separator: "\n").map(String.init)
        let error = #expect(throws: TreesError.self) {
            try read(lines.joined(separator: "\n"), "xgboost-mixed-softmax")
        }
        guard case .badRow(_, _, _, "colour", "a category of the model", "\"purple\"")? = error else {
            Issue.record("\(String(describing: error))")
            return
        }
    }

    @Test("are refused where they are a pickle, or empty")
    func pickle() throws {
        let forest = try TreeFixture.forest("lightgbm-logistic")
        let file = try TemporaryFile("x")
        try Data([0x80, 0x04, 0x95, 0x00]).write(to: URL(fileURLWithPath: file.path))
        #expect(throws: TreesError.self) { try RowReader(path: file.path, target: "target", forest: forest) }
        let header = try lines[0]
        let table = try read(header + "\n")
        #expect(table.rows == 0)
        #expect(throws: TreesError.self) { try TrainedForest(forest, table: table, rows: "rows.csv") }
    }
}

@Suite("Model files")
struct ModelFileTests {
    @Test(
        "are refused where they are cut short, at every length",
        arguments: [
            "lightgbm-mixed-softmax/model.txt", "xgboost-mixed-logistic/model.json", "xgboost-mixed-logistic/model.ubj",
        ])
    func truncated(name: String) throws {
        let bytes = try TreeFixture.bytes(name)
        // LightGBM's text ends with categories and an empty line: what is cut from these is no loss.
        let end =
            name.hasSuffix(".txt")
            ? try #require(bytes.firstRange(of: Array("\npandas_categorical".utf8))).lowerBound - 1 : bytes.count
        for length in stride(from: 0, to: end, by: max(1, end / 400)) {
            #expect(throws: TreesError.self, "\(length)") {
                try ModelReader.read(Array(bytes[..<length]), name: "model")
            }
        }
    }

    @Test(
        "do not end the process, whatever bytes they have",
        arguments: [
            "lightgbm-mixed-logistic/model.txt", "xgboost-mixed-logistic/model.json",
            "xgboost-mixed-logistic/model.ubj",
        ])
    func mutated(name: String) throws {
        let bytes = try TreeFixture.bytes(name)
        let train = name.split(separator: "/")[0] + "/train.csv"
        var state: UInt64 = 0x9e37_79b9
        func next(_ bound: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(state >> 33) % bound
        }
        var read = 0
        for _ in 0..<300 {
            var changed = bytes
            for _ in 0...next(3) {
                changed[next(changed.count)] =
                    next(2) == 0 ? UInt8(next(256)) : Array("0123456789-.eE[]{} ".utf8)[next(19)]
            }
            guard let forest = try? ModelReader.read(changed, name: "model") else { continue }
            read += 1
            if next(4) == 0, let table = try? TreeFixture.table(String(train), forest) {
                _ = try? TrainedForest(forest, table: table, rows: "rows")
            }
        }
        #expect(read > 0 && read < 300)
    }

    @Test(
        "are refused where children are no tree",
        arguments: [
            // A circle, a child twice, a number out of range, an extreme number, text.
            ("left_child", "0 1 2 3 4"), ("left_child", "1 1 1 1 1"), ("right_child", "99 1 2 3 4"),
            ("left_child", "-9223372036854775808 1 2 3 4"), ("right_child", "9223372036854775807 1 2 3 4"),
            ("left_child", "a b c d e"),
            ("split_feature", "8 0 0 0 0"), ("split_feature", "-1 0 0 0 0"), ("decision_type", "99 0 0 0 0"),
            ("num_leaves", "70000"), ("num_leaves", "-3"), ("num_leaves", "0"), ("leaf_value", "nan 1 1 1 1 1"),
            ("threshold", "nan 0 0 0 0"), ("shrinkage", "0"), ("num_cat", "999999999999"),
        ])
    func children(field: String, value: String) throws {
        var lines = String(decoding: try TreeFixture.bytes("lightgbm-logistic/model.txt"), as: UTF8.self)
            .split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        let index = try #require(lines.firstIndex { $0.hasPrefix(field + "=") })
        lines[index] = field + "=" + value
        let error = #expect(throws: TreesError.self) {
            try ModelReader.read(Array(lines.joined(separator: "\n").utf8), name: "model.txt")
        }
        guard case .malformed("model.txt", let line?, _, _, _)? = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(abs(line - index - 1) < 12)
    }

    /// An XGBoost model of one tree with these children.
    private func extreme(left: [Int], right: [Int]) -> [UInt8] {
        let count = left.count
        let zeros = "[" + Array(repeating: "0", count: count).joined(separator: ",") + "]"
        return Array(
            """
            {"learner":{"feature_names":["a"],"gradient_booster":{"name":"gbtree","model":{"tree_info":[0],"trees":[{"left_children":\(left),\
            "right_children":\(right),"split_indices":\(zeros),"split_conditions":\(zeros),"default_left":\(zeros),"sum_hessian":\(zeros)}]}},\
            "learner_model_param":{"base_score":"5E-1","num_class":"0","num_feature":"1"},"objective":{"name":"reg:squarederror"}}}
            """.utf8)
    }

    @Test("of XGBoost are refused where nodes form a circle, are shared, or do not exist")
    func circles() throws {
        _ = try ModelReader.read(extreme(left: [1, -1, -1], right: [2, -1, -1]), name: "m")
        for (left, right) in [
            ([0, -1, -1], [2, -1, -1]), ([1, 0, -1], [2, 2, -1]), ([1, -1, -1], [1, -1, -1]),
            ([7, -1, -1], [2, -1, -1]), ([1, -1, -1], [-5, -1, -1]), ([1, -1], [2]),
        ] {
            #expect(throws: TreesError.self) { try ModelReader.read(extreme(left: left, right: right), name: "m") }
        }
    }

    @Test("can have trees as deep as the number of leaves allows, and no deeper")
    func deep() throws {
        // A chain: every left child is a leaf, every right one the next split.
        func chain(_ splits: Int) -> [UInt8] {
            var (left, right) = ([Int](), [Int]())
            for split in 0..<splits {
                left += [2 * split + 1, -1]
                right += [2 * split + 2, -1]
            }
            return extreme(left: left + [-1], right: right + [-1])
        }
        let forest = try ModelReader.read(chain(60_000), name: "m")
        var rows = RowReader.Block()
        rows.values = [1]
        rows.labels = [1]
        #expect(try LeafTable.of(rows, forest: forest).rows == 1)
        #expect(throws: TreesError.self) { try ModelReader.read(chain(100_000), name: "m") }
    }

    @Test("of other kinds are refused with what they are")
    func foreign() throws {
        for (bytes, word) in [
            ([0x80, 0x04, 0x95, 0x10] as [UInt8], "pickle"), (Array("CBM1".utf8), "CatBoost"),
            (Array("binf".utf8), "binary"), ([], "empty"),
            ([0x50, 0x4b, 0x03, 0x04], "archive"),
        ] {
            let error = #expect(throws: TreesError.self) { try ModelReader.read(bytes, name: "m") }
            #expect(error?.description.contains(word) == true)
        }
        #expect(throws: TreesError.self) { try ModelReader.read(Array("{\"a\": 1}".utf8), name: "m") }
        // Nested beyond the limit, and a length beyond the file.
        #expect(throws: TreesError.self) {
            try ModelReader.read([0x7b, 0x69, 0x01, 0x61] + [UInt8](repeating: 0x5b, count: 100_000), name: "m")
        }
        #expect(throws: TreesError.self) {
            try ModelReader.read(
                [0x7b, 0x69, 0x01, 0x61, 0x5b, 0x24, 0x64, 0x23, 0x4c] + [UInt8](repeating: 0x7f, count: 8), name: "m")
        }
    }
}
