//! What the server's errors tell of rows (THREATS D15): `Failing row contains (…)` names every column of a row, those that
//! the statement did not name among them.

use crate::wire::backend::{self, error_fields};
use crate::wire::frame;

/// What stands where the DETAIL stood.
const INSTEAD: &[u8] = b"withheld: the policy denies columns";

/// Classes of SQLSTATEs whose DETAIL holds rows or keys (the manual's *PostgreSQL Error Codes*): Integrity Constraint Violation,
/// WITH CHECK OPTION Violation, and Cardinality Violation (REFRESH … CONCURRENTLY).
const CLASSES: [&[u8]; 3] = [b"23", b"44", b"21"];

/// Whether an ErrorResponse with this body tells of a row: a DETAIL of these classes.
fn tells_of_a_row(body: &[u8]) -> bool {
    let of_class = |state: &[u8]| CLASSES.iter().any(|class| state.starts_with(class));
    error_fields(body).any(|(kind, value)| kind == b'C' && of_class(value))
        && error_fields(body).any(|(kind, _)| kind == b'D')
}

/// Writes an ErrorResponse that tells of a row without that into `out`; false where it tells of none, and the server's frame
/// stands. Every other field is kept: table, column and constraint have their own.
pub fn rewrite(body: &[u8], out: &mut Vec<u8>) -> bool {
    if !tells_of_a_row(body) {
        return false;
    }
    let mut fields = Vec::with_capacity(body.len());
    for (kind, value) in error_fields(body) {
        fields.push(kind);
        fields.extend_from_slice(if kind == b'D' { INSTEAD } else { value });
        fields.push(0);
    }
    fields.push(0);
    let Ok(length) = u32::try_from(fields.len() + frame::HEADER - 1) else { return false };
    out.push(backend::ERROR_RESPONSE);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(&fields);
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_row_goes_and_the_rest_stays() {
        let body = b"SERROR\0VERROR\0C23502\0Mnull value in column \"name\"\0DFailing row contains (1, null, ssn-1).\0tusers\0cname\0\0";
        let mut out = Vec::new();
        assert!(rewrite(body, &mut out));
        let expected = b"SERROR\0VERROR\0C23502\0Mnull value in column \"name\"\0Dwithheld: the policy denies columns\0tusers\0cname\0\0";
        assert_eq!(out.get(frame::HEADER..), Some(&expected[..]));
        assert_eq!(out.get(..frame::HEADER), Some(&[b'E', 0, 0, 0, u8::try_from(expected.len() + 4).unwrap()][..]));
    }

    #[test]
    fn other_errors_stand() {
        for body in
            [&b"SERROR\0C42P01\0Mno such table\0DFailing row contains (1).\0\0"[..], b"SERROR\0C23502\0Mnull\0\0", b""]
        {
            let mut out = Vec::new();
            assert!(!rewrite(body, &mut out) && out.is_empty());
        }
    }
}
