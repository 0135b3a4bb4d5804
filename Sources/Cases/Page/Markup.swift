/// A piece of well-formed HTML. What is put into it as text is escaped, so that no name or message can become markup.
struct Markup: ExpressibleByStringInterpolation, Equatable {
    /// The markup.
    private(set) var source: String

    /// Markup as written in this program.
    init(stringLiteral source: String) { self.source = source }

    init(stringInterpolation: StringInterpolation) { source = stringInterpolation.source }

    /// Pieces one after the other.
    init(_ parts: [Markup]) { source = parts.map(\.source).joined(separator: "\n") }

    struct StringInterpolation: StringInterpolationProtocol {
        fileprivate var source = ""

        init(literalCapacity: Int, interpolationCount: Int) { source.reserveCapacity(literalCapacity) }

        mutating func appendLiteral(_ literal: String) { source += literal }

        /// Text, for content and for attributes in double quotes.
        mutating func appendInterpolation(_ text: String) {
            for scalar in text.unicodeScalars {
                switch scalar {
                case "&": source += "&amp;"
                case "<": source += "&lt;"
                case ">": source += "&gt;"
                case "\"": source += "&quot;"
                case "'": source += "&#39;"
                // Control characters are allowed in no XML, not even escaped.
                case "\u{0}"..."\u{8}", "\u{B}", "\u{C}", "\u{E}"..."\u{1F}", "\u{FFFE}", "\u{FFFF}":
                    source += "\u{FFFD}"
                default: source.unicodeScalars.append(scalar)
                }
            }
        }

        mutating func appendInterpolation(_ number: Int) { source += "\(number)" }

        mutating func appendInterpolation(_ markup: Markup) { source += markup.source }
    }
}

extension Markup {
    /// A table with a row of headings; every cell is text. One that is wider than the screen is scrolled by itself, by keys
    /// too.
    static func table(_ headings: [String], _ rows: [[String]]) -> Markup {
        let head = Markup(headings.map { "<th scope=\"col\">\($0)</th>" })
        let body = Markup(rows.map { row in "<tr>\(Markup(row.map { "<td>\($0)</td>" }))</tr>" })
        return """
            <div class="wide" tabindex="0"><table><thead><tr>\(head)</tr></thead><tbody>\(body)</tbody></table></div>
            """
    }

    /// Names and what they stand for; those without a value are left out.
    static func facts(_ facts: [(name: String, value: String?)]) -> Markup {
        let rows = facts.compactMap { fact -> Markup? in
            fact.value.map { "<tr><th scope=\"row\">\(fact.name)</th><td>\($0)</td></tr>" }
        }
        return "<table class=\"facts\"><tbody>\(Markup(rows))</tbody></table>"
    }
}
