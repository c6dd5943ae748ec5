import Foundation

/// Calls of functions and of the methods of strings, dictionaries and lists.
extension TemplateEvaluator {
    private static let textMethods: Set<String> = [
        "split", "rsplit", "splitlines", "strip", "lstrip", "rstrip", "startswith", "endswith", "replace", "upper",
        "lower",
        "title", "capitalize", "find", "rfind", "index", "rindex", "count", "join", "format", "removeprefix",
        "removesuffix", "isdigit", "isalpha", "isalnum", "isspace", "isupper", "islower", "isnumeric", "isdecimal",
        "zfill",
        "ljust", "rjust", "center", "partition", "rpartition", "swapcase", "casefold",
    ]
    /// Methods of Python's strings that are refused by name when they are called.
    private static let unsupportedTextMethods: Set<String> = [
        "encode", "expandtabs", "format_map", "isascii", "isidentifier", "isprintable", "istitle", "maketrans",
        "translate",
    ]
    private static let dictionaryMethods: Set<String> = ["get", "items", "keys", "values", "copy"]
    private static let listMethods: Set<String> = ["index", "count", "copy"]
    /// Methods that change their object, to which the sandbox denies access.
    private static let mutatingMethods: [String: Set<String>] = [
        "dict": ["pop", "popitem", "update", "clear", "setdefault"],
        "list": ["append", "clear", "pop", "reverse", "insert", "sort", "extend", "remove"],
    ]

    /// The method of this name, if the value has one.
    func method(_ name: String, of value: TemplateValue) -> TemplateValue? {
        let hasMethod: Bool
        switch value {
        case .text: hasMethod = Self.textMethods.contains(name) || Self.unsupportedTextMethods.contains(name)
        case .dictionary: hasMethod = Self.dictionaryMethods.contains(name)
        case .list: hasMethod = Self.listMethods.contains(name)
        case .tuple, .range: hasMethod = name == "index" || name == "count"
        default: hasMethod = false
        }
        if hasMethod { return .method(TemplateMethod(receiver: value, name: name)) }
        guard name.hasPrefix("__") || Self.mutatingMethods[value.typeName]?.contains(name) ?? false else { return nil }
        return .undefined(reason: "access to attribute '\(name)' of '\(value.typeName)' object is unsafe")
    }

    func call(_ callee: TemplateValue, _ arguments: TemplateCall) throws -> TemplateValue {
        try charge()
        switch callee {
        case .macro(let macro): return try call(macro, arguments)
        case .function(let function): return try call(function, arguments)
        case .method(let method): return try call(method, arguments)
        case .undefined(let reason): throw undefinedUse(reason)
        case .loop: throw TemplateFault.unsupported("a recursive loop")
        default: throw mistake("'\(callee.typeName)' object is not callable")
        }
    }

    // MARK: Functions

    private func call(_ function: TemplateFunction, _ arguments: TemplateCall) throws -> TemplateValue {
        switch function {
        case .range: return try range(arguments)
        case .namespace:
            let namespace = try namespace()
            if let first = arguments.positional.first {
                for (key, value) in try members(of: first) {
                    namespace.set(String(scalars: try string(of: key).scalars), value)
                }
            }
            for (name, value) in arguments.named { namespace.set(name, value) }
            guard let hidden = namespace.names.first(where: { $0.hasPrefix("_") }) else { return .namespace(namespace) }
            throw mistake("a namespace cannot have the attribute \"\(hidden)\"")
        case .dict:
            var all: [(key: TemplateValue, value: TemplateValue)] = []
            if let first = arguments.positional.first { all = try members(of: first) }
            for (name, value) in arguments.named { all.append((.text(name), value)) }
            return try dictionary(all)
        case .raiseException:
            let message = try arguments.bound(to: ["message"], of: function.rawValue)[0] ?? .none
            throw TemplateFault(kind: .raised(try string(of: message).string), line: nil)
        case .currentTime:
            guard case .text(let format)? = try arguments.bound(to: ["format"], of: function.rawValue)[0] else {
                throw mistake("strftime_now takes a string")
            }
            return try text(try TemplateClock(now).text(format.string))
        case .cycler, .joiner, .lipsum: throw TemplateFault.unsupported("\(function.rawValue)()")
        }
    }

