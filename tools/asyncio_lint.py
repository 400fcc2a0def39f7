#!/usr/bin/env python3
"""asyncio-lint: finds C++ coroutine code that GCC 12 miscompiles, or that dangles on every compiler.

usage: asyncio-lint [--list] FILE-OR-FOLDER...      exit status 1 when something was found

It reads text, not types: a light tokenizer, brackets, statements and the declarations it can see in the
given files. It looks at *full expressions that contain co_await or co_yield* (a lambda's own body is
a body of its own). A line, or the line above it, with the comment `// asyncio-lint: ok` is left alone.
In Markdown files the ```cpp blocks are read.
"""
from __future__ import annotations

import os
import re
import sys
from typing import Iterator, NamedTuple

RULES = {
    "await-in-condition": "a coroutine that declares nothing and awaits in a condition: GCC 12.2 never runs its "
    "body (PR 106188); name the result first: `const auto v = co_await ...; if (v)`",
    "aggregate-temporary": "a temporary aggregate with a non-trivial member in an expression with co_await: GCC 12 "
    "destroys it twice (PR 99576); name the object, then std::move it",
    "lambda-temporary": "a temporary lambda with a non-trivial capture by value in an expression with co_await: GCC "
    "12 destroys the capture twice; name the lambda first, or capture by reference",
    "ternary": "`?:` with class operands in an expression with co_await: GCC 12 destroys them twice; use if/else",
    "early-operand": "a temporary on the right of `&&` or `||` whose left awaits: GCC 12 makes it before the await, and "
    "also if the right side is not to be evaluated; name the awaited value first",
    "throw-await": "`throw E(co_await ...)`: GCC 12 destroys the exception twice; name the result first",
    "braced-list": "a braced list or initializer_list in an expression with co_await: GCC 12 cannot compile it (PR "
    "98056), or destroys the elements twice; name the object first",
    "defaulted-aggregate": "a defaulted parameter of a non-trivial aggregate or list type: GCC 12 destroys it twice at "
    "every awaited call; add an overload, or give the type a constructor",
    "initializer-list-parameter": "an awaitable function with a std::initializer_list parameter: GCC 12 cannot compile "
    "the awaited call (PR 98056); take a span, a vector or a pack",
    "statement-expression": "co_await in a GNU statement expression: GCC crashes (PR 115851)",
    "member-pointer-await": "co_await of a call through a member pointer: GCC crashes (PR 112360, 121094); "
    "use std::invoke or name the object",
    "evaluated-twice": "a macro that puts its argument in __builtin_constant_p: GCC evaluates the co_await twice "
    "(PR 101027); name the result first",
    "assert-returns": "ASSERT_* of GoogleTest contains `return`, which no coroutine may have; use EXPECT_*",
    "lambda-dies": "a capturing lambda called at once: its coroutine outlives the captures, on every compiler; pass "
    "them as arguments, or give the lambda itself to create_task",
}

AWAITABLE = r"(?:Coro|Task|Awaitable|AsyncGenerator|Generator)"
EXTENSIONS = (".cpp", ".hpp", ".cc", ".cxx", ".h", ".hh", ".hxx", ".md")
SILENCE = re.compile(r"//\s*asyncio-lint:\s*ok")


class Finding(NamedTuple):
    path: str
    line: int
    rule: str


# --- text ---------------------------------------------------------------------------------------

_LITERAL = re.compile(
    r'//(?:\\\n|[^\n])*|/\*.*?\*/'
    r'|(?:u8|[uUL])?R"(?P<delimiter>[^()\\\s]{0,16})\(.*?\)(?P=delimiter)"'
    r'|(?:u8|[uUL])?"(?:\\.|[^"\\\n])*"'
    r"|(?<![0-9a-zA-Z_])(?:u8|[uUL])?'(?:\\.|[^'\\\n])+'",
    re.S,
)


def _blanks(text: str) -> str:
    return re.sub(r"[^\n]", " ", text)


def blank_out(text: str) -> str:
    """The same text, same length, with comments and the inside of literals as spaces."""

    def replace(match: re.Match) -> str:
        whole = match.group()
        if whole.startswith("/"):
            return _blanks(whole)
        quote = '"' if whole.endswith('"') else "'"
        first = whole.index(quote)
        return " " * first + quote + _blanks(whole[first + 1 : -1]) + quote

    return _LITERAL.sub(replace, text)


def first_arms(text: str) -> str:
    """Blank the preprocessor lines, and every arm but the first of each #if (so that brackets match)."""
    lines, arms = text.split("\n"), []
    continued = False
    for index, line in enumerate(lines):
        word = re.match(r"\s*#\s*(\w+)", line)
        directive = word.group(1) if word else ""
        if directive in ("if", "ifdef", "ifndef"):
            arms.append(not re.match(r"\s*#\s*if\s+0\b", line))
        elif directive in ("else", "elif") and arms:
            arms[-1] = arms[-1] is False and directive == "else" or None
        elif directive == "endif" and arms:
            arms.pop()
        is_directive = bool(directive) or continued
        continued = is_directive and line.rstrip().endswith("\\")
        if is_directive or not all(arms):
            lines[index] = " " * len(line)
    return "\n".join(lines)


