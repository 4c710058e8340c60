//! A Rust file as tokens, and the paths that its code names.
//!
//! Small on purpose: it knows comments, strings, characters and lifetimes apart, joins `a::{b, c::d}`
//! to whole paths and resolves `self` and `super`. It does not know macros' insides or `use .. as`
//! renames; a rule that matters is written so that neither hides a breach.

/// What a stretch of text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An identifier, keyword or number.
    Word,
    /// The inside of a string literal of any sort, escapes as written.
    Text,
    /// The inside of a comment, documentation included.
    Comment,
    /// One character of punctuation.
    Mark,
}

/// A stretch of text.
#[derive(Debug, Clone, Copy)]
pub struct Token<'a> {
    /// What it is.
    pub kind: Kind,
    /// As written, without quotes or comment signs.
    pub text: &'a str,
    /// Counted from 1.
    pub line: usize,
}

/// A Rust file.
pub struct Source<'a> {
    /// From the workspace root.
    pub path: &'a str,
    /// All of it.
    pub tokens: Vec<Token<'a>>,
}

/// A path that code names, as `["crate", "sessions", "store"]`.
#[derive(Debug)]
pub struct Named {
    /// Its parts; relative ones are resolved.
    pub parts: Vec<String>,
    /// Where it begins.
    pub line: usize,
}

impl Named {
    /// Whether the path begins with these parts.
    pub fn begins(&self, parts: &[&str]) -> bool {
        self.parts.len() >= parts.len() && self.parts.iter().zip(parts).all(|(own, part)| own == part)
    }

    /// Whether these parts stand in the path, one after the other.
    pub fn holds(&self, parts: &[&str]) -> bool {
        self.parts.windows(parts.len()).any(|window| window.iter().zip(parts).all(|(own, part)| own == part))
    }
}

impl<'a> Source<'a> {
    /// Cuts `text` into tokens.
    pub fn new(path: &'a str, text: &'a str) -> Source<'a> {
        Source { path, tokens: Cutter { text, at: 0, line: 1 }.collect() }
    }

    /// `path:line: what`
    pub fn breach(&self, line: usize, what: impl std::fmt::Display) -> String {
        format!("{}:{line}: {what}", self.path)
    }

    /// The tokens that are code: words and marks, and strings for their place.
    pub fn code(&self) -> Vec<Token<'a>> {
        self.tokens.iter().copied().filter(|token| token.kind != Kind::Comment).collect()
    }

    /// The string literals.
    pub fn texts(&self) -> impl Iterator<Item = &Token<'a>> {
        self.tokens.iter().filter(|token| token.kind == Kind::Text)
    }

    /// The module that this file is, below its crate's root.
    fn module(&self) -> Vec<String> {
        let inside = self.path.split_once("/src/").map_or(self.path, |(_, inside)| inside);
        let mut parts: Vec<String> = inside.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
        if parts.last().is_some_and(|last| ["mod", "lib", "main"].contains(&last.as_str())) {
            parts.pop();
        }
        parts
    }

    /// Every path that the code names; a lone word is a path of one part.
    pub fn paths(&self) -> Vec<Named> {
        let code = self.code();
        let mut module = self.module();
        // Inline modules that are open: the depth of their brace.
        let mut open = Vec::new();
        let (mut depth, mut at, mut found) = (0_usize, 0, Vec::new());
        while let Some(token) = code.get(at) {
            match (token.kind, token.text) {
                (Kind::Word, "mod") if mark(&code, at + 2, "{") => {
                    depth += 1;
                    open.push(depth);
                    module.extend(code.get(at + 1).map(|name| name.text.to_owned()));
                    at += 3;
                }
                (Kind::Word, _) => {
                    let begun = found.len();
                    at = path(&code, at, &[], &mut found);
                    found[begun..].iter_mut().for_each(|named| resolve(&module, named));
                }
                _ => {
                    match token.text {
                        "{" if token.kind == Kind::Mark => depth += 1,
                        "}" if token.kind == Kind::Mark => {
                            if open.last() == Some(&depth) {
                                open.pop();
                                module.pop();
                            }
                            depth = depth.saturating_sub(1);
                        }
                        _ => {}
                    }
                    at += 1;
                }
            }
        }
        found
    }
}