    /// The members of what a dictionary can be made from.
    private func members(of value: TemplateValue) throws -> [(key: TemplateValue, value: TemplateValue)] {
        switch value {
        case .dictionary(let dictionary): return dictionary.members
        case .namespace(let namespace): return namespace.names.map { (.text($0), namespace.attributes[$0] ?? .none) }
        default:
            var members: [(key: TemplateValue, value: TemplateValue)] = []
            for element in try elements(of: value) {
                let pair = try elements(of: element)
                guard pair.count == 2 else { throw mistake("a dictionary is made of pairs") }
                members.append((pair[0], pair[1]))
            }
            return members
        }
    }

    private func range(_ arguments: TemplateCall) throws -> TemplateValue {
        var numbers: [Int] = []
        for value in arguments.positional {
            guard let number = value.integer else {
                if case .undefined(let reason) = value { throw undefinedUse(reason) }
                throw mistake("'\(value.typeName)' object cannot be interpreted as an integer")
            }
            numbers.append(number)
        }
        guard (1...3).contains(numbers.count), arguments.named.isEmpty else {
            throw mistake("range takes 1 to 3 numbers")
        }
        let start = numbers.count > 1 ? numbers[0] : 0
        let stop = numbers.count > 1 ? numbers[1] : numbers[0]
        let step = numbers.count > 2 ? numbers[2] : 1
        guard step != 0 else { throw mistake("range() arg 3 must not be zero") }
        let numbersInRange = Self.steps(from: start, to: stop, by: step, limit: limits.rangeCount + 1)
        guard numbersInRange.count <= limits.rangeCount else {
            throw TemplateFault.limit("\(limits.rangeCount) numbers in a range")
        }
        let values = numbersInRange.map { TemplateValue.integer($0) }
        let description = "range(\(start), \(stop)\(numbers.count > 2 && step != 1 ? ", \(step)" : ""))"
        return .range(try sequence(values), description: description)
    }

    /// The first numbers from `start` on, before `stop`.
    static func steps(from start: Int, to stop: Int, by step: Int, limit: Int = .max) -> [Int] {
        var numbers: [Int] = []
        var number = start
        while step > 0 ? number < stop : number > stop, numbers.count < limit {
            numbers.append(number)
            let (next, overflow) = number.addingReportingOverflow(step)
            if overflow { break }
            number = next
        }
        return numbers
    }

    // MARK: Methods

    private func call(_ method: TemplateMethod, _ arguments: TemplateCall) throws -> TemplateValue {
        switch method.receiver {
        case .text(let text): return try call(method.name, of: text, arguments)
        case .dictionary(let dictionary): return try call(method.name, of: dictionary, arguments)
        case .list(let sequence), .tuple(let sequence), .range(let sequence, _):
            if method.name == "copy" { return method.receiver }
            let wanted = try arguments.bound(to: ["value"], of: method.name)[0] ?? .none
            var count = 0
            for (index, element) in sequence.elements.enumerated() where try isEqual(element, wanted) {
                if method.name == "index" { return .integer(index) }
                count += 1
            }
            guard method.name == "count" else { throw mistake("the value is not in the list") }
            return .integer(count)
        case .loop(let loop):
            if method.name == "cycle" {
                guard !arguments.positional.isEmpty else { throw mistake("no items for cycling given") }
                return arguments.positional[loop.index % arguments.positional.count]
            }
            return .boolean(
                try loop.hasChanged(arguments.positional) { left, right in
                    try isEqual(.list(try sequence(left)), .list(try sequence(right)))
                })
        default: throw TemplateFault.unsupported("the method \(method.name)")
        }
    }

    private func call(_ name: String, of dictionary: TemplateDictionary, _ arguments: TemplateCall) throws
        -> TemplateValue
    {
        switch name {
        case "get":
            let values = try arguments.bound(to: ["key", "default"], of: "get")
            guard arguments.named.isEmpty, let key = values[0] else {
                throw mistake("get expects one or two arguments")
            }
            if case .undefined = key { return values[1] ?? .none }
            return dictionary[try self.key(key)] ?? values[1] ?? .none
        case "items": return .view(try sequence(try items(of: dictionary)), name: "dict_items")
        case "keys": return .view(try sequence(dictionary.keys), name: "dict_keys")
        case "values": return .view(try sequence(dictionary.values), name: "dict_values")
        default: return .dictionary(dictionary)
        }
    }