def markdown_code(text: str) -> str:
    """The C++ blocks of a Markdown file, everything else blank."""
    keep, out = False, []
    for line in text.split("\n"):
        if line.lstrip().startswith("```"):
            keep = not keep and line.strip()[3:].strip() in ("cpp", "c++", "C++")
            out.append(" " * len(line))
        else:
            out.append(line if keep else " " * len(line))
    return "\n".join(out)


# --- tokens and brackets ------------------------------------------------------------------------


class Token(NamedTuple):
    text: str
    at: int


_TOKEN = re.compile(r"[A-Za-z_]\w*|\.?\d(?:[\w.]|'\w)*|\"[^\"]*\"\w*|'[^']*'|::|->\*|\.\*|->|\[\[|\]\]|&&|\|\||[^\s\w]")
_OPEN, _CLOSE = {"(": ")", "[": "]", "{": "}"}, {")", "]", "}"}
CONTROL = ("if", "while", "for", "switch", "catch")


class Source:
    """One file: its tokens, the partner of every bracket, and what each `{` opens."""

    def __init__(self, path: str, text: str) -> None:
        self.path = path
        self.raw_lines = text.split("\n")
        if path.endswith(".md"):
            text = markdown_code(text)
        self.text = first_arms(blank_out(text))
        self.tokens: list[Token] = []
        for match in _TOKEN.finditer(self.text):
            word = match.group()
            if word in ("[[", "]]"):  # attributes and nested subscripts: single brackets are enough
                self.tokens += [Token(word[0], match.start()), Token(word[0], match.start() + 1)]
            else:
                self.tokens.append(Token(word, match.start()))
        self.partner = self._pair()
        self.kinds = {i: self._kind(i) for i, t in enumerate(self.tokens) if t.text == "{"}

    def word(self, index: int) -> str:
        return self.tokens[index].text if 0 <= index < len(self.tokens) else ""

    def line(self, index: int) -> int:
        return self.text.count("\n", 0, self.tokens[index].at) + 1

    def words(self, first: int, last: int) -> str:
        """The text of the tokens first..last-1."""
        return self.text[self.tokens[first].at : self.tokens[last - 1].at + len(self.tokens[last - 1].text)] if first < last else ""

    def _pair(self) -> dict[int, int]:
        partner, stack = {}, []
        for index, token in enumerate(self.tokens):
            if token.text in _OPEN:
                stack.append(index)
            elif token.text in _CLOSE:
                while stack and _OPEN[self.tokens[stack[-1]].text] != token.text and token.text == "}":
                    if self.tokens[stack[-1]].text == "{":
                        break
                    stack.pop()
                if stack and _OPEN[self.tokens[stack[-1]].text] == token.text:
                    partner[index] = stack.pop()
                    partner[partner[index]] = index
        return partner

    def is_lambda_intro(self, index: int) -> bool:
        """Does the `[` at index open a lambda, not a subscript, an attribute or a structured binding?"""
        before, after = self.word(index - 1), self.word(index + 1)
        if self.word(index) != "[" or before == "[" or after == "[":
            return False
        if re.fullmatch(r"[A-Za-z_]\w*|[\])\"'].*", before) and before not in ("return", "co_return", "co_await", "co_yield", "case", "else", "do"):
            return False
        if before in ("&", "&&") and self.word(index - 2) in ("auto", "const"):
            return False
        close = self.partner.get(index)
        return close is not None and self.word(close + 1) in ("(", "{", "<", "mutable", "noexcept", "->")

    def lambda_intro(self, brace: int) -> int | None:
        """The `[` of the lambda whose body opens at `brace`, or None."""
        at = brace - 1
        for _ in range(60):  # over `-> Coro<T>`, `noexcept(...)`, `mutable`
            word = self.word(at)
            if word == "]":
                first = self.partner.get(at)
                return first if first is not None and self.is_lambda_intro(first) else None
            if word == ")":
                first = self.partner.get(at)
                if first is None:
                    return None
                before = self.word(first - 1)
                if before == "]":
                    opening = self.partner.get(first - 1)
                    return opening if opening is not None and self.is_lambda_intro(opening) else None
                if before == ">":
                    opening = self._template_lambda(first - 1)
                    if opening is not None:
                        return opening
                at = first - 1
            elif re.fullmatch(r"[A-Za-z_]\w*|::|[<>,*&]|->|&&|\d+", word) and word not in (*CONTROL, "else", "do", "try", "return"):
                at -= 1
            else:
                return None
        return None

    def _template_lambda(self, at: int) -> int | None:
        depth = 0
        for index in range(at, max(at - 60, -1), -1):
            depth += {">": 1, "<": -1}.get(self.word(index), 0)
            if depth == 0:
                opening = self.partner.get(index - 1) if self.word(index - 1) == "]" else None
                return opening if opening is not None and self.is_lambda_intro(opening) else None
        return None

    def _kind(self, brace: int) -> str:
        """What a `{` opens: lambda, function, block, type (class or namespace) or init."""
        if self.lambda_intro(brace) is not None:
            return "lambda"
        before = self.word(brace - 1)
        if before in ("", ";", "{", "else", "do", "try"):
            return "block"
        if before == "}":
            return "function" if self.kinds_before(brace - 1) == "init" else "block"
        if before == ")":
            return "block" if self._control_before(brace - 1) else "function"
        head = self._head(brace)
        if re.match(r"(?:(?:inline|typedef|static|export|extern|constexpr)\s+)*(?:class|struct|union|namespace|enum)\b", head):
            return "type"
        if head.startswith("extern"):
            return "type"
        if re.search(r"\)\s*(?:const|noexcept|override|final|mutable|&|&&|volatile|try|requires[^;]*|->[^;={]*)[\s\w:<>,*&()]*$", head) and not re.search(r"(?<![=!<>])=(?!=)", re.sub(r"\([^()]*\)", "", head)):
            return "function"
        if before == ":" and re.search(r"(?:\bcase\b.*|\bdefault\s*|^\w+\s*):$", head):
            return "block"
        return "init"

    def kinds_before(self, close: int) -> str:
        opening = self.partner.get(close)
        if opening is None:
            return "block"
        is_init = getattr(self, "kinds", {}).get(opening) or self._kind(opening)
        # `: a_{x} {` is a constructor's body; `Foo x{1} {` does not exist.
        return is_init

    def _control_before(self, close: int) -> bool:
        opening = self.partner.get(close)
        if opening is None:
            return False
        return self.word(opening - 1) in CONTROL or (self.word(opening - 1) == "constexpr" and self.word(opening - 2) == "if")

    def _head(self, brace: int) -> str:
        """The text from the start of the statement to the brace, template<...> and attributes dropped."""
        at = brace - 1
        while at >= 0 and self.word(at) not in (";", "{", "}", "(", "["):
            at = self.partner[at] - 1 if self.word(at) in (")", "]") and at in self.partner else at - 1
        head = self.words(at + 1, brace).strip()
        head = re.sub(r"\[\[.*?\]\]|alignas\s*\([^)]*\)", "", head, flags=re.S)
        while True:
            match = re.match(r"\s*(?:public|private|protected)\s*:", head)
            if match:
                head = head[match.end() :]
            elif re.match(r"\s*template\s*<", head):
                head = _after_angle(head)
            else:
                return head.strip()


