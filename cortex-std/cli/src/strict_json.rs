//! JSON that is carried exactly or refused: no number is rounded to another one, and no key is lost.

use std::fmt;

use cortex_cli::typed_json::ValueError;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value as Json};

/// Maximum nesting of JSON: that of the deepest message as typed JSON, in which each of its 128
/// levels takes three, and some levels for the object around it.
const MAX_DEPTH: usize = 3 * 128 + 16;

/// Parses JSON that is nested no deeper than a message can be.
///
/// # Errors
/// If the text is not JSON, is nested too deep, has a key twice in one object, or has a number that
/// is neither a 64-bit integer nor rounded to a finite 64-bit float.
pub(crate) fn parse(text: &str) -> Result<Json, ValueError> {
    if let Some(problem) = scan(text) {
        return Err(ValueError::new(problem));
    }
    let mut reader = serde_json::Deserializer::from_str(text);
    reader.disable_recursion_limit();
    Strict::deserialize(&mut reader).and_then(|value| reader.end().map(|()| value.0)).map_err(
        |error| match error.is_data() {
            true => ValueError::new(error.to_string()),
            false => ValueError::new(format!("not JSON: {error}")),
        },
    )
}

/// JSON whose objects have no key twice.
struct Strict(Json);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        reader.deserialize_any(StrictVisitor).map(Strict)
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Json, E> {
        Ok(value.into())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Json, E> {
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Json, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Json, E> {
        Ok(value.into())
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Json, E> {
        Ok(value.into())
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Json, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json, A::Error> {
        let mut list = Vec::new();
        while let Some(Strict(item)) = items.next_element()? {
            list.push(item);
        }
        Ok(Json::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Json, A::Error> {
        let mut object = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            if object.contains_key(&key) {
                return Err(A::Error::custom(format!("the key {key:?} is given twice")));
            }
            let Strict(value) = entries.next_value()?;
            object.insert(key, value);
        }
        Ok(Json::Object(object))
    }
}

/// The first problem of the nesting and of the numbers outside of strings, with its place.
fn scan(text: &str) -> Option<String> {
    let (mut depth, mut is_string, mut is_escaped) = (0_usize, false, false);
    let mut token_start = None;
    // The line end after the last character ends the last token.
    for (at, character) in text.char_indices().chain([(text.len(), '\n')]) {
        if is_string {
            match character {
                _ if is_escaped => is_escaped = false,
                '\\' => is_escaped = true,
                '"' => is_string = false,
                _ => {}
            }
            continue;
        }
        let is_token = character.is_ascii_alphanumeric() || "+-.".contains(character);
        match (token_start, is_token) {
            (None, true) => token_start = Some(at),
            (Some(start), false) => {
                token_start = None;
                let token = text.get(start..at).unwrap_or_default();
                if let Some(problem) = token_problem(token) {
                    return Some(format!("{problem} ({})", place(text, start)));
                }
            }
            _ => {}
        }
        match character {
            '"' => is_string = true,
            '[' | '{' => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return Some(format!("nested deeper than {MAX_DEPTH} lists and objects"));
                }
            }
            ']' | '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    None
}

/// Why a number or a word cannot be carried; `None` also for tokens that the parser rejects.
fn token_problem(token: &str) -> Option<String> {
    match token {
        "NaN" | "nan" | "Infinity" | "-Infinity" | "inf" | "-inf" => {
            return Some(format!(
                "JSON has no {token}: write \"NaN\", \"Infinity\" or \"-Infinity\" for a field or an array \
                 of floats, and {{\"float\": \"NaN\"}} anywhere else"
            ));
        }
        "-0" => return Some("-0 is no integer: write 0, or -0.0 for a float".to_owned()),
        _ => {}
    }
    let digits = token.strip_prefix('-').unwrap_or(token);
    if !digits.starts_with(|first: char| first.is_ascii_digit()) {
        return None;
    }
    if digits.bytes().all(|byte| byte.is_ascii_digit()) {
        let fits = token.parse::<u64>().is_ok() || token.parse::<i64>().is_ok();
        return (!fits).then(|| {
            format!(
                "{token} is not an integer from -2^63 to 2^64 - 1; as a float, which is rounded, it is \
                 {token}.0"
            )
        });
    }
    let value: f64 = token.parse().ok()?;
    let mantissa = digits.split(['e', 'E']).next().unwrap_or_default();
    if value.is_infinite() {
        return Some(format!("{token} exceeds the largest 64-bit float, {:e}", f64::MAX));
    }
    (value == 0.0 && mantissa.contains(|digit| ('1'..='9').contains(&digit)))
        .then(|| format!("{token} is closer to 0 than any other 64-bit float: write 0.0"))
}

/// The line and column of a byte of a text, both from 1.
fn place(text: &str, at: usize) -> String {
    let before = text.get(..at).unwrap_or_default();
    let (line, last) = before.split('\n').enumerate().last().unwrap_or_default();
    format!("line {} column {}", line + 1, last.chars().count() + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        parse(text).unwrap_err().to_string()
    }

    #[test]
    fn json_may_be_nested_as_deep_as_messages_but_no_deeper() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(parse(&nested(MAX_DEPTH)).is_ok());
        assert_eq!(error(&nested(1_000_000)), "nested deeper than 400 lists and objects");
        let brackets_in_text = format!("\"\\\"{}\"", "[".repeat(500));
        assert!(parse(&brackets_in_text).is_ok());
        assert!(parse("{} {}").is_err());
    }

    #[test]
    fn an_integer_beyond_64_bits_is_refused_and_not_rounded() {
        let beyond = "18446744073709551616";
        let text = error(&format!("{{\"id\":\n {beyond}}}"));
        assert_eq!(
            text,
            format!(
                "{beyond} is not an integer from -2^63 to 2^64 - 1; as a float, which is rounded, it is \
                 {beyond}.0 (line 2 column 2)"
            )
        );
        // The advice works.
        assert_eq!(
            parse(&format!("{beyond}.0")).unwrap().as_f64(),
            Some(18_446_744_073_709_551_616.0)
        );
        assert_eq!(parse("18446744073709551615").unwrap().as_u64(), Some(u64::MAX));
        assert_eq!(parse("-9223372036854775808").unwrap().as_i64(), Some(i64::MIN));
        assert!(
            error("-9223372036854775809").starts_with("-9223372036854775809 is not an integer")
        );
        assert!(error("[-0]").starts_with("-0 is no integer: write 0, or -0.0"));
        assert_eq!(parse("-0.0").unwrap().as_f64().map(f64::to_bits), Some((-0.0_f64).to_bits()));
    }

    #[test]
    fn a_float_that_would_become_zero_or_infinite_is_refused() {
        assert!(error("1e400").starts_with("1e400 exceeds the largest 64-bit float"));
        assert!(error("[1, -1e400]").ends_with("(line 1 column 5)"));
        assert!(error("1e-400").starts_with("1e-400 is closer to 0"));
        assert_eq!(parse("[0e9, 0.0e-999, 5e-324]").unwrap()[2].as_f64(), Some(5e-324));
    }

    #[test]
    fn words_that_json_lacks_are_refused_with_their_spelling() {
        for text in ["NaN", "[1, NaN]", "-Infinity", "inf"] {
            assert!(error(text).contains("write \"NaN\", \"Infinity\" or \"-Infinity\""), "{text}");
        }
        assert!(parse("[\"NaN, 18446744073709551616\", true, null]").is_ok());
    }

    #[test]
    fn a_key_given_twice_is_refused() {
        let text = error("{\"a\": 1, \"b\": {\"c\": 1, \"c\": 2}}");
        assert_eq!(text, "the key \"c\" is given twice at line 1 column 26");
    }
}
