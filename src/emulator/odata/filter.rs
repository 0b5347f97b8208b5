//! `$filter`: comparisons, `startswith`, `in`, joined by `and` and `or`, negated by `not`.

use std::iter::Peekable;
use std::vec::IntoIter;

use serde_json::Value;

/// How deep parentheses may nest; Graph's own limit is lower than anyone's patience too.
const DEEPEST: usize = 16;

/// A parsed filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::emulator) enum Filter {
    All(Vec<Self>),
    Any(Vec<Self>),
    Not(Box<Self>),
    Equals { path: Vec<String>, wanted: Literal },
    StartsWith { path: Vec<String>, prefix: String },
}

/// A value to compare with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::emulator) enum Literal {
    Text(String),
    Bool(bool),
    Null,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Word(String),
    Text(String),
    Open,
    Close,
    Comma,
}

impl Filter {
    /// Parses the decoded text of a `$filter`; the error says where it failed.
    pub(in crate::emulator) fn parse(text: &str) -> Result<Self, String> {
        let mut parser = Parser { tokens: tokens(text)?.into_iter().peekable(), depth: 0 };
        let filter = parser.any()?;
        match parser.tokens.next() {
            None => Ok(filter),
            Some(token) => Err(format!("unexpected {token:?} in '{text}'")),
        }
    }

    /// Whether `item` passes.
    pub(in crate::emulator) fn holds(&self, item: &Value) -> bool {
        match self {
            Self::All(parts) => parts.iter().all(|part| part.holds(item)),
            Self::Any(parts) => parts.iter().any(|part| part.holds(item)),
            Self::Not(part) => !part.holds(item),
            Self::Equals { path, wanted } => match (member(item, path), wanted) {
                (Some(Value::String(text)), Literal::Text(wanted)) => same(text, wanted),
                (Some(Value::Bool(flag)), Literal::Bool(wanted)) => flag == wanted,
                (None | Some(Value::Null), Literal::Null) => true,
                _ => false,
            },
            Self::StartsWith { path, prefix } => match member(item, path) {
                Some(Value::String(text)) => {
                    text.to_lowercase().starts_with(&prefix.to_lowercase())
                }
                _ => false,
            },
        }
    }
}

/// Graph compares directory strings whatever their letters' case.
fn same(text: &str, wanted: &str) -> bool {
    text.to_lowercase() == wanted.to_lowercase()
}

fn member<'a>(item: &'a Value, path: &[String]) -> Option<&'a Value> {
    path.iter().try_fold(item, |value, name| {
        let mut fields = value.as_object()?.iter();
        fields.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    })
}

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            ' ' | '\t' => {}
            '(' => tokens.push(Token::Open),
            ')' => tokens.push(Token::Close),
            ',' => tokens.push(Token::Comma),
            '\'' => {
                let mut literal = String::new();
                loop {
                    match letters.next() {
                        // A quote inside a literal is written twice.
                        Some('\'') if letters.peek() == Some(&'\'') => {
                            letters.next();
                            literal.push('\'');
                        }
                        Some('\'') => break,
                        Some(letter) => literal.push(letter),
                        None => return Err(format!("unterminated string literal in '{text}'")),
                    }
                }
                tokens.push(Token::Text(literal));
            }
            letter => {
                let mut word = String::from(letter);
                while let Some(letter) = letters.next_if(|letter| !" \t(),'".contains(*letter)) {
                    word.push(letter);
                }
                tokens.push(Token::Word(word));
            }
        }
    }
    Ok(tokens)
}

struct Parser {
    tokens: Peekable<IntoIter<Token>>,
    depth: usize,
}

impl Parser {
    fn any(&mut self) -> Result<Filter, String> {
        let mut parts = vec![self.all()?];
        while self.word("or") {
            parts.push(self.all()?);
        }
        Ok(one_or(parts, Filter::Any))
    }

    fn all(&mut self) -> Result<Filter, String> {
        let mut parts = vec![self.part()?];
        while self.word("and") {
            parts.push(self.part()?);
        }
        Ok(one_or(parts, Filter::All))
    }

