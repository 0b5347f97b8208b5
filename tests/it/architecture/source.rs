//! Rust source as far as imports need it: words and signs without comments and texts, the modules
//! they are in, and the paths that they make.

use std::{iter::Peekable, str::Chars};

/// One file.
#[derive(Debug, Clone)]
pub(super) struct File {
    /// Below `src`, as in `guard/attempt.rs`.
    pub(super) path: String,
    /// The module it is: `["guard", "attempt"]`; none for `lib.rs` and `main.rs`.
    pub(super) module: Vec<String>,
    /// Every path in it.
    pub(super) imports: Vec<Import>,
    /// Modules in files of their own that exist for tests alone, by their full path.
    pub(super) test_modules: Vec<Vec<String>>,
    /// Lines with `#[path]`, which would hide a file from its place.
    pub(super) misplaced: Vec<usize>,
}

/// A path, from a `use` tree's leaf or from plain code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Import {
    /// Its line.
    pub(super) line: usize,
    /// As written, segment by segment; `*` for a glob. A leaf `self` is left out.
    pub(super) path: Vec<String>,
    /// The module it is written in.
    pub(super) within: Vec<String>,
    /// Whether that is for tests alone.
    pub(super) in_test: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Word(String),
    /// `::`
    Colons,
    Sign(char),
}

impl File {
    pub(super) fn read(path: &str, text: &str) -> Self {
        let stem = path.trim_end_matches(".rs");
        let module: Vec<String> = match stem {
            "lib" | "main" => Vec::new(),
            _ => stem.split('/').map(str::to_owned).collect(),
        };
        let tokens = Lexer { chars: text.chars().peekable(), line: 1 }.tokens();
        let mut reader = Reader {
            tokens: &tokens,
            at: 0,
            scopes: Vec::new(),
            depth: 0,
            root: module.clone(),
            imports: Vec::new(),
            test_modules: Vec::new(),
            misplaced: Vec::new(),
        };
        reader.read();
        let Reader { imports, test_modules, misplaced, .. } = reader;
        Self { path: path.to_owned(), module, imports, test_modules, misplaced }
    }
}

/// Walks over the tokens of a file.
struct Reader<'a> {
    tokens: &'a [(usize, Token)],
    at: usize,
    /// Inline modules that are open: name, depth of their braces, whether for tests.
    scopes: Vec<(String, usize, bool)>,
    depth: usize,
    root: Vec<String>,
    imports: Vec<Import>,
    test_modules: Vec<Vec<String>>,
    misplaced: Vec<usize>,
}

