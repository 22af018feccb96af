//! Type identity, computed at compile time.
//!
//! A fingerprint is the first eight bytes, big-endian, of SHA-256 over a canonical string. Three
//! strings are in use; the wire reference, "Fingerprints", says which peers use which.

use sha2_const::Sha256;

pub use crate::types::{FieldInfo, Type};

/// The fingerprint in every header.
///
/// Hashes `<class>|_field_names_cache:ClassVar,_sequence_counter:ClassVar`: it depends on the
/// class's full name alone, as in every running Python and C++ peer.
///
/// # Examples
///
/// ```
/// use cortex_wire::fingerprint;
///
/// const STRING: u64 = fingerprint::wire("cortex.messages.standard.StringMessage");
/// assert_eq!(STRING, 0xacf8_d647_5271_e065);
/// ```
///
/// Source: wire reference, "Fingerprints".
#[must_use]
pub const fn wire(class: &str) -> u64 {
    first_word(
        Sha256::new()
            .update(class.as_bytes())
            .update(b"|_field_names_cache:ClassVar,_sequence_counter:ClassVar"),
    )
}

/// The fingerprint that Python's documentation describes, over `(name, type)` pairs with the types
/// as spelled in the Python class (`str`, `ndarray`, `numpy.ndarray | None`).
///
/// This function adds the two class variables and sorts the pairs. Peers whose classes use
/// `slots=True` send this fingerprint.
///
/// # Examples
///
/// ```
/// use cortex_wire::fingerprint;
///
/// const STRING: u64 =
///     fingerprint::schema("cortex.messages.standard.StringMessage", &[("data", "str")]);
/// assert_eq!(STRING, 0xc09f_6b1f_087c_6a67);
/// ```
///
/// Source: wire reference, "Fingerprints".
#[must_use]
pub const fn schema(class: &str, fields: &[(&str, &str)]) -> u64 {
    let mut hash = Sha256::new().update(class.as_bytes()).update(b"|");
    let mut last: Option<(&str, &str)> = None;
    // Selection sort: a message has few fields, and this runs at compile time.
    loop {
        let mut next: Option<(&str, &str)> = None;
        next = smaller_after(next, last, ("_field_names_cache", "ClassVar"));
        next = smaller_after(next, last, ("_sequence_counter", "ClassVar"));
        let mut rest = fields;
        while let [field, tail @ ..] = rest {
            next = smaller_after(next, last, *field);
            rest = tail;
        }
        let Some((name, ty)) = next else { break };
        if last.is_some() {
            hash = hash.update(b",");
        }
        hash = hash.update(name.as_bytes()).update(b":").update(ty.as_bytes());
        last = next;
    }
    first_word(hash)
}

/// The hash of field names, order and types, which Rust peers compare.
///
/// Hashes `<class>(name:type,name:type)`, with `?` after the type of an optional field. Two types
/// of one name but other fields share a wire fingerprint; their layout differs.
///
/// Source: wire reference, "Fingerprints".
#[must_use]
pub const fn layout(class: &str, fields: &[FieldInfo]) -> u64 {
    let mut hash = Sha256::new().update(class.as_bytes()).update(b"(");
    let mut rest = fields;
    while let [field, tail @ ..] = rest {
        hash = hash.update(field.name.as_bytes()).update(b":").update(field.ty.as_str().as_bytes());
        if field.optional {
            hash = hash.update(b"?");
        }
        if !tail.is_empty() {
            hash = hash.update(b",");
        }
        rest = tail;
    }
    first_word(hash.update(b")"))
}

const fn first_word(hash: Sha256) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = hash.finalize();
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}

/// `candidate` if it sorts after `last` and before `best`, else `best`.
const fn smaller_after<'s>(
    best: Option<(&'s str, &'s str)>,
    last: Option<(&'s str, &'s str)>,
    candidate: (&'s str, &'s str),
) -> Option<(&'s str, &'s str)> {
    if let Some(last) = last
        && !less(last.0.as_bytes(), candidate.0.as_bytes())
    {
        return best;
    }
    match best {
        Some(best) if !less(candidate.0.as_bytes(), best.0.as_bytes()) => Some(best),
        _ => Some(candidate),
    }
}

const fn less(mut a: &[u8], mut b: &[u8]) -> bool {
    loop {
        match (a, b) {
            (_, []) => return false,
            ([], _) => return true,
            ([x, a_tail @ ..], [y, b_tail @ ..]) => {
                if *x != *y {
                    return *x < *y;
                }
                a = a_tail;
                b = b_tail;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn class_variables_sort_between_upper_and_lower_case_names() {
        let by_hand = first_word(Sha256::new().update(
            b"m.C|Z:int,_field_names_cache:ClassVar,_sequence_counter:ClassVar,a:str,ab:str",
        ));
        assert_eq!(schema("m.C", &[("ab", "str"), ("a", "str"), ("Z", "int")]), by_hand);
    }

    #[test]
    fn layout_depends_on_order_type_and_optionality() {
        const LEFT: FieldInfo = FieldInfo { name: "left", ty: Type::Float, optional: false };
        const RIGHT: FieldInfo = FieldInfo { name: "right", ty: Type::Float, optional: false };
        let base = layout("m.C", &[LEFT, RIGHT]);
        assert_eq!(base, first_word(Sha256::new().update(b"m.C(left:float,right:float)")));
        assert_ne!(base, layout("m.C", &[RIGHT, LEFT]));
        assert_ne!(base, layout("m.C", &[LEFT, FieldInfo { ty: Type::Int, ..RIGHT }]));
        let optional = FieldInfo { optional: true, ..RIGHT };
        assert_eq!(
            layout("m.C", &[optional]),
            first_word(Sha256::new().update(b"m.C(right:float?)"))
        );
    }
}
