//! JSON objects one after the other, cut out of a body as it arrives.

/// What has arrived and was not taken yet. Each byte is looked at once, however the body is cut into pieces.
#[derive(Default)]
pub struct Objects {
    bytes: Vec<u8>,
    /// So many of them have been taken.
    taken: usize,
    /// So many have been looked at.
    seen: usize,
    depth: usize,
    in_string: bool,
    after_backslash: bool,
}

/// What comes where an object was expected.
#[derive(Debug, PartialEq, Eq)]
pub struct NoObject(pub char);

impl Objects {
    pub fn arrived(&mut self, bytes: &[u8]) {
        self.bytes.drain(..self.taken);
        self.seen -= self.taken;
        self.taken = 0;
        let is_between = self.bytes.is_empty() && self.depth == 0;
        let blank = if is_between { bytes.iter().take_while(|byte| byte.is_ascii_whitespace()).count() } else { 0 };
        self.bytes.extend_from_slice(bytes.get(blank..).unwrap_or_default());
    }

    /// The bytes of the next object, as soon as it is whole.
    ///
    /// # Errors
    /// When what comes next is none.
    pub fn take(&mut self) -> Result<Option<&[u8]>, NoObject> {
        if self.depth == 0 {
            let rest = self.bytes.get(self.taken..).unwrap_or_default();
            self.taken += rest.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
            self.seen = self.taken;
            if let Some(first) = self.bytes.get(self.taken).filter(|first| **first != b'{') {
                return Err(NoObject(char::from(*first)));
            }
        }
        while let Some(byte) = self.bytes.get(self.seen).copied() {
            self.seen += 1;
            if self.is_end(byte) {
                let object = self.taken..self.seen;
                self.taken = self.seen;
                return Ok(self.bytes.get(object));
            }
        }
        Ok(None)
    }

    /// Bytes that wait for the rest of their object.
    pub fn waiting(&self) -> usize {
        self.bytes.len() - self.taken
    }

    /// Whether more may be taken before more arrives: the last call was not the one that found no more.
    pub fn may_have_more(&self) -> bool {
        self.seen < self.bytes.len()
    }

    /// Whether nothing but white space is left.
    pub fn is_blank(&self) -> bool {
        self.bytes.get(self.taken..).unwrap_or_default().iter().all(u8::is_ascii_whitespace)
    }

    fn is_end(&mut self, byte: u8) -> bool {
        if self.in_string {
            self.in_string = self.after_backslash || byte != b'"';
            self.after_backslash = !self.after_backslash && byte == b'\\';
            return false;
        }
        match byte {
            b'"' => self.in_string = true,
            b'{' | b'[' => self.depth += 1,
            // Which of the two it is, is looked at where the object is read.
            b'}' | b']' => {
                self.depth -= 1;
                return self.depth == 0;
            }
            _ => {}
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(body: &str, piece: usize) -> Vec<Result<String, NoObject>> {
        let (mut objects, mut found) = (Objects::default(), Vec::new());
        for bytes in body.as_bytes().chunks(piece) {
            objects.arrived(bytes);
            loop {
                match objects.take() {
                    Ok(Some(object)) => found.push(Ok(String::from_utf8(object.to_vec()).unwrap())),
                    Ok(None) => break,
                    Err(error) => {
                        found.push(Err(error));
                        return found;
                    }
                }
            }
        }
        found
    }

    #[test]
    fn objects_are_cut_out_wherever_the_body_is_cut() {
        let body = "{} {\"a\": \"}\\\"{\"}\r\n{\"b\":[{\"c\":\"\\\\\"}]}{\"d\":1}\n";
        let expected = ["{}", "{\"a\": \"}\\\"{\"}", "{\"b\":[{\"c\":\"\\\\\"}]}", "{\"d\":1}"];
        for piece in 1..=body.len() {
            let found: Vec<String> = cut(body, piece).into_iter().map(Result::unwrap).collect();
            assert_eq!(found, expected, "pieces of {piece}");
        }
    }

    #[test]
    fn white_space_between_objects_takes_no_memory() {
        let mut objects = Objects::default();
        for _ in 0..1_000 {
            objects.arrived(b" \r\n");
            assert!(objects.is_blank() && objects.bytes.is_empty());
        }
        objects.arrived(b" {");
        objects.arrived(b"} ");
        assert_eq!(objects.take().unwrap(), Some(&b"{}"[..]));
        assert_eq!(objects.take().unwrap(), None);
        objects.arrived(b"\n\n");
        assert!(objects.is_blank() && objects.waiting() == 0);
    }

    #[test]
    fn what_is_no_object_ends_it() {
        assert_eq!(cut("{} [1]", 100), [Ok("{}".to_owned()), Err(NoObject('['))]);
        assert_eq!(cut(" x", 1), [Err(NoObject('x'))]);
        assert_eq!(cut("}", 1), [Err(NoObject('}'))]);
    }
}