def _after_angle(head: str) -> str:
    depth = 0
    for index in range(head.index("<"), len(head)):
        depth += {"<": 1, ">": -1}.get(head[index], 0)
        if depth == 0:
            return head[index + 1 :].lstrip()
    return ""


# --- what the files declare ---------------------------------------------------------------------

_TRIVIAL = re.compile(
    r"(?:(?:unsigned|signed|long|short|int|char|bool|float|double|char8_t|wchar_t|ssize_t|off_t|pid_t|mode_t|socklen_t)(?:\s|$))+"
    r"|(?:std::)?(?:u?int(?:ptr|max|_fast|_least)?\d*_t|size_t|ptrdiff_t|byte|string_view|nullptr_t|source_location|coroutine_handle(?:<.*>)?|reference_wrapper<.*>|span<.*>|errc|error_code|strong_ordering)"
    r"|(?:std::)?chrono::.*|(?:asyncio::)?(?:Duration|TimePoint)|(?:std::)?(?:nanoseconds|microseconds|milliseconds|seconds|minutes|hours)"
)
_NON_TRIVIAL = re.compile(
    r"\bstd::(?:string\b(?!_)|wstring|vector|deque|list|forward_list|map|set|multimap|multiset|unordered_\w+|function|any\b|shared_ptr|unique_ptr|"
    r"weak_ptr|exception_ptr|thread|jthread|filesystem::path|promise|future|queue|stack|regex|[io]?\w*stream\b)"
    r"|\b(?:Coro|Task|Future|TaskGroup|Outcome)\b|\bUniqueFunction\b"
)