fn mark(code: &[Token], at: usize, text: &str) -> bool {
    code.get(at).is_some_and(|token| token.kind == Kind::Mark && token.text == text)
}

/// Reads the path that begins at `at`, with every branch of its braces; returns where it ends.
fn path(code: &[Token], mut at: usize, before: &[String], found: &mut Vec<Named>) -> usize {
    let line = code[at].line;
    let mut parts = before.to_vec();
    loop {
        if mark(code, at, "{") {
            at += 1;
            while at < code.len() && !mark(code, at, "}") {
                if code[at].text == "as" {
                    // The new name is no path.
                    at += 2;
                } else if code[at].kind == Kind::Word || ["*", "{"].contains(&code[at].text) {
                    at = path(code, at, &parts, found);
                } else {
                    at += 1;
                }
            }
            return at + 1;
        }
        match code.get(at) {
            Some(token) if token.kind == Kind::Word || token.text == "*" => parts.push(token.text.to_owned()),
            _ => break,
        }
        at += 1;
        let goes_on = mark(code, at, ":") && mark(code, at + 1, ":");
        let next = code.get(at + 2).is_some_and(|token| token.kind == Kind::Word || ["{", "*"].contains(&token.text));
        if !(goes_on && next) {
            break;
        }
        at += 2;
    }
    found.push(Named { parts, line });
    at
}

/// Makes a path that begins with `self` or `super` begin with `crate`.
fn resolve(module: &[String], named: &mut Named) {
    let ups = named.parts.iter().take_while(|part| *part == "super").count();
    let own = usize::from(named.parts.first().is_some_and(|part| part == "self"));
    if named.parts.len() > 1 && ups + own > 0 {
        let above = &module[..module.len().saturating_sub(ups)];
        let rest = named.parts.split_off(ups + own);
        named.parts = std::iter::once("crate".to_owned()).chain(above.iter().cloned()).chain(rest).collect();
    }
}

/// Cuts text into tokens.
struct Cutter<'a> {
    text: &'a str,
    at: usize,
    line: usize,
}

impl<'a> Cutter<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    /// Takes `length` bytes as a token, of which `front` and `back` are its signs.
    fn take(&mut self, kind: Kind, length: usize, front: usize, back: usize) -> Token<'a> {
        let whole = &self.rest()[..length];
        let token = Token { kind, text: &whole[front..length.saturating_sub(back).max(front)], line: self.line };
        self.line += whole.matches('\n').count();
        self.at += length;
        token
    }

    /// Length of a string literal of any sort at this place, with the lengths of its opening and closing signs.
    fn literal(&self) -> Option<(usize, usize, usize)> {
        let rest = self.rest();
        let prefix = ["br", "cr", "b", "c", "r", ""].into_iter().find(|prefix| {
            rest.strip_prefix(prefix).is_some_and(|after| {
                after.starts_with('"') || (prefix.ends_with('r') && after.trim_start_matches('#').starts_with('"'))
            })
        })?;
        let after = &rest[prefix.len()..];
        if prefix.ends_with('r') {
            let hashes = after.len() - after.trim_start_matches('#').len();
            let close = format!("\"{}", "#".repeat(hashes));
            let front = prefix.len() + hashes + 1;
            let inside = rest[front..].find(&close).unwrap_or(rest.len() - front);
            return Some(((front + inside + close.len()).min(rest.len()), front, close.len()));
        }
        let front = prefix.len() + 1;
        let end = closing(&rest[front..], '"').unwrap_or(rest.len() - front);
        Some(((front + end + 1).min(rest.len()), front, 1))
    }

    /// Length of a character literal (`'a'`, `b'\n'`), if this is one and no lifetime.
    fn character(&self) -> Option<(usize, usize)> {
        let front = if self.rest().starts_with("b'") { 2 } else { 1 };
        let after = self.rest().get(front - 1..)?.strip_prefix('\'')?;
        let first = after.chars().next()?;
        let length = if first == '\\' { closing(after, '\'')? } else { first.len_utf8() };
        after[length..].starts_with('\'').then_some((front + length + 1, front))
    }
}