    func items(of dictionary: TemplateDictionary) throws -> [TemplateValue] {
        var items: [TemplateValue] = []
        for (key, value) in dictionary.members { items.append(.tuple(try sequence([key, value]))) }
        return items
    }

    private func call(_ name: String, of receiver: TemplateText, _ arguments: TemplateCall) throws -> TemplateValue {
        let scalars = receiver.scalars
        try charge(scalars.count)
        let isMarkup = receiver.isMarkup

        func made(_ scalars: [Unicode.Scalar]) throws -> TemplateValue { try text(scalars, isMarkup: isMarkup) }
        func scalarsArgument(_ value: TemplateValue?, _ what: String) throws -> [Unicode.Scalar] {
            guard case .text(let text)? = value else {
                if case .undefined(let reason)? = value { throw undefinedUse(reason) }
                throw mistake("\(name): \(what) must be str, not \(value?.typeName ?? "missing")")
            }
            try charge(text.scalars.count)
            return text.scalars
        }
        func optionalScalars(_ value: TemplateValue?) throws -> [Unicode.Scalar]? {
            if case .none? = value { return nil }
            return try value.map { try scalarsArgument($0, "the argument") }
        }
        func integerArgument(_ value: TemplateValue?, default fallback: Int) throws -> Int {
            guard let value else { return fallback }
            if case .none = value { return fallback }
            guard let integer = value.integer else {
                throw mistake("\(name): '\(value.typeName)' object cannot be interpreted as an integer")
            }
            return integer
        }
        func bounds(_ values: [TemplateValue?]) throws -> (start: Int, end: Int) {
            func clamped(_ index: Int) -> Int { max(0, index < 0 ? index + scalars.count : index) }
            return (
                min(scalars.count + 1, clamped(try integerArgument(values[1], default: 0))),
                min(scalars.count, clamped(try integerArgument(values[2], default: scalars.count)))
            )
        }

        switch name {
        case "strip", "lstrip", "rstrip":
            let characters = try optionalScalars(try arguments.bound(to: ["chars"], of: name)[0])
            return try made(
                PythonText.strip(scalars, characters: characters, left: name != "rstrip", right: name != "lstrip"))
        case "split", "rsplit":
            let values = try arguments.bound(to: ["sep", "maxsplit"], of: name)
            let separator = try optionalScalars(values[0])
            if let separator, separator.isEmpty { throw mistake("empty separator") }
            let parts = PythonText.split(
                scalars, by: separator, limit: try integerArgument(values[1], default: -1), fromRight: name == "rsplit")
            var elements: [TemplateValue] = []
            for part in parts { elements.append(try made(part)) }
            return try list(elements)
        case "splitlines":
            let keepingEnds = try arguments.bound(to: ["keepends"], of: name)[0]?.isTrue ?? false
            var elements: [TemplateValue] = []
            for line in PythonText.lines(scalars, keepingEnds: keepingEnds) { elements.append(try made(line)) }
            return try list(elements)
        case "partition", "rpartition":
            let separator = try scalarsArgument(try arguments.bound(to: ["sep"], of: name)[0], "the separator")
            if separator.isEmpty { throw mistake("empty separator") }
            let isRight = name == "rpartition"
            let index = isRight ? PythonText.findLast(separator, in: scalars) : PythonText.find(separator, in: scalars)
            guard let index else {
                let whole = try made(scalars)
                let empty = try made([])
                return .tuple(try sequence(isRight ? [empty, empty, whole] : [whole, empty, empty]))
            }
            return .tuple(
                try sequence([
                    try made(Array(scalars[..<index])), try made(separator),
                    try made(Array(scalars[(index + separator.count)...])),
                ]))
        case "startswith", "endswith":
            let values = try arguments.bound(to: ["prefix", "start", "end"], of: name)
            let (start, end) = try bounds(values)
            var parts: [TemplateValue?] = [values[0]]
            if case .tuple(let sequence)? = values[0] { parts = sequence.elements }
            for part in parts {
                let part = try scalarsArgument(part, "the argument")
                guard start + part.count <= end else { continue }
                let window = name == "startswith" ? start..<start + part.count : end - part.count..<end
                if scalars[window].elementsEqual(part) { return .boolean(true) }
            }
            return .boolean(false)
        case "removeprefix":
            let part = try scalarsArgument(try arguments.bound(to: ["prefix"], of: name)[0], "the prefix")
            return try made(scalars.starts(with: part) ? Array(scalars.dropFirst(part.count)) : scalars)
        case "removesuffix":
            let part = try scalarsArgument(try arguments.bound(to: ["suffix"], of: name)[0], "the suffix")
            return try made(
                scalars.suffix(part.count).elementsEqual(part) ? Array(scalars.dropLast(part.count)) : scalars)
        case "replace":
            let values = try arguments.bound(to: ["old", "new", "count"], of: name)
            let old = try scalarsArgument(values[0], "the first argument")
            var new = try scalarsArgument(values[1], "the second argument")
            if isMarkup, case .text(let text)? = values[1], !text.isMarkup { new = PythonText.escaped(new) }
            try charge(8 * scalars.count)
            return try made(
                try PythonText.replace(
                    old, by: new, in: scalars, limit: try integerArgument(values[2], default: -1),
                    maximumCount: availableCharacters))
        case "upper": return try made(PythonText.uppercase(scalars))
        case "lower", "casefold":
            if name == "casefold", !scalars.allSatisfy(\.isASCII) {
                throw TemplateFault.unsupported("casefold of characters beyond ASCII")
            }
            return try made(PythonText.lowercase(scalars))
        case "title": return try made(PythonText.title(scalars))
        case "capitalize": return try made(PythonText.capitalize(scalars))
        case "swapcase":
            return try made(PythonText.swapcase(scalars))
        case "find", "index", "rfind", "rindex", "count":
            let values = try arguments.bound(to: ["sub", "start", "end"], of: name)
            let part = try scalarsArgument(values[0], "the argument")
            let (start, end) = try bounds(values)
            try charge(8 * scalars.count)
            if name == "count" {
                guard !part.isEmpty else { return .integer(start <= end ? end - start + 1 : 0) }
                var count = 0
                var position = start
                while let found = PythonText.find(part, in: scalars, from: position, to: end) {
                    count += 1
                    position = found + part.count
                }
                return .integer(count)
            }
            let found =
                name.hasPrefix("r")
                ? PythonText.findLast(part, in: scalars, from: start, to: end)
                : PythonText.find(part, in: scalars, from: start, to: end)
            guard let found else {
                guard name.hasSuffix("find") else { throw mistake("substring not found") }
                return .integer(-1)
            }
            return .integer(found)
        case "join":
            let values = try elements(of: try arguments.bound(to: ["iterable"], of: name)[0] ?? .none)
            var parts: [[Unicode.Scalar]] = []
            for value in values {
                let part = isMarkup ? try string(of: value).scalars : try scalarsArgument(value, "an element")
                if case .text(let text) = value, text.isMarkup || !isMarkup {
                    parts.append(part)
                } else {
                    parts.append(PythonText.escaped(part))
                }
            }
            try reserve(bytes: 4 * (parts.reduce(0) { $0 + $1.count } + scalars.count * parts.count))
            return .text(Array(parts.joined(separator: scalars)), isMarkup: isMarkup)
        case "format": return try formatted(receiver, arguments)
        case "isdigit", "isdecimal", "isnumeric", "isalpha", "isalnum", "isspace":
            return .boolean(!scalars.isEmpty && scalars.allSatisfy { Self.isOfKind(name, $0) })
        case "isupper":
            return .boolean(
                scalars.contains { $0.properties.isUppercase } && !scalars.contains { $0.properties.isLowercase })
        case "islower":
            return .boolean(
                scalars.contains { $0.properties.isLowercase } && !scalars.contains { $0.properties.isUppercase })
        case "zfill", "ljust", "rjust", "center":
            let values = try arguments.bound(to: ["width", "fillchar"], of: name)
            let width = try integerArgument(values[0], default: 0)
            guard width <= availableCharacters else {
                throw TemplateFault.limit("\(limits.valueBytes) bytes of values")
            }
            let missing = max(0, width - scalars.count)
            let fill = try optionalScalars(values[1]) ?? [name == "zfill" ? "0" : " "]
            guard fill.count == 1, name != "zfill" || values[1] == nil else {
                throw mistake("\(name): the fill character must be exactly one character long")
            }
            func filling(_ count: Int) -> [Unicode.Scalar] { [Unicode.Scalar](repeating: fill[0], count: count) }
            switch name {
            case "ljust": return try made(scalars + filling(missing))
            case "rjust": return try made(filling(missing) + scalars)
            case "zfill":
                let hasSign = scalars.first == "-" || scalars.first == "+"
                return try made(scalars.prefix(hasSign ? 1 : 0) + filling(missing) + scalars.dropFirst(hasSign ? 1 : 0))
            default: return try made(PythonFormat.centered(scalars, missing: missing, width: width, fill: fill[0]))
            }
        default: throw TemplateFault.unsupported("the string method \(name)")
        }
    }

