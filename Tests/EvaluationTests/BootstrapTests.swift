import LinearAlgebra
import Testing

@testable import Evaluation

@Suite("Bootstrap intervals")
struct BootstrapTests {
    @Test("of a mean are as wide as its standard error says")
    func width() throws {
        var generator = SplitMix64(seed: 5)
        let values = (0..<400).map { _ in 3 + Double(generator.nextNormal()) }
        let found = try #require(Bootstrap().mean(of: values))
        // 1.96 standard errors of 1 / √400 to either side.
        #expect(abs(found.high - found.low - 2 * 1.96 / 20) < 0.03)
        #expect(found.low < found.value && found.value < found.high)
        #expect(abs(found.value - 3) < 0.2)
    }

    @Test("are the same for the same seed, and others for another")
    func seeds() {
        let values = [1.0, 2, 5, 9, 4, 3]
        #expect(Bootstrap(seed: 1).mean(of: values) == Bootstrap(seed: 1).mean(of: values))
        #expect(Bootstrap(draws: 50, seed: 1).mean(of: values) != Bootstrap(draws: 50, seed: 2).mean(of: values))
    }

    @Test("hold the mean of the true figure about 95 times in a hundred")
    func coverage() {
        var generator = SplitMix64(seed: 9)
        let held = (0..<200).count { number in
            let values = (0..<60).map { _ in Double(generator.nextNormal()) }
            let found = Bootstrap(draws: 200, seed: UInt64(number)).mean(of: values)
            return found.map { $0.low <= 0 && 0 <= $0.high } ?? false
        }
        #expect((178...200).contains(held))
    }

    @Test("are none of nothing")
    func nothing() {
        #expect(Bootstrap().mean(of: []) == nil)
        #expect(Bootstrap().estimate(over: 3) { _ in nil } == nil)
    }

    @Test("of two kinds of things draw each of them")
    func twoKinds() throws {
        let rows = [0.0, 10]
        let columns = [0.0, 1, 2, 3]
        let found = try #require(
            Bootstrap(draws: 400).estimate(over: 2, 4) { chosenRows, chosenColumns in
                chosenRows.reduce(0) { $0 + rows[$1] } / 2 + chosenColumns.reduce(0) { $0 + columns[$1] } / 4
            })
        #expect(found.value == 6.5)
        #expect(found.low < 2 && found.high > 11)
    }
}