/// Where the first `quote` stands that no backslash stands before.
fn closing(text: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return Some(at),
            _ => {}
        }
    }
    None
}

/// Length of a block comment; Rust's nest.
fn block(text: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < text.len() {
        if text[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if text[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

impl<'a> Iterator for Cutter<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        let blank = self.rest().len() - self.rest().trim_start().len();
        self.take(Kind::Mark, blank, 0, 0);
        let rest = self.rest();
        let first = rest.chars().next()?;
        if rest.starts_with("//") {
            let length = rest.find('\n').unwrap_or(rest.len());
            return Some(self.take(Kind::Comment, length, 2, 0));
        }
        if rest.starts_with("/*") {
            return Some(self.take(Kind::Comment, block(rest), 2, 2));
        }
        if let Some((length, front, back)) = self.literal() {
            return Some(self.take(Kind::Text, length, front, back));
        }
        if let Some((length, front)) = self.character() {
            return Some(self.take(Kind::Text, length, front, 1));
        }
        if first.is_alphanumeric() || first == '_' {
            let length = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            return Some(self.take(Kind::Word, length, 0, 0));
        }
        Some(self.take(Kind::Mark, first.len_utf8(), 0, 0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(text: &str) -> Vec<(Kind, &str)> {
        Source::new("x.rs", text).tokens.into_iter().map(|token| (token.kind, token.text)).collect()
    }

    fn named(path: &str, text: &str) -> Vec<String> {
        Source::new(path, text).paths().into_iter().map(|named| named.parts.join("::")).collect()
    }

    #[test]
    fn strings_comments_characters_and_lifetimes_are_told_apart() {
        use Kind::{Comment, Mark, Text, Word};
        assert_eq!(kinds(r#"a // "b" 'c"#), [(Word, "a"), (Comment, r#" "b" 'c"#)]);
        assert_eq!(kinds("/* a /* b */ c */ d"), [(Comment, " a /* b */ c "), (Word, "d")]);
        assert_eq!(kinds(r#""a \" // b" c"#), [(Text, r#"a \" // b"#), (Word, "c")]);
        assert_eq!(kinds(r###"br##"a "# b"## c"###), [(Text, r##"a "# b"##), (Word, "c")]);
        assert_eq!(kinds(r#"'"' b'\'' c"#), [(Text, "\""), (Text, r"\'"), (Word, "c")]);
        assert_eq!(kinds("&'a b"), [(Mark, "&"), (Mark, "'"), (Word, "a"), (Word, "b")]);
        assert_eq!(kinds("r#type"), [(Word, "r"), (Mark, "#"), (Word, "type")]);
    }

    #[test]
    fn tokens_know_their_line() {
        let source = Source::new("x.rs", "a\n\"b\nc\"\n/* d\n */ e");
        let lines: Vec<_> = source.tokens.iter().map(|token| token.line).collect();
        assert_eq!(lines, [1, 2, 4, 5]);
    }

    #[test]
    fn grouped_imports_are_whole_paths() {
        let text = "use crate::{a::{b, c as d}, e::*, self as f}; x::<Y>()";
        let expected = ["use", "crate::a::b", "crate::a::c", "crate::e::*", "crate::self", "x", "Y"];
        assert_eq!(named("crates/usher/src/lib.rs", text), expected);
    }

    #[test]
    fn relative_paths_are_resolved_also_in_an_inline_module() {
        let path = "crates/usher/src/sessions/api.rs";
        assert_eq!(named(path, "super::store::FIND"), ["crate::sessions::store::FIND"]);
        assert_eq!(named(path, "self::page"), ["crate::sessions::api::page"]);
        assert_eq!(named("crates/usher/src/sessions/mod.rs", "super::media::store"), ["crate::media::store"]);
        assert_eq!(
            named(path, "mod tests { super::super::store }  super::y"),
            ["crate::sessions::store", "crate::sessions::y"]
        );
    }
}