class Declarations:
    """The classes of all given files: which are aggregates that GCC 12 destroys twice."""

    def __init__(self) -> None:
        self.fields: dict[str, dict[str, str]] = {}  # aggregate -> field -> type
        self.classes: set[str] = set()  # a user-declared constructor, or private parts

    def read(self, source: Source) -> None:
        for brace, kind in source.kinds.items():
            match = re.search(r"\b(struct|class)\s+([A-Za-z_]\w*)\s*(final\s*)?(:[^:].*)?$", source._head(brace), re.S) if kind == "type" else None
            if match and brace in source.partner:
                self._read_class(source, match.group(2), match.group(1), brace, match.group(4) or "")

    def _read_class(self, source: Source, name: str, keyword: str, brace: int, bases: str) -> None:
        fields, start, index, end = {}, brace + 1, brace + 1, source.partner[brace]
        constructor = keyword == "class" or bool(bases)
        while index < end:
            word = source.word(index)
            if word == ":" and source.word(index - 1) in ("public", "private", "protected"):
                constructor |= source.word(index - 1) != "public"
                start = index + 1
            elif word == name and source.word(index + 1) == "(" and source.word(index - 1) != "~":
                constructor = True
            if word in _OPEN and index in source.partner:
                closing = source.partner[index]
                if word == "{" and source.kinds.get(index) != "init":
                    start = closing + 1
                index = closing
            elif word == ";":
                field = self._field(source.words(start, index))
                if field:
                    fields[field[0]] = field[1]
                start = index + 1
            index += 1
        if constructor:
            self.classes.add(name)
        else:
            self.fields.setdefault(name, {}).update(fields)

    @staticmethod
    def _field(text: str) -> tuple[str, str] | None:
        text = re.sub(r"\[\[.*?\]\]|\b(?:mutable|inline|constexpr|const)\b", "", text).strip()
        if re.match(r"(?:static|using|friend|typedef|template|struct|class|enum|explicit|virtual)\b", text):
            return None
        declared = re.match(r"(.*?[\s*&>])\s*([A-Za-z_]\w*)\s*(?:=.*|\{.*\}|\[.*\])?$", text, re.S)
        return (declared.group(2), declared.group(1).strip()) if declared and "(" not in declared.group(1) else None

    def triviality(self, type_text: str, depth: int = 0) -> bool | None:
        """Is the type trivially destructible? None: this script cannot know."""
        text = re.sub(r"\b(?:const|volatile|constexpr|static|inline|typename)\b", "", type_text).strip().rstrip("&").strip()
        if text.endswith("*") or (text and _TRIVIAL.fullmatch(text)):
            return True
        wrapped = re.fullmatch(r"(?:std::|asyncio::)?(?:Option|optional|array|pair|tuple|variant)\s*<(.*)>", text, re.S)
        if wrapped and depth < 6:
            return self._all([self.triviality(part, depth + 1) for part in _split(wrapped.group(1)) if not part.strip().isdigit()])
        if _NON_TRIVIAL.search(text):
            return False
        name = re.sub(r"<.*", "", text, flags=re.S).split("::")[-1].strip()
        if name in self.fields and depth < 6:
            return self._all([self.triviality(kind, depth + 1) for kind in self.fields[name].values()])
        return None

    @staticmethod
    def _all(parts: list[bool | None]) -> bool | None:
        return False if False in parts else None if None in parts else True

    def is_bad_aggregate(self, name: str) -> bool:
        return name in self.fields and name not in self.classes and self.triviality(name) is False

    def bad_by_fields(self, names: set[str]) -> bool:
        """Do the designated fields name only aggregates that are destroyed twice?"""
        owners = [name for name, fields in self.fields.items() if names <= set(fields) and name not in self.classes]
        return bool(owners) and all(self.is_bad_aggregate(name) for name in owners)


def _split(text: str) -> list[str]:
    """Split at commas outside brackets."""
    parts, depth, last = [], 0, 0
    for index, char in enumerate(text):
        if char in "([{<":
            depth += 1
        elif char in ")]}" or (char == ">" and text[index - 1 : index] != "-"):
            depth -= 1
        elif char == "," and depth == 0:
            parts.append(text[last:index])
            last = index + 1
    return [part for part in [*parts, text[last:]] if part.strip()]


# --- expressions --------------------------------------------------------------------------------


class Expression(NamedTuple):
    """One full expression: the indices of its tokens without the bodies of nested lambdas."""

    tokens: list[int]
    control: str  # the keyword whose condition it is, or ""


class Body(NamedTuple):
    """One function or lambda body, or what stands outside of all (fragments in a manual)."""

    brace: int | None
    expressions: list[Expression]
    declares: bool


_NOT_A_TYPE = r"(?!(?:return|co_return|co_await|co_yield|throw|delete|new|goto|case|default|else|if|for|while|do|switch|break|continue|namespace|public|private|protected|static_assert|template|operator|try|catch|requires|sizeof)\b)"
_DECLARATION = re.compile(
    r"\s*(?:\[\[.*?\]\]\s*)?(?:using\b|typedef\b|struct\b|class\b|enum\b|union\b|static\b|auto\b|const\b|constexpr\b|thread_local\b|unsigned\b|"
    + _NOT_A_TYPE + r"[A-Za-z_][\w:]*\s*(?:<[^;=()]*>)?(?:::\w+)*[\s*&]+(?:const\s+)?" + _NOT_A_TYPE + r"[A-Za-z_]\w*\s*(?:$|[={(\[;:,)]))",
    re.S,
)