    private static func isOfKind(_ name: String, _ scalar: Unicode.Scalar) -> Bool {
        let properties = scalar.properties
        let isLetter: Bool =
            switch properties.generalCategory {
            case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter: true
            default: false
            }
        switch name {
        case "isspace": return scalar.isPythonSpace
        case "isalpha": return isLetter
        case "isdecimal": return properties.numericType == .decimal
        case "isdigit": return properties.numericType == .decimal || properties.numericType == .digit
        case "isnumeric": return properties.numericType != nil
        default: return isLetter || properties.numericType != nil
        }
    }
}

/// What `strftime_now` writes: local time in the words of the C locale.
struct TemplateClock {
    private let parts: DateComponents
    private static let days = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"]
    private static let months = [
        "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
        "December",
    ]

    init(_ date: Date) {
        var calendar = Calendar(identifier: .gregorian)
        calendar.timeZone = .current
        parts = calendar.dateComponents(
            [.year, .month, .day, .hour, .minute, .second, .weekday, .dayOfYear, .nanosecond], from: date)
    }

    func text(_ format: String) throws -> String {
        var result = ""
        var isDirective = false
        var pads = true
        for character in format.unicodeScalars {
            guard isDirective else {
                if character == "%" {
                    (isDirective, pads) = (true, true)
                } else {
                    result.unicodeScalars.append(character)
                }
                continue
            }
            if character == "-", pads {
                pads = false
                continue
            }
            isDirective = false
            result += try text(of: character, pads: pads)
        }
        return isDirective ? result + "%" : result
    }