impl Reader<'_> {
    fn peek(&self, ahead: usize) -> Option<&Token> {
        self.tokens.get(self.at + ahead).map(|(_, token)| token)
    }

    fn line(&self) -> usize {
        self.tokens.get(self.at).map_or(0, |(line, _)| *line)
    }

    fn word(&self, ahead: usize) -> Option<&str> {
        match self.peek(ahead) {
            Some(Token::Word(word)) => Some(word),
            Some(Token::Colons | Token::Sign(_)) | None => None,
        }
    }

    fn is(&self, ahead: usize, sign: char) -> bool {
        self.peek(ahead) == Some(&Token::Sign(sign))
    }

    fn read(&mut self) {
        // Whether the item that comes next has `#[cfg(test)]` before it.
        let mut for_tests = false;
        while let Some(token) = self.peek(0).cloned() {
            match token {
                Token::Sign('#') => {
                    for_tests |= self.attribute();
                    continue;
                }
                Token::Sign('{') => self.depth += 1,
                Token::Sign('}') => {
                    self.scopes.retain(|(_, depth, _)| *depth < self.depth);
                    self.depth = self.depth.saturating_sub(1);
                    for_tests = false;
                }
                Token::Sign(';') => for_tests = false,
                Token::Sign(_) => {}
                Token::Colons | Token::Word(_) if self.path_starts() => {
                    self.path();
                    continue;
                }
                Token::Word(word) if word == "use" => {
                    self.at += 1;
                    self.tree(&[]);
                    continue;
                }
                Token::Word(word) if word == "mod" => self.module(for_tests),
                Token::Colons | Token::Word(_) => {}
            }
            self.at += 1;
        }
    }

    /// Goes over an attribute; true for `#[cfg(test)]`.
    fn attribute(&mut self) -> bool {
        self.at += 1;
        if self.is(0, '!') {
            self.at += 1;
        }
        if !self.is(0, '[') {
            return false;
        }
        if self.word(1) == Some("path") {
            self.misplaced.push(self.line());
        }
        let is_test = self.word(1) == Some("cfg")
            && self.is(2, '(')
            && self.word(3) == Some("test")
            && self.is(4, ')');
        let mut open = 0_usize;
        while let Some(token) = self.peek(0) {
            match token {
                Token::Sign('[') => open += 1,
                Token::Sign(']') => open -= 1,
                Token::Sign(_) | Token::Colons | Token::Word(_) => {}
            }
            self.at += 1;
            if open == 0 {
                break;
            }
        }
        is_test
    }

    /// `mod name {` opens a module; `mod name;` declares a file.
    fn module(&mut self, for_tests: bool) {
        let Some(name) = self.word(1).map(str::to_owned) else { return };
        if self.is(2, '{') {
            self.scopes.push((name, self.depth + 1, for_tests));
        } else if self.is(2, ';') && for_tests {
            let mut path = self.within();
            path.push(name);
            self.test_modules.push(path);
        }
    }

    fn within(&self) -> Vec<String> {
        let inner = self.scopes.iter().map(|(name, _, _)| name.clone());
        self.root.iter().cloned().chain(inner).collect()
    }

    /// Whether a path of at least two segments starts here, and not in the middle of one.
    fn path_starts(&self) -> bool {
        let follows = self.at.checked_sub(1).and_then(|before| self.tokens.get(before));
        if matches!(follows, Some((_, Token::Colons | Token::Sign('.')))) {
            return false;
        }
        match self.peek(0) {
            Some(Token::Word(word)) => {
                !is_keyword(word) && self.peek(1) == Some(&Token::Colons) && self.word(2).is_some()
            }
            // `Vec::<x>` and `<T as Trait>::x` are not paths from the root.
            Some(Token::Colons) => match follows {
                Some((_, Token::Word(word))) => is_keyword(word) && self.word(1).is_some(),
                Some((_, Token::Sign('>' | ')' | ']'))) => false,
                Some((_, Token::Sign(_) | Token::Colons)) | None => self.word(1).is_some(),
            },
            Some(Token::Sign(_)) | None => false,
        }
    }

    fn path(&mut self) {
        let line = self.line();
        let mut path = Vec::new();
        if self.peek(0) == Some(&Token::Colons) {
            self.at += 1;
        }
        while let Some(word) = self.word(0).map(str::to_owned) {
            path.push(word);
            self.at += 1;
            if self.peek(0) != Some(&Token::Colons) || self.word(1).is_none() {
                break;
            }
            self.at += 1;
        }
        self.import(line, path);
    }

    /// A `use` tree, up to its `;`, `,` or `}`.
    fn tree(&mut self, before: &[String]) {
        let mut path = before.to_vec();
        loop {
            let line = self.line();
            match self.peek(0).cloned() {
                Some(Token::Colons) => self.at += 1,
                Some(Token::Word(word)) => {
                    self.at += 1;
                    let ends = self.peek(0) != Some(&Token::Colons);
                    if !(ends && word == "self" && !path.is_empty()) {
                        path.push(word);
                    }
                    if ends {
                        self.import(line, path);
                        if self.word(0) == Some("as") {
                            self.at += 2;
                        }
                        return;
                    }
                }
                Some(Token::Sign('*')) => {
                    self.at += 1;
                    path.push("*".to_owned());
                    self.import(line, path);
                    return;
                }
                Some(Token::Sign('{')) => {
                    self.at += 1;
                    while !self.is(0, '}') && self.peek(0).is_some() {
                        self.tree(&path);
                        if self.is(0, ',') {
                            self.at += 1;
                        }
                    }
                    self.at += 1;
                    return;
                }
                // `use<'a>` of a signature, or the end of the file.
                Some(Token::Sign(_)) | None => return,
            }
        }
    }

    fn import(&mut self, line: usize, path: Vec<String>) {
        let in_test = self.scopes.iter().any(|(_, _, for_tests)| *for_tests);
        let within = self.within();
        self.imports.push(Import { line, path, within, in_test });
    }
}