class Bodies:
    """Walks a file and gives every body with its full expressions."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.found: list[Body] = []
        self._walk(None, 0, len(source.tokens))

    def _walk(self, brace: int | None, first: int, last: int) -> None:
        expressions: list[Expression] = []
        self.declares = False
        inner: list[tuple[int, int]] = []
        declares = self._statements(first, last, expressions, inner)
        self.found.append(Body(brace, expressions, declares))
        for opening, closing in inner:
            self._walk(opening, opening + 1, closing)

    def _statements(self, first: int, last: int, out: list[Expression], inner: list[tuple[int, int]]) -> bool:
        source, current, declares, index = self.source, [], False, first

        def finish(control: str = "") -> None:
            nonlocal current, declares
            if current:
                declares |= self._is_declaration(current)
                out.append(Expression(current, control))
            current = []

        while index < last:
            word, closing = source.word(index), source.partner.get(index, last)
            if word == "(" and source.word(index - 1) in (*CONTROL, "constexpr") and (source.word(index - 1) != "constexpr" or source.word(index - 2) == "if"):
                keyword = "if" if source.word(index - 1) == "constexpr" else source.word(index - 1)
                finish()
                declares |= self._control(keyword, index, closing, out, inner)
                index = closing
            elif word == "{":
                kind = source.kinds[index]
                if kind in ("lambda", "function"):
                    inner.append((index, closing))
                    declares |= kind == "lambda"  # GCC counts the closure type: the body runs
                    index = closing
                    if kind == "function":
                        current = []
                elif kind == "init":
                    current.append(index)
                else:
                    declares |= kind == "type" and first > 0
                    finish()
            elif word == "}":
                if source.kinds.get(source.partner.get(index, -1)) == "init":
                    current.append(index)
                else:
                    finish()
            elif word == ";" and not self._inside_parentheses(current):
                finish()
            elif word in ("else", "do", "try"):
                finish()
            elif word not in CONTROL and (word, source.word(index - 1)) != ("constexpr", "if"):
                current.append(index)
            index += 1
        finish()
        return declares

    def _inside_parentheses(self, current: list[int]) -> bool:
        depth = 0
        for index in current:
            depth += {"(": 1, ")": -1}.get(self.source.word(index), 0)
        return depth > 0

    def _control(self, keyword: str, opening: int, closing: int, out: list[Expression], inner: list[tuple[int, int]]) -> bool:
        """The head of if, while, for, switch, catch: its clauses are expressions of their own."""
        clauses: list[Expression] = []
        declares = self._statements(opening + 1, closing, clauses, inner)
        if keyword == "catch":
            return declares or bool(re.search(r"\w[\s&*]+\w+$", self.source.words(opening + 1, closing).strip())) and self._names_exception(opening, closing)
        for clause in clauses:
            out.append(Expression(clause.tokens, keyword))
        return declares

    def _names_exception(self, opening: int, closing: int) -> bool:
        words = [self.source.word(i) for i in range(opening + 1, closing)]
        return len(words) > 1 and words[-2] in ("&", "*", "&&", ">") or (len(words) > 1 and words[-2] not in ("::", "const"))

    def _is_declaration(self, indices: list[int]) -> bool:
        text = self.source.words(indices[0], indices[-1] + 1)
        return bool(_DECLARATION.match(text))


# --- the rules ----------------------------------------------------------------------------------


# A call that is an operand or an argument, and not the whole: what it returns may be an object.
_CALL = r"(?<![\w.])(?:[A-Za-z_]\w*(?:::|\.|->))*(?!size\b|length\b|count\b|empty\b|sizeof\b)[A-Za-z_]\w*\s*\([^()]*\)"
_MAKES_TEMPORARY = re.compile(_CALL + r"\s*(?:[<>=!]=?|[-+*/%.])|(?:[<>]|[<>=!]=|[-+*/%(,])\s*" + _CALL + r"|\w\s*\{")


class Linter:
    def __init__(self, source: Source, declarations: Declarations) -> None:
        self.source, self.declarations = source, declarations
        self.findings: set[Finding] = set()

    def run(self) -> list[Finding]:
        for body in Bodies(self.source).found:
            self._body(body)
        self._parameters()
        return sorted(f for f in self.findings if not self._silenced(f.line))

    def _silenced(self, line: int) -> bool:
        lines = self.source.raw_lines
        above = lines[line - 2] if line > 1 else ""
        return bool(SILENCE.search(lines[line - 1])) or (bool(SILENCE.search(above)) and above.lstrip().startswith("//"))

    def _report(self, index: int, rule: str) -> None:
        self.findings.add(Finding(self.source.path, self.source.line(index), rule))

    def _body(self, body: Body) -> None:
        source = self.source
        coroutine = any(source.word(i) in ("co_await", "co_yield", "co_return") for e in body.expressions for i in e.tokens)
        for expression in body.expressions:
            awaits = [i for i in expression.tokens if source.word(i) in ("co_await", "co_yield") and source.word(i - 1) != "operator"]
            if coroutine and body.brace is not None and source.word(expression.tokens[0]).startswith("ASSERT_"):
                self._report(expression.tokens[0], "assert-returns")
            if not awaits:
                self._immediate_lambda(expression)
                continue
            if expression.control and not body.declares and body.brace is not None:
                self._report(awaits[0], "await-in-condition")
            self._awaiting(expression, awaits)

    def _awaiting(self, expression: Expression, awaits: list[int]) -> None:
        source = self.source
        if source.word(expression.tokens[0]) == "throw":
            self._report(expression.tokens[0], "throw-await")
        for position, index in enumerate(expression.tokens):
            word, after = source.word(index), source.word(index + 1)
            if word == "{":
                self._brace(index, expression.tokens[:position], expression)
            elif word == "[" and source.is_lambda_intro(index):
                self._captures(index)
            elif word == "?":
                self._ternary(index, expression.tokens, position)
            elif word in ("&&", "||"):
                self._operands(expression.tokens, position, awaits)
            elif word == "co_await" and after == "(" and re.search(r"->\*|\.\*", source.words(index + 1, source.partner.get(index + 1, index + 1) + 1)):
                self._report(index, "member-pointer-await")
            elif after == "(" and re.fullmatch(r"__builtin_constant_p|(?:REQUIRE|CHECK)(?:_FALSE|_THAT|_THROWS\w*|_NOTHROW)?|CHECKED_IF|CHECKED_ELSE", word):
                closing = source.partner.get(index + 1, index + 1)
                if any(index < a < closing for a in awaits):
                    self._report(index, "evaluated-twice")
            elif word == "(" and after == "{" and source.word(source.partner.get(index + 1, 0) - 1) == ";":
                self._report(index, "statement-expression")

    # Braces.

    def _brace(self, brace: int, before: list[int], expression: Expression) -> None:
        source, previous = self.source, self.source.word(brace - 1)
        closing = source.partner.get(brace, brace)
        content = source.words(brace + 1, closing)
        if self._is_named_object(brace, before) or source.word(closing - 1) == ";":  # a statement expression
            return
        if previous in (">",) or re.fullmatch(r"[A-Za-z_]\w*", previous) and previous not in ("co_yield", "co_await", "co_return", "return"):
            self._typed_brace(brace, content)
            return
        fields = set(re.findall(r"(?:^|,)\s*\.\s*([A-Za-z_]\w*)\s*[={]", content))
        if fields:
            if self.declarations.bad_by_fields(fields) or self._value(content, brace) is False:
                self._report(brace, "aggregate-temporary")
        elif content.strip() and not self._inside_init(brace, before):
            rule = "aggregate-temporary" if previous == "co_yield" or self._value(content, brace) is False else "braced-list"
            if previous != "co_yield" or self._value(content, brace) is not True:
                self._report(brace, rule)

    def _is_named_object(self, brace: int, before: list[int]) -> bool:
        """`Type name{...}`, `Type name = {...}`: the braces of a declared object."""
        depth = 0
        for index in before:
            depth += {"(": 1, "{": 1, ")": -1, "}": -1}.get(self.source.word(index), 0)
        if depth or not before:
            return False
        head = self.source.words(before[0], brace) + "{"
        if re.match(r"\s*(?:co_return|return|co_await|co_yield|throw)\b", head):
            return False
        return bool(re.search(r"[\w>\]*&]\s+[*&]*[A-Za-z_]\w*\s*(?:=\s*)?\{$|>\s*[A-Za-z_]\w*\s*(?:=\s*)?\{$|\w\s*=\s*\{$", head)) and "=" not in head[:-1].rstrip("= ").rstrip()

    def _inside_init(self, brace: int, before: list[int]) -> bool:
        """Is this brace inside another brace, which is looked at already?"""
        return any(self.source.word(i) == "{" and self.source.partner.get(i, i) > brace for i in before)

    def _typed_brace(self, brace: int, content: str) -> None:
        type_text = self._type_before(brace)
        name = re.sub(r"<.*", "", type_text, flags=re.S).split("::")[-1]
        arguments = re.search(r"<(.*)>", type_text, re.S)
        if name in ("vector", "set", "map", "deque", "list", "initializer_list", "unordered_map", "unordered_set", "multimap", "multiset"):
            if content.strip():
                self._report(brace, "braced-list")
        elif name == "array" and arguments:
            if self.declarations.triviality(type_text) is False:
                self._report(brace, "aggregate-temporary")
        elif name in self.declarations.fields or name in self.declarations.classes:
            if self.declarations.is_bad_aggregate(name):
                self._report(brace, "aggregate-temporary")
        elif not re.match(r"std::", type_text) and self._value(content, brace) is False:
            self._report(brace, "aggregate-temporary")

    def _type_before(self, brace: int) -> str:
        at, depth = brace - 1, 0
        while at >= 0:
            word = self.source.word(at)
            depth += {">": 1, "<": -1}.get(word, 0)
            if depth <= 0 and word != "<":
                before = self.source.word(at - 1)
                if before == "::":
                    at -= 2 if re.fullmatch(r"[A-Za-z_]\w*", self.source.word(at - 2)) else 1
                    depth += {">": 1}.get(self.source.word(at), 0)
                    if self.source.word(at - 1) != "::":
                        break
                    continue
                break
            at -= 1
        return self.source.words(at, brace).replace(" ", "")

    # Values: is what this text makes trivially destructible? None: unknown.

    def _value(self, text: str, near: int) -> bool | None:
        parts = [re.sub(r"^\s*\.\s*\w+\s*=?\s*", "", part).strip() for part in _split(text)]
        return Declarations._all([self._single(part, near) for part in parts])

    def _single(self, text: str, near: int) -> bool | None:
        text = text.strip().removeprefix("{").removesuffix("}").strip() if text.startswith("{") else text.strip()
        if re.match(r"std::(?:move|forward)\b", text):
            moved = re.fullmatch(r"std::(?:move|forward(?:<.*>)?)\s*\(\s*([A-Za-z_]\w*)\s*\)", text)
            known = self._declared(moved.group(1), near) if moved else None
            return bool(known)  # what is moved is rarely trivial
        if re.match(r"std::(?:string|vector|function|make_unique|make_shared|to_string|map|set)\b(?!_)", text) or re.search(r'"\s*s$', text) or text.startswith("["):
            return False
        if not text or re.fullmatch(r"[-+!~]*\s*(?:\d[\w.']*|true|false|nullptr|this|\"[^\"]*\"(?:sv)?|'[^']*'|&\s*[\w.>:-]+|[\w.>:-]*(?:size|length|count|data|get|c_str|fileno|value_or|time)\s*\(.*\))", text):
            return True
        if re.fullmatch(r"\*?[A-Za-z_]\w*", text):
            return self._declared(text.lstrip("*"), near)
        if re.search(r"(?<![<>=!-])(?:[<>]=?|==|!=|&&|\|\|)(?![<>])", text) and "<" not in text:
            return True  # a comparison is a bool
        made = re.match(r"([A-Za-z_][\w:]*(?:<[^()]*>)?)\s*[({]", text)
        return self.declarations.triviality(made.group(1)) if made else None

    def _declared(self, name: str, near: int) -> bool | None:
        """The triviality of the nearest declaration of this name above, as far as text shows it."""
        before = self.source.text[: self.source.tokens[near].at]
        pattern = r"(?<![\w.>])((?:const\s+)?(?:unsigned\s+|long\s+)*[A-Za-z_][\w:]*(?:\s*<[^;{}()]*>)?(?:::\w+)?(?:\s+const)?\s*[&*\s]+)" + re.escape(name) + r"\b\s*(=[^=;][^;]*|[{(][^;]*)?(?=[;,):\[{=]|$)"
        found = [m for m in re.finditer(pattern, before) if not re.match(r"(?:return|co_return|co_await|co_yield|throw|else|new|delete|case|using|namespace|goto)\b", m.group(1))]
        if not found:
            return None
        kind, init = found[-1].group(1).strip(), (found[-1].group(2) or "").lstrip("= ").strip()
        if re.search(r"\bauto\b", kind):
            return True if kind.endswith("*") else self._single(init, near) if init and name not in init else None
        return self.declarations.triviality(kind)

    # && and ||.

    def _operands(self, tokens: list[int], position: int, awaits: list[int]) -> None:
        """Left and right of the operator, as far as its bracket, comma or semicolon on either side."""
        source = self.source
        first = self._reach(tokens, position, -1, ("(", "[", "{"), (")", "]", "}"))
        last = self._reach(tokens, position, 1, (")", "]", "}"), ("(", "[", "{"))
        left, right = tokens[first:position], tokens[position + 1 : last + 1]
        if not right or not set(left) & set(awaits) or set(right) & set(awaits):
            return
        if _MAKES_TEMPORARY.search(source.words(right[0], right[-1] + 1)):
            self._report(tokens[position], "early-operand")

    def _reach(self, tokens: list[int], position: int, step: int, ends: tuple, nested: tuple) -> int:
        depth, at = 0, position + step
        while 0 <= at < len(tokens):
            word = self.source.word(tokens[at])
            depth += (word in nested) - (word in ends)
            if depth < 0 or (depth == 0 and word in (",", "?", ":", "return", "co_return")):
                break
            at += step
        return at - step

    # Lambdas and ?:.

    def _captures(self, intro: int) -> None:
        text = self.source.words(intro + 1, self.source.partner[intro])
        for item in _split(text):
            item = item.strip()
            if item.startswith("&") or item == "this":
                continue
            made = re.match(r"(?:\.\.\.\s*)?([A-Za-z_]\w*)\s*(?:=|(?=[({]))(.*)", item, re.S)
            trivial = self._single(made.group(2), intro) if made else self._single(item, intro) if item not in ("=", "*this") else False
            if trivial is not True:
                self._report(intro, "lambda-temporary")
                return

    def _ternary(self, question: int, tokens: list[int], position: int) -> None:
        source, depth, colon, end = self.source, 0, None, len(tokens)
        for offset in range(position + 1, len(tokens)):
            word = source.word(tokens[offset])
            depth += 1 if word in _OPEN else -1 if word in _CLOSE else 0
            if depth < 0 or (depth == 0 and word == "," and colon is not None):
                end = offset
                break
            if word == ":" and depth == 0 and colon is None:
                colon = offset
        if colon is None:
            return
        arms = [source.words(tokens[position + 1], tokens[colon]), source.words(tokens[colon + 1], tokens[end - 1] + 1)]
        # One arm of a known trivial type settles the type of both.
        if not any(self._single(arm, question) is True and not re.fullmatch(r'".*"', arm, re.S) for arm in arms) and not all(
            self._single(arm, question) is True for arm in arms
        ):
            self._report(question, "ternary")

    def _immediate_lambda(self, expression: Expression) -> None:
        """`[x]() -> Coro<> {...}()` outside an awaiting expression: the closure dies at the semicolon."""
        source = self.source
        for index in expression.tokens:
            if not (source.word(index) == "[" and source.is_lambda_intro(index) and source.partner[index] > index + 1):
                continue
            for brace, kind in source.kinds.items():
                if kind == "lambda" and source.lambda_intro(brace) == index:
                    head, closing = source.words(index, brace), source.partner.get(brace, brace)
                    body = source.words(brace, closing)
                    if source.word(closing + 1) == "(" and (re.search(r"->[^{]*\b" + AWAITABLE + r"\b", head) or re.search(r"\bco_(?:await|return|yield)\b", body)):
                        self._report(index, "lambda-dies")

    # Parameters.

    def _parameters(self) -> None:
        source = self.source
        for index, token in enumerate(source.tokens):
            if token.text != "(" or index not in source.partner or not re.fullmatch(r"[A-Za-z_]\w*", source.word(index - 1)):
                continue
            inside = source.words(index + 1, source.partner[index])
            if "initializer_list" not in inside and not re.search(r"=\s*(?:[\w:]+\s*)?(?:<[^()]*>)?\s*\{", inside):
                continue
            start = index - 1
            while start > 0 and source.word(start - 1) not in (";", "{", "}", "(", ")", ":") and index - start < 40:
                start -= 1
            if re.search(r"\b(?:co_await|co_yield|return|co_return|=)\s", source.words(start, index)):
                continue
            awaitable = re.search(r"\b" + AWAITABLE + r"\b", source.words(start, index)) or re.match(r"\)\s*(?:const\s*)?->\s*[\w:]*\b" + AWAITABLE, source.text[source.tokens[source.partner[index]].at :])
            for part in _split(inside) if awaitable else []:
                self._parameter(part, index)

    def _parameter(self, part: str, index: int) -> None:
        if re.search(r"\binitializer_list\s*<", part):
            self._report(index, "initializer-list-parameter")
        default = re.match(r"\s*(?:const\s+)?([\w:]+(?:\s*<.*>)?)\s*[&\s]+\w+\s*=\s*[\w:<>, ]*\{(.*)\}\s*$", part, re.S)
        if default:
            name = re.sub(r"<.*", "", default.group(1), flags=re.S).split("::")[-1].strip()
            is_list = name in ("vector", "set", "map", "list", "deque") and default.group(2).strip()
            is_array = name == "array" and self.declarations.triviality(default.group(1)) is False
            if is_list or is_array or self.declarations.is_bad_aggregate(name):
                self._report(index, "defaulted-aggregate")


# --- the program --------------------------------------------------------------------------------


def files_of(places: list[str]) -> Iterator[str]:
    """The C++ and Markdown files of the places; in a folder, not those of builds or planted cases."""
    for place in places:
        if not os.path.isdir(place):
            yield place
            continue
        for folder, folders, names in os.walk(place):
            folders[:] = sorted(f for f in folders if not f.startswith(".") and f != "build")
            for name in sorted(names):
                if name.endswith(EXTENSIONS) and not name.endswith("_lint_cases.cpp"):
                    yield os.path.normpath(os.path.join(folder, name))


def lint(paths: list[str]) -> list[Finding]:
    sources, declarations = [], Declarations()
    for path in paths:
        with open(path, encoding="utf-8", errors="replace") as file:
            sources.append(Source(path, file.read()))
        declarations.read(sources[-1])
    return [finding for source in sources for finding in Linter(source, declarations).run()]


def main() -> int:
    arguments = sys.argv[1:]
    if arguments == ["--list"]:
        for rule, text in RULES.items():
            print(f"{rule}: {text}")
        return 0
    if not arguments or arguments[0].startswith("-"):
        print(__doc__.strip(), file=sys.stderr)
        return 0 if arguments in (["-h"], ["--help"]) else 2
    try:
        findings = lint(list(files_of(arguments)))
    except OSError as error:
        print(f"asyncio-lint: {error}", file=sys.stderr)
        return 2
    for finding in findings:
        print(f"{finding.path}:{finding.line}: {finding.rule}: {RULES[finding.rule]}")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