    private func text(of directive: Unicode.Scalar, pads: Bool) throws -> String {
        func number(_ value: Int?, _ width: Int = 2, _ fill: Character = "0") -> String {
            let digits = String(value ?? 0)
            return pads ? String(repeating: fill, count: max(0, width - digits.count)) + digits : digits
        }
        let hour = parts.hour ?? 0
        let month = Self.months[((parts.month ?? 1) - 1) % 12]
        let day = Self.days[((parts.weekday ?? 1) - 1) % 7]
        switch directive {
        case "%": return "%"
        case "n": return "\n"
        case "t": return "\t"
        case "d": return number(parts.day)
        case "e": return number(parts.day, 2, " ")
        case "m": return number(parts.month)
        case "Y": return String(parts.year ?? 0)
        case "y": return number((parts.year ?? 0) % 100)
        case "H": return number(hour)
        case "I": return number((hour + 11) % 12 + 1)
        case "M": return number(parts.minute)
        case "S": return number(parts.second)
        case "p": return hour < 12 ? "AM" : "PM"
        case "j": return number(parts.dayOfYear, 3)
        case "B": return month
        case "b", "h": return String(month.prefix(3))
        case "A": return day
        case "a": return String(day.prefix(3))
        case "w": return String((parts.weekday ?? 1) - 1)
        case "F": return try text("%Y-%m-%d")
        case "T": return try text("%H:%M:%S")
        case "R": return try text("%H:%M")
        case "D": return try text("%m/%d/%y")
        case "z", "Z": return ""
        default: throw TemplateFault.unsupported("%\(directive) in strftime_now")
        }
    }
}