    fn part(&mut self) -> Result<Filter, String> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err("nested too deeply".to_owned());
        }
        let part = self.bare_part();
        self.depth -= 1;
        part
    }

    fn bare_part(&mut self) -> Result<Filter, String> {
        if self.word("not") {
            return Ok(Filter::Not(Box::new(self.part()?)));
        }
        match self.tokens.next() {
            Some(Token::Open) => {
                let inner = self.any()?;
                self.expect(&Token::Close)?;
                Ok(inner)
            }
            Some(Token::Word(word)) if word.eq_ignore_ascii_case("startswith") => {
                self.expect(&Token::Open)?;
                let path = self.path()?;
                self.expect(&Token::Comma)?;
                let prefix = self.text()?;
                self.expect(&Token::Close)?;
                Ok(Filter::StartsWith { path, prefix })
            }
            Some(Token::Word(word)) => self.comparison(split(&word)),
            other => Err(format!("a comparison is expected, not {other:?}")),
        }
    }

    fn comparison(&mut self, path: Vec<String>) -> Result<Filter, String> {
        let operator = match self.tokens.next() {
            Some(Token::Word(word)) => word.to_ascii_lowercase(),
            other => return Err(format!("an operator is expected after {path:?}, not {other:?}")),
        };
        match operator.as_str() {
            "eq" => Ok(Filter::Equals { path, wanted: self.literal()? }),
            "ne" => {
                let wanted = self.literal()?;
                Ok(Filter::Not(Box::new(Filter::Equals { path, wanted })))
            }
            "in" => {
                self.expect(&Token::Open)?;
                let mut parts = Vec::new();
                loop {
                    parts.push(Filter::Equals { path: path.clone(), wanted: self.literal()? });
                    match self.tokens.next() {
                        Some(Token::Comma) => {}
                        Some(Token::Close) => return Ok(Filter::Any(parts)),
                        other => return Err(format!("',' or ')' is expected, not {other:?}")),
                    }
                }
            }
            _ => Err(format!("operator '{operator}' is not supported")),
        }
    }

    fn literal(&mut self) -> Result<Literal, String> {
        match self.tokens.next() {
            Some(Token::Text(text)) => Ok(Literal::Text(text)),
            Some(Token::Word(word)) if word == "true" => Ok(Literal::Bool(true)),
            Some(Token::Word(word)) if word == "false" => Ok(Literal::Bool(false)),
            Some(Token::Word(word)) if word == "null" => Ok(Literal::Null),
            other => Err(format!("a literal is expected, not {other:?}")),
        }
    }

    fn text(&mut self) -> Result<String, String> {
        match self.tokens.next() {
            Some(Token::Text(text)) => Ok(text),
            other => Err(format!("a string literal is expected, not {other:?}")),
        }
    }

    fn path(&mut self) -> Result<Vec<String>, String> {
        match self.tokens.next() {
            Some(Token::Word(word)) => Ok(split(&word)),
            other => Err(format!("a property is expected, not {other:?}")),
        }
    }

    fn expect(&mut self, wanted: &Token) -> Result<(), String> {
        match self.tokens.next() {
            Some(token) if token == *wanted => Ok(()),
            other => Err(format!("{wanted:?} is expected, not {other:?}")),
        }
    }

    fn word(&mut self, wanted: &str) -> bool {
        let is_wanted =
            |token: &Token| matches!(token, Token::Word(word) if word.eq_ignore_ascii_case(wanted));
        self.tokens.next_if(is_wanted).is_some()
    }
}

fn one_or(mut parts: Vec<Filter>, many: fn(Vec<Filter>) -> Filter) -> Filter {
    match (parts.len(), parts.pop()) {
        (1, Some(part)) => part,
        (_, last) => {
            parts.extend(last);
            many(parts)
        }
    }
}

fn split(path: &str) -> Vec<String> {
    path.split('/').map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn holds(filter: &str) -> bool {
        let item = json!({
            "id": "1", "appId": "A-B", "displayName": "Workday's (EU) and more", "accountEnabled": true, "homepage": null,
            "status": {"code": "Quarantine"},
        });
        Filter::parse(filter).unwrap_or_else(|problem| panic!("{filter}: {problem}")).holds(&item)
    }

    #[test]
    fn compares_strings_in_any_case() {
        assert!(holds("appId eq 'a-b'"));
        assert!(!holds("appId eq 'a-c'"));
        assert!(holds("APPID eq 'A-B'"));
        assert!(holds("status/code eq 'Quarantine'"));
        assert!(!holds("status/none eq 'Quarantine'"));
    }

    #[test]
    fn a_doubled_quote_is_a_quote() {
        assert!(holds("displayName eq 'Workday''s (EU) and more'"));
        assert!(holds("startswith(displayName,'workday''s (')"));
        assert!(holds("startsWith(displayName, 'Work')"));
        assert!(!holds("startswith(displayName,'ork')"));
    }

    #[test]
    fn and_binds_tighter_than_or() {
        assert!(holds("id eq '1' or id eq '2' and id eq '3'"));
        assert!(!holds("(id eq '1' or id eq '2') and id eq '3'"));
        assert!(holds("not (id eq '2')"));
        assert!(holds("id ne '2' and accountEnabled eq true and homepage eq null"));
        assert!(holds("id in ('2','1')"));
    }

    #[test]
    fn refuses_what_it_cannot_read() {
        for text in [
            "",
            "id",
            "id eq",
            "id eq 1'",
            "id eq 'x",
            "id gt 'x'",
            "id eq 'x' id",
            "(id eq 'x'",
            "startswith(id)",
            "endswith(id,'x')",
            "id in ()",
        ] {
            assert!(Filter::parse(text).is_err(), "{text}");
        }
        assert!(Filter::parse(&"(".repeat(100_000)).is_err());
        assert!(Filter::parse(&"not ".repeat(100_000)).is_err());
    }
}