/// Words after which a path from the root (`::a`) may come, and which start none.
fn is_keyword(word: &str) -> bool {
    const WORDS: &[&str] = &[
        "as", "await", "break", "const", "dyn", "else", "for", "if", "impl", "in", "let", "match",
        "move", "mut", "ref", "return", "static", "unsafe", "use", "where", "while",
    ];
    WORDS.contains(&word)
}

struct Lexer<'a> {
    chars: Peekable<Chars<'a>>,
    line: usize,
}

impl Lexer<'_> {
    fn tokens(mut self) -> Vec<(usize, Token)> {
        let mut tokens = Vec::new();
        while let Some(c) = self.next() {
            let line = self.line;
            match c {
                '/' if self.chars.peek() == Some(&'/') => while self.next_if(|c| c != '\n') {},
                '/' if self.chars.peek() == Some(&'*') => self.comment(),
                '"' => self.text(),
                '\'' => self.letter_or_lifetime(),
                ':' if self.chars.peek() == Some(&':') => {
                    self.next();
                    tokens.push((line, Token::Colons));
                }
                c if c.is_alphanumeric() || c == '_' => {
                    let word = self.word(c);
                    let prefix = matches!(word.as_str(), "r" | "b" | "br" | "c" | "cr");
                    match self.chars.peek() {
                        Some('"') if prefix && !word.contains('r') => {}
                        Some('"' | '#') if prefix && word.contains('r') => {
                            if let Some(raw) = self.raw() {
                                tokens.push((line, Token::Word(raw)));
                            }
                        }
                        Some(_) | None => tokens.push((line, Token::Word(word))),
                    }
                }
                c if c.is_whitespace() => {}
                c => tokens.push((line, Token::Sign(c))),
            }
        }
        tokens
    }

    fn next(&mut self) -> Option<char> {
        let c = self.chars.next();
        self.line += usize::from(c == Some('\n'));
        c
    }

    fn next_if(&mut self, wanted: impl Fn(char) -> bool) -> bool {
        let go_on = self.chars.peek().copied().is_some_and(wanted);
        if go_on {
            self.next();
        }
        go_on
    }

    fn word(&mut self, first: char) -> String {
        let mut word = String::from(first);
        while let Some(c) = self.chars.peek().copied().filter(|c| c.is_alphanumeric() || *c == '_')
        {
            word.push(c);
            self.next();
        }
        word
    }

    /// The rest of a block comment, with those inside it.
    fn comment(&mut self) {
        let mut open = 0_usize;
        let mut last = '/';
        while let Some(c) = self.next() {
            match (last, c) {
                ('/', '*') => {
                    open += 1;
                    last = ' ';
                }
                ('*', '/') => {
                    open -= 1;
                    last = ' ';
                }
                (_, c) => last = c,
            }
            if open == 0 {
                return;
            }
        }
    }

    /// The rest of a text in quotes.
    fn text(&mut self) {
        while let Some(c) = self.next() {
            match c {
                '\\' => drop(self.next()),
                '"' => return,
                _ => {}
            }
        }
    }

    /// What follows an `r`: a raw text, or a word that is no keyword here (`r#type`), which is
    /// returned.
    fn raw(&mut self) -> Option<String> {
        let mut hashes = 0_usize;
        while self.next_if(|c| c == '#') {
            hashes += 1;
        }
        if !self.next_if(|c| c == '"') {
            let first = self.next()?;
            return Some(self.word(first));
        }
        let mut seen = None;
        while let Some(c) = self.next() {
            seen = match (c, seen) {
                ('"', _) => Some(0_usize),
                ('#', Some(count)) => Some(count + 1),
                _ => None,
            };
            if seen == Some(hashes) {
                return None;
            }
        }
        None
    }

    /// After a quote: a letter up to its closing quote, or the name of a lifetime.
    fn letter_or_lifetime(&mut self) {
        match self.next() {
            Some('\\') => {
                self.next();
                while self.next_if(|c| c != '\'') {}
                self.next();
            }
            Some(_) => {
                let closed = self.next_if(|c| c == '\'');
                while !closed && self.next_if(|c| c.is_alphanumeric() || c == '_') {}
            }
            None => {}
        }
    }
}
