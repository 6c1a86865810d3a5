//! Just enough of a DER reader (ITU-T X.690) to walk a certificate: one element after the other, lengths checked, nothing copied.
//! It does not judge what the elements say; `certificate` does.

/// Identifier octets of the types that a certificate is walked by.
pub(super) mod tag {
    pub(in super::super) const INTEGER: u8 = 0x02;
    pub(in super::super) const BIT_STRING: u8 = 0x03;
    pub(in super::super) const OBJECT_IDENTIFIER: u8 = 0x06;
    pub(in super::super) const UTC_TIME: u8 = 0x17;
    pub(in super::super) const GENERALIZED_TIME: u8 = 0x18;
    pub(in super::super) const SEQUENCE: u8 = 0x30;
    /// `[0]`, constructed: the version of a certificate.
    pub(in super::super) const EXPLICIT_0: u8 = 0xa0;
}

/// Reads the elements of some DER from front to back.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// A reader of these bytes.
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Whether nothing is left.
    pub(super) fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next element's tag, which stays unread.
    pub(super) fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// The contents of the next element; none if there is no whole one.
    pub(super) fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (&tag, rest) = self.rest.split_first()?;
        let (length, rest) = length(rest)?;
        let (contents, rest) = rest.split_at_checked(length)?;
        self.rest = rest;
        Some((tag, contents))
    }

    /// The contents of the next element, which must be of this type.
    pub(super) fn expect(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.next().filter(|(found, _)| *found == tag).map(|(_, contents)| contents)
    }

    /// The next element, which must be a SEQUENCE, as a reader of its own.
    pub(super) fn sequence(&mut self) -> Option<Self> {
        self.expect(tag::SEQUENCE).map(Self::new)
    }
}

/// A definite length (X.690 section 8.1.3) in its shortest form (section 10.1), and what follows it.
fn length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (&first, rest) = bytes.split_first()?;
    if first < 0x80 {
        return Some((usize::from(first), rest));
    }
    let (octets, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
    // Four octets are 4 GiB: more than any certificate, and within `usize`.
    let shortest = octets.first().is_some_and(|&octet| octet != 0) && octets.len() <= 4;
    let length = octets.iter().fold(0, |length, &octet| (length << 8) | usize::from(octet));
    (shortest && length >= 0x80).then_some((length, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    type Row<'a> = (&'a str, &'a [u8], Option<(u8, &'a [u8])>);

    #[test]
    fn elements_are_read_whole_or_not_at_all() {
        let long = [&[0x04, 0x81, 0x80][..], &[7; 128]].concat();
        // name, bytes, the first element
        let table: Vec<Row<'_>> = vec![
            ("short form", &[0x02, 0x01, 0x05, 0xff], Some((0x02, &[5]))),
            ("empty contents", &[0x05, 0x00], Some((0x05, &[]))),
            ("long form", &long, Some((0x04, &[7; 128]))),
            ("nothing", &[], None),
            ("tag alone", &[0x02], None),
            ("contents cut off", &[0x02, 0x02, 0x05], None),
            ("length cut off", &[0x02, 0x82, 0x01], None),
            ("long form for a short length", &[0x02, 0x81, 0x01, 0x05], None),
            ("leading zero in the length", &[0x02, 0x82, 0x00, 0x80], None),
            ("indefinite length", &[0x30, 0x80, 0x00, 0x00], None),
            ("length beyond four octets", &[0x02, 0x85, 1, 0, 0, 0, 0], None),
        ];
        for (name, bytes, expected) in table {
            assert_eq!(Reader::new(bytes).next(), expected, "{name}");
        }
    }
}
