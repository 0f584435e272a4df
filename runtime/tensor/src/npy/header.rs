//! The header's dictionary: `{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }`.
//! Only the literals that an array of plain numbers needs are read; everything else is refused by name.

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Float,
    Signed,
    Unsigned,
    Bool,
    /// Complex, text, dates, objects, raw bytes: kinds of NumPy that no tensor has.
    Foreign,
}

#[derive(PartialEq, Eq, Debug)]
pub struct Header {
    /// The element type as the file writes it.
    pub descr: String,
    pub kind: Kind,
    /// Bytes of an element.
    pub size: usize,
    pub big_endian: bool,
    pub fortran_order: bool,
    pub shape: Vec<usize>,
}

impl Header {
    pub fn parse(text: &str) -> Result<Header, String> {
        let mut cursor = Cursor { text, at: 0 };
        let (mut descr, mut fortran_order, mut shape) = (None, None, None);
        cursor.expect('{')?;
        while !cursor.eat('}') {
            let at = cursor.at;
            let key = cursor.quoted()?;
            cursor.expect(':')?;
            let fresh = match key {
                "descr" => descr.replace(cursor.descr()?).is_none(),
                "fortran_order" => fortran_order.replace(cursor.truth()?).is_none(),
                "shape" => shape.replace(cursor.tuple()?).is_none(),
                _ => return Err(format!("the header has the unknown key `{key}` at byte {at}")),
            };
            if !fresh {
                return Err(format!("the header states `{key}` twice"));
            }
            if !cursor.eat(',') {
                cursor.expect('}')?;
                break;
            }
        }
        cursor.skip_blanks();
        if cursor.at < text.len() {
            return Err(format!("the header goes on after its dictionary, at byte {}", cursor.at));
        }
        let missing = |key: &str| format!("the header lacks `{key}`");
        let descr = descr.ok_or_else(|| missing("descr"))?;
        let (kind, size, big_endian) =
            element(&descr).ok_or_else(|| format!("`{descr}` is no element type"))?;
        Ok(Header {
            kind,
            size,
            big_endian,
            fortran_order: fortran_order.ok_or_else(|| missing("fortran_order"))?,
            shape: shape.ok_or_else(|| missing("shape"))?,
            descr,
        })
    }
}

/// Byte order, kind letter, size.
fn element(descr: &str) -> Option<(Kind, usize, bool)> {
    if descr.starts_with('[') {
        return Some((Kind::Foreign, 0, false));
    }
    let mut letters = descr.chars();
    let order = letters.next()?;
    let letter = letters.next()?;
    let size = letters.as_str();
    let big_endian = match order {
        '<' | '|' => false,
        '=' => cfg!(target_endian = "big"),
        '>' => true,
        _ => return None,
    };
    let kind = match letter {
        'f' => Kind::Float,
        'i' => Kind::Signed,
        'u' => Kind::Unsigned,
        'b' => Kind::Bool,
        'c' | 'm' | 'M' | 'O' | 'S' | 'a' | 'U' | 'V' => return Some((Kind::Foreign, 0, big_endian)),
        _ => return None,
    };
    // At most two digits: no number is wider than 99 bytes.
    let digits = (1..=2).contains(&size.len()) && size.bytes().all(|byte| byte.is_ascii_digit());
    if !digits {
        return None;
    }
    Some((kind, size.parse().ok()?, big_endian))
}

struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn skip_blanks(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start_matches([' ', '\t', '\n', '\r']).len();
    }

    fn eat(&mut self, wanted: char) -> bool {
        self.skip_blanks();
        let found = self.rest().starts_with(wanted);
        if found {
            self.at += wanted.len_utf8();
        }
        found
    }

    fn expect(&mut self, wanted: char) -> Result<(), String> {
        if self.eat(wanted) {
            Ok(())
        } else {
            Err(format!("the header should have `{wanted}` at byte {}", self.at))
        }
    }

    /// A string without escapes: no valid key or element type has any.
    fn quoted(&mut self) -> Result<&'a str, String> {
        self.skip_blanks();
        let start = self.at;
        let quote = if self.eat('\'') {
            '\''
        } else if self.eat('"') {
            '"'
        } else {
            return Err(format!("the header should have a string at byte {start}"));
        };
        let rest = self.rest();
        let end = rest
            .find(quote)
            .ok_or_else(|| format!("the string at byte {start} of the header does not end"))?;
        self.at += end + 1;
        Ok(&rest[..end])
    }

    /// The element type, or the list that describes a record, as text.
    fn descr(&mut self) -> Result<String, String> {
        self.skip_blanks();
        if !self.rest().starts_with('[') {
            return self.quoted().map(str::to_string);
        }
        // Records are refused later, by their own message; here it is enough to find the list's end.
        let mut depth = 0usize;
        for (offset, character) in self.rest().char_indices() {
            match character {
                '[' | '(' => depth += 1,
                ']' | ')' => depth = depth.saturating_sub(1),
                _ => {}
            }
            if depth == 0 {
                let list = &self.rest()[..offset + character.len_utf8()];
                self.at += list.len();
                return Ok(list.chars().take(80).collect());
            }
        }
        Err(format!("the list at byte {} of the header does not end", self.at))
    }

    fn truth(&mut self) -> Result<bool, String> {
        self.skip_blanks();
        for (word, value) in [("True", true), ("False", false)] {
            if self.rest().starts_with(word) {
                self.at += word.len();
                return Ok(value);
            }
        }
        Err(format!("the header should have True or False at byte {}", self.at))
    }

    fn tuple(&mut self) -> Result<Vec<usize>, String> {
        let mut dims = Vec::new();
        self.expect('(')?;
        while !self.eat(')') {
            self.skip_blanks();
            let rest = self.rest();
            let digits =
                rest.len() - rest.trim_start_matches(|character: char| character.is_ascii_digit()).len();
            let dim = rest[..digits]
                .parse()
                .map_err(|_| format!("the header should have a dimension at byte {}", self.at))?;
            dims.push(dim);
            self.at += digits;
            // Python 2 wrote long integers with this letter.
            if self.rest().starts_with('L') {
                self.at += 1;
            }
            if !self.eat(',') {
                self.expect(')')?;
                break;
            }
        }
        Ok(dims)
    }
}
