//! numpy's dtype strings, by a list of what is allowed.

const UNITS: &[&str] = &["Y", "M", "W", "D", "h", "m", "s", "ms", "us", "ns", "ps", "fs", "as"];

/// The text as numpy writes it, and the bytes of an item.
pub fn parse(text: &str) -> Option<(String, u64)> {
    let order = text.chars().next().filter(|order| "<>|".contains(*order))?;
    let kind = text.chars().nth(1).filter(char::is_ascii)?;
    let rest = &text[2..];
    let (size, unit) = match rest.find('[') {
        Some(at) => (&rest[..at], Some(&rest[at..])),
        None => (rest, None),
    };
    let number = number(size).filter(|number| *number > 0)?;
    let item_len = match kind {
        'b' if number == 1 => 1,
        'i' | 'u' if [1, 2, 4, 8].contains(&number) => number,
        'f' if [2, 4, 8, 16].contains(&number) => number,
        'c' if [8, 16, 32].contains(&number) => number,
        'M' | 'm' if number == 8 => 8,
        'S' | 'V' => number,
        'U' => number.checked_mul(4).filter(|len| u32::try_from(*len).is_ok())?,
        _ => return None,
    };
    let mut unit_text = String::new();
    if let Some(unit) = unit {
        let inner = unit.strip_prefix('[')?.strip_suffix(']')?;
        let digits: String = inner.chars().take_while(char::is_ascii_digit).collect();
        if !"Mm".contains(kind) || !UNITS.contains(&&inner[digits.len()..]) {
            return None;
        }
        if !digits.is_empty() && self::number(&digits)? < 2 {
            return None;
        }
        unit_text = format!("[{inner}]");
    }
    let is_ordered = item_len > 1 && !"SV".contains(kind);
    let order = match (is_ordered, order) {
        (true, '|') => return None,
        (true, order) => order,
        (false, _) => '|',
    };
    Some((format!("{order}{kind}{number}{unit_text}"), item_len))
}

/// A number of 32 bits, without zeros before it.
fn number(digits: &str) -> Option<u64> {
    let is_plain = digits == "0" || (!digits.starts_with('0') && !digits.starts_with('+'));
    digits.parse::<u32>().ok().filter(|_| is_plain).map(u64::from)
}
