import Testing

@testable import InfluenceService

@Suite("A table as CSV")
struct CSVTableTests {
    @Test(
        "puts an apostrophe before texts that a spreadsheet would run, and before no other",
        arguments: [
            ("=1+1", "'=1+1"), ("+a", "'+a"), ("-2.5", "'-2.5"), ("@SUM(A1)", "'@SUM(A1)"), ("\t=1", "'\t=1"),
            ("\r=1", "\"'\r=1\""), ("\n=1", "\"'\n=1\""), ("=a,\"b\"", "\"'=a,\"\"b\"\"\""), ("'=1", "''=1"),
            ("'tis", "'tis"), ("a=1", "a=1"), (" =1", " =1"), ("", ""), ("'", "'"), ("a\r\nb", "\"a\r\nb\""),
            ("\"\u{301}", "\"\"\"\u{301}\""),
        ])
    func texts(text: String, field: String) {
        let lines = CSVTable.line([.value("score"), .value("text")]) + CSVTable.line([.value("-2.5"), .text(text)])
        #expect(Array(lines.utf8) == Array("score,text\r\n-2.5,\(field)\r\n".utf8))
    }

    @Test("has nothing between commas where there is nothing")
    func nothing() {
        let lines =
            CSVTable.line(["a", "b", "c"].map(CSVTable.Cell.value))
            + CSVTable.line([.text(String?.none), .empty, .value("1")])
        #expect(lines == "a,b,c\r\n,,1\r\n")
    }
}
