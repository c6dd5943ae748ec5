import LinearAlgebra
import Testing

@Suite("The SplitMix64 generator")
struct SplitMix64Tests {
    @Test("gives the values of the published algorithm")
    func firstValues() {
        var zero = SplitMix64(seed: 0)
        #expect(
            (0..<3).map { _ in zero.next() } == [0xE220_A839_7B1D_CDAF, 0x6E78_9E6A_A1B9_65F4, 0x06C4_5D18_8009_454F])
        var other = SplitMix64(seed: 1_234_567)
        #expect(
            (0..<5).map { _ in other.next() } == [
                6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423,
                4_593_380_528_125_082_431, 16_408_922_859_458_223_821,
            ])
        var largest = SplitMix64(seed: .max)
        #expect(largest.next() != largest.next())
    }

    @Test("gives uniform values from 0 up to but never 1, spread evenly")
    func uniform() {
        var generator = SplitMix64(seed: 1)
        var cells = [Int](repeating: 0, count: 16)
        var sum = 0.0
        for _ in 0..<16_000 {
            let value = generator.nextUniform()
            #expect(value >= 0 && value < 1)
            cells[Int(value * 16)] += 1
            sum += Double(value)
        }
        // Each cell expects 1000 with a deviation of 31; the mean one half with 0.0023.
        #expect(cells.allSatisfy { abs($0 - 1_000) < 155 })
        #expect(abs(sum / 16_000 - 0.5) < 0.012)
    }

    @Test("gives normal values with the moments of a standard normal")
    func normal() {
        var generator = SplitMix64(seed: 2)
        let values = (0..<20_000).map { _ in Double(generator.nextNormal()) }
        func moment(_ power: Int) -> Double {
            values.reduce(0) { sum, value in sum + (0..<power).reduce(1) { product, _ in product * value } } / 20_000
        }
        #expect(values.allSatisfy { $0.isFinite })
        // Five deviations each.
        #expect(abs(moment(1)) < 0.036)
        #expect(abs(moment(2) - 1) < 0.05)
        #expect(abs(moment(3)) < 0.14)
        #expect(abs(moment(4) - 3) < 0.35)
    }

    @Test("gives keyed values that depend on the keys alone, and on each of them and its place")
    func keyed() {
        let value = SplitMix64.uniform(seed: 1, keys: 2, 3)
        #expect(value == SplitMix64.uniform(seed: 1, keys: 2, 3))
        #expect(value != SplitMix64.uniform(seed: 2, keys: 2, 3))
        #expect(value != SplitMix64.uniform(seed: 1, keys: 4, 3))
        #expect(value != SplitMix64.uniform(seed: 1, keys: 2, 4))
        #expect(value != SplitMix64.uniform(seed: 1, keys: 3, 2))
        #expect(value != SplitMix64.uniform(seed: 2, keys: 1, 3))
    }

    @Test("gives keyed values in [0, 1), spread evenly along every key")
    func keyedSpread() {
        let streams: [(UInt64) -> Float] = [
            { SplitMix64.uniform(seed: $0, keys: 5, 6) }, { SplitMix64.uniform(seed: 5, keys: $0, 6) },
            { SplitMix64.uniform(seed: 5, keys: 6, $0) },
        ]
        for stream in streams {
            let values = (0..<4_000).map { stream(UInt64($0)) }
            #expect(values.allSatisfy { $0 >= 0 && $0 < 1 })
            var cells = [Int](repeating: 0, count: 8)
            for value in values { cells[Int(value * 8)] += 1 }
            #expect(cells.allSatisfy { abs($0 - 500) < 110 })
        }
    }
}
