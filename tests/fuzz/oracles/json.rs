//! A reader of JSON that shares no code with the program's: RFC 8259's grammar by the letter, every
//! member in its order, and a text only where it is one.
//!
//! By hand, since `serde_json` is what both the program and `azure_identity` read with: asked a second
//! time it would be wrong in the same way. Its `Value` also forgets a name that is there twice, and
//! refuses the whole body for half a character in one text.

/// A value.
#[derive(Debug)]
pub enum Json {
    /// Members as they stand, also where a name is there twice.
    Object(Vec<(Text, Self)>),
    Array(Vec<Self>),
    Text(Text),
    /// Its digits.
    Number(String),
    /// `true`, `false` or `null`.
    Word,
}

/// A text; none where its bytes or its escapes are no text.
pub type Text = Option<String>;

/// A body that is JSON.
#[derive(Debug)]
pub struct Read {
    pub value: Json,
    /// Whether every reader takes it: all texts are text, and nothing is deep or beyond a number's range.
    pub plain: bool,
}

impl Json {
    /// Every value of this name.
    pub fn all<'a>(&'a self, name: &'a str) -> impl DoubleEndedIterator<Item = &'a Self> {
        let members = if let Self::Object(members) = self { members.as_slice() } else { &[] };
        members.iter().filter(move |(it, _)| it.as_deref() == Some(name)).map(|(_, value)| value)
    }

    /// The value of a name that is there once.
    pub fn only<'a>(&'a self, name: &'a str) -> Option<&'a Self> {
        let mut all = self.all(name);
        all.next().filter(|_| all.next().is_none())
    }

    pub fn text(&self) -> Option<&str> {
        if let Self::Text(text) = self { text.as_deref() } else { None }
    }

    pub fn whole(&self) -> Option<i64> {
        if let Self::Number(digits) = self { digits.parse().ok() } else { None }
    }

    /// The texts among its items or members.
    pub fn texts(&self) -> Vec<&str> {
        match self {
            Self::Object(members) => members.iter().filter_map(|(_, value)| value.text()).collect(),
            Self::Array(items) => items.iter().filter_map(Self::text).collect(),
            Self::Text(_) | Self::Number(_) | Self::Word => Vec::new(),
        }
    }
}

/// What is begun and not ended.
enum Open {
    Object(Vec<(Text, Json)>, Text),
    Array(Vec<Json>),
}

/// Reads a whole body. It keeps what is open in a list, so that depth costs no stack.
pub fn read(body: &[u8]) -> Option<Read> {
    let mut reader = Reader { rest: body, plain: true };
    let mut open: Vec<Open> = Vec::new();
    loop {
        reader.plain &= open.len() < 100;
        reader.blank();
        let mut value = match reader.next()? {
            b'{' if reader.ends(b'}') => Json::Object(Vec::new()),
            b'{' => {
                open.push(Open::Object(Vec::new(), reader.name()?));
                continue;
            }
            b'[' if reader.ends(b']') => Json::Array(Vec::new()),
            b'[' => {
                open.push(Open::Array(Vec::new()));
                continue;
            }
            b'"' => Json::Text(reader.text()?),
            b't' => reader.word(b"rue")?,
            b'f' => reader.word(b"alse")?,
            b'n' => reader.word(b"ull")?,
            first => reader.number(first)?,
        };
        // It is ended, and with it perhaps what holds it.
        loop {
            reader.blank();
            value = match open.pop() {
                None => {
                    return reader.rest.is_empty().then_some(Read { value, plain: reader.plain });
                }
                Some(Open::Array(mut items)) => {
                    items.push(value);
                    match reader.next()? {
                        b',' => {
                            open.push(Open::Array(items));
                            break;
                        }
                        b']' => Json::Array(items),
                        _ => return None,
                    }
                }
                Some(Open::Object(mut members, name)) => {
                    members.push((name, value));
                    match reader.next()? {
                        b',' => {
                            open.push(Open::Object(members, reader.name()?));
                            break;
                        }
                        b'}' => Json::Object(members),
                        _ => return None,
                    }
                }
            };
        }
    }
}

struct Reader<'a> {
    rest: &'a [u8],
    plain: bool,
}

impl Reader<'_> {
    fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    fn blank(&mut self) {
        while let Some((b' ' | b'\t' | b'\n' | b'\r', rest)) = self.rest.split_first() {
            self.rest = rest;
        }
    }

    /// Whether this comes next, behind blanks. It is taken.
    fn ends(&mut self, end: u8) -> bool {
        self.blank();
        let ends = self.rest.first() == Some(&end);
        if ends {
            self.next();
        }
        ends
    }

    fn word(&mut self, rest: &[u8]) -> Option<Json> {
        self.rest = self.rest.strip_prefix(rest)?;
        Some(Json::Word)
    }

    /// A member's name, and the colon behind it.
    fn name(&mut self) -> Option<Text> {
        self.blank();
        let name = (self.next()? == b'"').then(|| self.text())??;
        self.ends(b':').then_some(name)
    }

    fn text(&mut self) -> Option<Text> {
        let mut bytes = Vec::new();
        let (mut good, mut high) = (true, None);
        loop {
            let unit = match self.next()? {
                b'"' => break,
                b'\\' => match self.next()? {
                    byte @ (b'"' | b'\\' | b'/') => u32::from(byte),
                    b'b' => 8,
                    b'f' => 12,
                    b'n' => 10,
                    b'r' => 13,
                    b't' => 9,
                    b'u' => self.hex()?,
                    _ => return None,
                },
                0..=0x1f => return None,
                byte => {
                    good &= high.is_none();
                    bytes.push(byte);
                    continue;
                }
            };
            // Two halves make one character; one alone makes none.
            let point = match (high.take(), unit) {
                (None, 0xd800..=0xdbff) => {
                    high = Some(unit);
                    continue;
                }
                (Some(high), 0xdc00..=0xdfff) => {
                    0x1_0000 + ((high - 0xd800) << 10) + (unit - 0xdc00)
                }
                (Some(_), _) => 0xd800,
                (None, unit) => unit,
            };
            match char::from_u32(point) {
                Some(c) => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
                None => good = false,
            }
        }
        let text = String::from_utf8(bytes).ok().filter(|_| good && high.is_none());
        self.plain &= text.is_some();
        Some(text)
    }

    fn hex(&mut self) -> Option<u32> {
        (0..4).try_fold(0, |value, _| Some(value * 16 + char::from(self.next()?).to_digit(16)?))
    }

    fn number(&mut self, first: u8) -> Option<Json> {
        let mut digits = String::from(char::from(first));
        while let Some((byte @ (b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E'), rest)) =
            self.rest.split_first()
        {
            digits.push(char::from(*byte));
            self.rest = rest;
        }
        let bare = digits.strip_prefix('-').unwrap_or(&digits);
        let (bare, power) = match bare.split_once(['e', 'E']) {
            Some((bare, power)) => (bare, Some(power.strip_prefix(['+', '-']).unwrap_or(power))),
            None => (bare, None),
        };
        let (whole, part) = match bare.split_once('.') {
            Some((whole, part)) => (whole, Some(part)),
            None => (bare, None),
        };
        let all = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let is_one = all(whole)
            && (whole == "0" || !whole.starts_with('0'))
            && part.is_none_or(all)
            && power.is_none_or(all);
        // Beyond a float's range, or less than nothing: readers differ.
        self.plain &= digits.len() < 100 && power.is_none() && digits != "-0";
        is_one.then_some(Json::Number(digits))
    }
}
