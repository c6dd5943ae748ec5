import LinearAlgebra
import Testing

@testable import Trees

@Suite("Predictions of trees")
struct PredictionTests {
    @Test("equal the library's own", arguments: TreeFixture.scored + TreeFixture.others)
    func raw(name: String) throws {
        let fixture = try TreeFixture(name)
        let trained = try fixture.trained()
        let raw = trained.rawPredictions(fixture.train) + trained.rawPredictions(fixture.tests)
        #expect(raw.distance(from: try fixture.expected("raw")) < 1e-6)
        #expect(trained.largestResidual < 2e-5)
    }

    @Test("are the same from UBJSON as from JSON", arguments: TreeFixture.scored.filter { $0.hasPrefix("xgboost") })
    func binary(name: String) throws {
        let text = try TreeFixture.forest(name)
        let binary = try TreeFixture.forest(name, model: "model.ubj")
        #expect(text.trees == binary.trees)
        #expect(text.base == binary.base)
        #expect(text.features == binary.features)
        #expect(text.loss == binary.loss)
    }

    @Test("have the rate and the penalty that the training had, without their being in XGBoost's files")
    func estimates() throws {
        for (name, rate, penalty) in [
            ("xgboost-squared", 0.17, 2.5), ("xgboost-logistic", 0.3, 1.0), ("xgboost-softmax", 0.3, 1.0),
        ] {
            let trained = try TreeFixture(name).trained()
            #expect(trained.isEstimated)
            #expect(abs(trained.rate - rate) < 1e-6 * rate)
            #expect(abs(trained.penalty - penalty) < 1e-5 * penalty)
        }
        let trained = try TreeFixture("lightgbm-squared").trained()
        #expect(!trained.isEstimated)
        #expect(trained.rate == 0.1)
        #expect(trained.penalty == 0.5)
    }
}

@Suite("The influence of rows on trees")
struct InfluenceTests {
    @Test(
        "by BoostIn equals the derivative through shared leaves, and as published the authors' program",
        arguments: TreeFixture.scored)
    func boostIn(name: String) throws {
        let fixture = try TreeFixture(name)
        let trained = try fixture.trained()
        let exact = try trained.boostIn(on: fixture.tests).flatMap { $0 }
        let published = try trained.boostIn(on: fixture.tests, formula: .published).flatMap { $0 }
        #expect(exact.distance(from: try fixture.expected("boostin")) < 1e-12)
        #expect(published.distance(from: try fixture.expected("boostin_published")) < 1e-12)
        #expect(exact.distance(from: published) > 1e-3)
    }

    @Test(
        "by LeafInfluence equals the derivative through all leaves, and as published the authors' program",
        arguments: TreeFixture.scored)
    func leafInfluence(name: String) throws {
        let fixture = try TreeFixture(name)
        let trained = try fixture.trained()
        let exact = try trained.leafInfluence(on: .rows(fixture.tests)).flatMap { $0 }
        let published = try trained.leafInfluence(on: .rows(fixture.tests), formula: .published).flatMap { $0 }
        #expect(exact.distance(from: try fixture.expected("leafinfluence")) < 1e-6)
        #expect(published.distance(from: try fixture.expected("leafinfluence_published")) < 1e-6)
        if name.contains("softmax") {
            #expect(exact.distance(from: published) > 1e-3)
        } else {
            #expect(exact.distance(from: published) < 1e-12)
        }
    }

    @Test("by LeafRefit equals leaves that are computed again without each row", arguments: TreeFixture.scored)
    func leafRefit(name: String) throws {
        let fixture = try TreeFixture(name)
        let scores = try fixture.trained().leafRefit(on: .rows(fixture.tests)).flatMap { $0 }
        #expect(scores.distance(from: try fixture.expected("leafrefit")) < 1e-9)
    }

    @Test("by TREX equals that of scikit-learn's linear model on the leaves", arguments: TreeFixture.scored)
    func representers(name: String) throws {
        let fixture = try TreeFixture(name)
        let trained = try fixture.trained()
        let scores = try Representers(trained).scores(on: fixture.tests).flatMap { $0 }
        #expect(scores.distance(from: try fixture.expected("trex")) < 1e-6)
        if trained.forest.loss == .squared {
            let exact = try Representers(trained).alphas
            let published = try Representers(trained, formula: .published).alphas
            #expect(published.distance(from: exact.map { $0 / 2 }) < 1e-12)
        }
    }

    @Test(
        "of a row on itself is that on the row as another one",
        arguments: ["lightgbm-logistic", "xgboost-mixed-softmax"])
    func onSelf(name: String) throws {
        let fixture = try TreeFixture(name)
        let trained = try fixture.trained()
        func diagonal(_ scores: [[Double]]) -> [Double] { scores.indices.map { scores[$0][$0] } }
        let boostIn = try trained.boostInOnSelf()
        #expect(boostIn.distance(from: diagonal(try trained.boostIn(on: fixture.train))) < 1e-12)
        let leafInfluence = try trained.leafInfluence(on: .themselves)[0]
        #expect(leafInfluence.distance(from: diagonal(try trained.leafInfluence(on: .rows(fixture.train)))) < 1e-12)
        let leafRefit = try trained.leafRefit(on: .themselves)[0]
        #expect(leafRefit.distance(from: diagonal(try trained.leafRefit(on: .rows(fixture.train)))) < 1e-9)
        let representers = try Representers(trained)
        #expect(
            try representers.scoresOnSelf().distance(from: diagonal(try representers.scores(on: fixture.train))) < 1e-12
        )
    }

    @Test("does not depend on the number of workers")
    func workers() throws {
        let fixture = try TreeFixture("lightgbm-mixed-softmax")
        for count in [1, 3, 5] {
            let workers = Workers(count: count)
            let (one, other) = (try fixture.trained(Workers(count: 2)), try fixture.trained(workers))
            #expect(
                try other.boostIn(on: fixture.tests, workers: workers).flatMap { $0 }
                    .distance(from: one.boostIn(on: fixture.tests, workers: Workers(count: 2)).flatMap { $0 }) < 1e-13)
            #expect(
                try other.leafRefit(on: .rows(fixture.tests), workers: workers).flatMap { $0 }
                    .distance(from: one.leafRefit(on: .rows(fixture.tests), workers: Workers(count: 2)).flatMap { $0 })
                    < 1e-9)
        }
    }

    @Test("does not depend on blocks of rows")
    func blocks() throws {
        // More than one block: the rows many times over are no training rows of a model with counts, but of one without.
        let fixture = try TreeFixture("xgboost-logistic")
        let copies = 2 * LeafTable.blockRows / fixture.train.rows + 1
        let reader = try RowReader(
            path: TreeFixture.path("xgboost-logistic/train.csv"), target: "target", forest: fixture.forest)
        var rows = RowReader.Block()
        let block = try #require(try reader.next(1_000))
        for _ in 0..<copies {
            rows.values += block.values
            rows.labels += block.labels
        }
        let table = try LeafTable.of(rows, forest: fixture.forest)
        #expect(table.blocks.count == 3)
        for row in [0, 89, 90, 2_047, 2_048, 4_100] {
            #expect(table.label(of: row) == fixture.train.label(of: row % 90))
            for tree in fixture.forest.trees.indices {
                #expect(table.leaf(of: row, in: tree) == fixture.train.leaf(of: row % 90, in: tree))
            }
        }
    }
}
