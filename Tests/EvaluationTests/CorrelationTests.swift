import Testing

@testable import Evaluation

@Suite("Correlations")
struct CorrelationTests {
    @Test("are those of a known example")
    func known() throws {
        let x = [1.0, 2, 3, 4, 5]
        let y = [2.0, 1, 4, 3, 50]
        // Σ(x-x̄)(y-ȳ) = 98, Σ(x-x̄)² = 10, Σ(y-ȳ)² = 1810.
        #expect(abs(try #require(Correlation.pearson(x, y)) - 98 / (10.0 * 1_810).squareRoot()) < 1e-12)
        #expect(abs(try #require(Correlation.spearman(x, y)) - 0.8) < 1e-12)
    }

    @Test("give equal values the mean of their ranks")
    func ties() {
        #expect(Correlation.ranks([5, 1, 5, 0]) == [3.5, 2, 3.5, 1])
    }

    @Test("are none of lists that do not vary, or are too short")
    func none() {
        #expect(Correlation.pearson([1, 1, 1], [1, 2, 3]) == nil)
        #expect(Correlation.spearman([1], [2]) == nil)
    }
}
