import Foundation
import JSON
import Testing

@testable import Tokenizer

@Suite("The language of chat templates")
struct TemplateLanguageTests {
    private static let message = ChatMessage(role: "user", content: "Hi")

    private func text(
        _ source: String, variables: [JSONTree.Member] = [], limits: ChatTemplateLimits = ChatTemplateLimits()
    ) throws -> String {
        var options = ChatTemplate.Options()
        options.variables = variables
        options.now = ChatTemplateFixture.now
        return try ChatTemplate(source, origin: "t", limits: limits).text(of: [Self.message], options)
    }

    private func error(_ source: String, limits: ChatTemplateLimits = ChatTemplateLimits()) -> ChatTemplateError? {
        do {
            _ = try text(source, limits: limits)
            return nil
        } catch {
            return error as? ChatTemplateError
        }
    }

    @Test("writes what Jinja writes, and fails where it fails", arguments: ChatTemplateFixture.shared.small)
    func small(entry: ChatTemplateFixture.Small) throws {
        guard let expected = entry.text else {
            #expect(throws: ChatTemplateError.self) {
                try text(entry.template, variables: ChatTemplateFixture.shared.variables)
            }
            return
        }
        let found = try text(entry.template, variables: ChatTemplateFixture.shared.variables)
        #expect(found.hasSameBytes(as: expected), "found \(found), expected \(expected)")
    }

    @Test("names the construct and the line of what it cannot evaluate")
    func unsupported() {
        #expect(error("a\n\n{% include 'x' %}") == .unsupported(template: "t", line: 3, construct: "{% include %}"))
        #expect(
            error("a\n{{ 1|groupby('x') }}")
                == .unsupported(template: "t", line: 2, construct: "the filter \"groupby\""))
        #expect(error("{% block a %}{% endblock %}") == .unsupported(template: "t", line: 1, construct: "{% block %}"))
        #expect(
            error("{{ range(5)[1:3] }}") == .unsupported(template: "t", line: 1, construct: "a slice of a range"))
        #expect(error("{{ 1 is strange }}") == .unsupported(template: "t", line: 1, construct: "the test \"strange\""))
        #expect(
            error("\n{{ 9223372036854775807 + 1 }}")
                == .unsupported(template: "t", line: 2, construct: "a whole number beyond 64 bits, from \"+\""))
        #expect(
            error("{{ 'x'.encode() }}") == .unsupported(template: "t", line: 1, construct: "the string method encode"))
        #expect(error("{{ -9223372036854775807 - 1 }}") == nil)
        #expect(error("{{ (-9223372036854775807 - 1) // -1 }}") != nil)
        #expect(error("{{ (-9223372036854775807 - 1)|abs }}") != nil)
    }

    @Test("names the line of a mistake in syntax")
    func syntax() {
        #expect(
            error("a\n{{ 1 2 }}")
                == .syntax(template: "t", line: 2, reason: "expected the end of the expression, found a number"))
        #expect(
            error("a\n{% if x %}\n")
                == .syntax(
                    template: "t", line: 2,
                    reason:
                        "the template ends within \"{% if %}\": expected \"{% elif %}\" or \"{% else %}\" or \"{% endif %}\""
                ))
        #expect(
            error("\n\n{% nonsense %}") == .syntax(template: "t", line: 3, reason: "unknown tag \"{% nonsense %}\""))
    }

    @Test("passes on what raise_exception says")
    func raised() {
        #expect(
            error("a\n{{ raise_exception('no ' ~ 1) }}") == .refused(template: "t", line: 2, message: "no 1"))
    }

    @Test(
        "ends with the bound's name, whatever a template does",
        arguments: [
            "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
            "{% set ns = namespace(s='x') %}{% for a in range(100) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}",
            "{% set ns = namespace(s=[1]) %}{% for a in range(100) %}{% set ns.s = ns.s + ns.s %}{% endfor %}",
            "{% set ns = namespace(s='x') %}{% for a in range(100) %}{% set ns.s = ns.s|replace('x', 'xxxx') %}{% endfor %}",
            "{% set ns = namespace(s=[]) %}{% for a in range(99999) %}{% set ns.s = [ns.s] %}{% endfor %}{{ ns.s }}",
            "{% set ns = namespace() %}{% set ns.s = [ns] %}{{ ns }}",
            "{% set ns = namespace() %}{% set ns.s = ns %}{{ ns.s }}",
            "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
            "{% macro m() %}{{ m() }}{{ m() }}{% endmacro %}{{ m() }}",
            "{% macro m(f) %}{{ f(f) }}{% endmacro %}{{ m(m) }}", "{{ 'x' * 99999999999 }}",
            "{{ [1] * 9223372036854775807 }}",
            "{{ '%99999999999d' % 1 }}", "{{ 'x'.center(99999999999) }}", "{{ '{:>99999999999}'.format(1) }}",
            "{{ 'a\\nb'|indent(99999999) }}", "{{ range(99999999) }}",
            "{{ range(0, 9223372036854775807, 9223372036854775806)|list|length }}{{ 1 // 0 }}",
            "{% for a in range(99999) %}{{ 'x' * 9999 }}{% endfor %}",
            "{% for a in range(99999) %}{% set x %}{{ 'x' * 9999 }}{% endset %}{% endfor %}",
            "{{ ('x' * 9999999).split('') }}", "{{ ('x' * 99999)|list|map('replace', 'x', 'y' * 99999)|list|length }}",
            "{% set ns = namespace(s='{}') %}{% for a in range(60) %}{% set ns.s = (ns.s ~ ns.s).format(ns.s, ns.s) %}{% endfor %}",
            "{% for a in range(99999) %}{% set x = ('a ' * 9999).split() %}{% endfor %}",
            "{% for a in range(99999) %}{% set x = 'b' in 'a' * 99999 %}{% endfor %}",
            "{{ [[1] * 999999] * 999999 == [[1] * 999999] * 999999 }}", "{{ ([[1] * 9999] * 9999)|tojson }}",
        ])
    func bounds(source: String) throws {
        #expect(throws: ChatTemplateError.self) { try text(source) }
    }

    @Test("bounds the depth of what a template nests")
    func depth() throws {
        for count in [10, 40, 100, 10_000] {
            let sources = [
                "{{ " + String(repeating: "(", count: count) + "1" + String(repeating: ")", count: count) + " }}",
                "{{ " + String(repeating: "[", count: count) + "1" + String(repeating: "]", count: count) + " }}",
                "{{ " + String(repeating: "not ", count: count) + "1 }}",
                "{{ " + String(repeating: "-", count: count) + "1 }}",
                "{{ 1" + String(repeating: "|abs", count: count) + " }}",
                "{{ 1" + String(repeating: " + 1", count: count) + " }}",
                "{{ " + String(repeating: "a if b else ", count: count) + "1 }}",
                "{{ '" + "a" + "'" + String(repeating: "[0]", count: count) + " }}",
                String(repeating: "{% if true %}", count: count) + String(repeating: "{% endif %}", count: count),
                String(repeating: "{% for a in [1] %}", count: count) + String(repeating: "{% endfor %}", count: count),
                "{% set " + String(repeating: "(", count: count) + "a" + String(repeating: ")", count: count)
                    + " = 1 %}",
                "{{ 1" + String(repeating: " ~ 1", count: count) + " }}",
                "{{ 1" + String(repeating: " and 1", count: count) + " }}",
                "{{ x" + String(repeating: "(1", count: count) + String(repeating: ")", count: count) + " }}",
                "{{ x" + String(repeating: "[y", count: count) + String(repeating: "]", count: count) + " }}",
            ]
            for source in sources {
                do {
                    _ = try text(source)
                } catch let error as ChatTemplateError {
                    if count == 10, case .limitExceeded = error { Issue.record("\(source): \(error)") }
                }
            }
        }
        #expect(
            error("{{ " + String(repeating: "(", count: 500) + "1" + String(repeating: ")", count: 500) + " }}").map {
                "\($0)"
            }?.contains("at most") == true)
    }

    @Test("needs no more stack than a thread of Dispatch has")
    func stack() async throws {
        let limits = ChatTemplateLimits()
        let nested =
            String(repeating: "[", count: limits.syntaxDepth - 4) + "f(f)"
            + String(repeating: "]", count: limits.syntaxDepth - 4)
        let source = "{% macro m(f) %}{{ " + nested + " }}{% endmacro %}{{ m(m) }}"
        let chain = "{{ 'a'" + String(repeating: "|upper", count: limits.expressionDepth - 2) + " }}"
        let blocks =
            String(repeating: "{% for a in [1] %}", count: limits.syntaxDepth - 2) + chain
            + String(repeating: "{% endfor %}", count: limits.syntaxDepth - 2)
        let brackets = [("(", ")"), ("x(", ")"), ("x[", "]"), ("{'a': ", "}"), ("(1 if ", " else 2)"), ("x|map(", ")")]
            .map {
                opening, closing in
                "{{ " + String(repeating: opening, count: limits.syntaxDepth - 2) + "1"
                    + String(repeating: closing, count: limits.syntaxDepth - 2) + " }}"
            }
        let ends = await withCheckedContinuation { (continuation: CheckedContinuation<[String], Never>) in
            let thread = Thread {
                continuation.resume(
                    returning: ([source, chain, blocks] + brackets).map { source in
                        do { return try text(source) } catch { return "\(error)" }
                    })
            }
            thread.stackSize = 512 << 10
            thread.start()
        }
        #expect(ends[0].contains("within each other") || ends[0].contains("call each other"))
        #expect(ends[1] == "A")
        // Each is parsed, whether or not its values exist.
        #expect(ends.dropFirst(2).allSatisfy { !$0.contains("at most") }, "\(ends)")
    }

    @Test("never traps on random templates")
    func random() {
        let pieces =
            ChatTemplateFixture.shared.small.map(\.template).flatMap { source in
                source.split(separator: " ", omittingEmptySubsequences: false).map { $0 + " " }
            } + [
                "{{ ", " }}", "{% ", " %}", "(", ")", "[", "]", "|", ".", "-", "9223372036854775807", "loop",
                "{% endfor %}", "{% endif %}",
            ]
        var state: UInt64 = 21
        func next(_ bound: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int((state >> 33) % UInt64(max(1, bound)))
        }
        var limits = ChatTemplateLimits()
        limits.steps = 50_000
        var rendered = 0
        for round in 0..<6_000 {
            var source = ""
            if round % 2 == 0 {
                for _ in 0..<(1 + next(12)) { source += pieces[next(pieces.count)] }
            } else {
                // A template with one part cut out or put elsewhere.
                let whole = Array(
                    ChatTemplateFixture.shared.small[next(ChatTemplateFixture.shared.small.count)].template)
                let start = next(whole.count)
                let end = min(whole.count, start + next(8))
                source = String(whole[..<start] + whole[end...]) + (next(2) == 0 ? String(whole[start..<end]) : "")
            }
            if (try? text(source, variables: ChatTemplateFixture.shared.variables, limits: limits)) != nil {
                rendered += 1
            }
        }
        #expect(rendered > 500)
    }
}
