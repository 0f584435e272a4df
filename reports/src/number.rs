//! Numbers as people read them.

/// Five significant digits, without trailing zeros.
pub fn number(value: f64) -> String {
    digits(value, 5)
}

fn digits(value: f64, count: i32) -> String {
    if value == 0.0 || !value.is_finite() {
        return if value == 0.0 { "0".into() } else { value.to_string() };
    }
    if !(1e-4..1e6).contains(&value.abs()) {
        let text = format!("{value:.*e}", (count - 2).max(0) as usize);
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let digits = if digits.contains('.') { digits.trim_end_matches('0') } else { digits };
        return format!("{}e{exponent}", digits.trim_end_matches('.'));
    }
    let decimals = (count - 1 - value.abs().log10().floor() as i32).clamp(0, 9) as usize;
    let text = format!("{value:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').into() } else { text }
}

/// Six digits, as programs read them: more than any measurement has.
pub fn plain(value: f64) -> String {
    let rounded = format!("{value:.5e}").parse::<f64>().unwrap_or(value);
    let text = if rounded.is_finite() { format!("{rounded:?}") } else { String::new() };
    text.strip_suffix(".0").map_or(text.clone(), str::to_string)
}

/// Three digits, as much as a measured time has.
pub fn short(value: f64) -> String {
    digits(value, 3)
}

/// `1.24 ms`
pub fn seconds(value: f64) -> String {
    let size = value.abs();
    // What would round to the next unit's 1 is written in it.
    match size {
        0.0 => "0 s".into(),
        0.0..0.9995e-6 => format!("{} ns", short(value * 1e9)),
        0.9995e-6..0.9995e-3 => format!("{} µs", short(value * 1e6)),
        0.9995e-3..0.9995 => format!("{} ms", short(value * 1e3)),
        _ => format!("{} s", short(value)),
    }
}

/// `12.3 s`, `4 min 5 s`, `3 h 20 min`.
pub fn duration(seconds: f64) -> String {
    let whole = seconds.max(0.0).round() as u64;
    match whole {
        0..60 => format!("{seconds:.1} s"),
        60..3600 => format!("{} min {} s", whole / 60, whole % 60),
        _ => format!("{} h {} min", whole / 3600, whole % 3600 / 60),
    }
}

/// `86 KiB`
pub fn bytes(value: f64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let (mut value, mut unit) = (value, 0);
    while value.abs() >= 1023.5 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{} {}", short(value), UNITS[unit])
}

/// `1.24 G`: thousands by letters.
pub fn scaled(value: f64) -> String {
    const UNITS: [(f64, &str); 4] = [(1e12, " T"), (1e9, " G"), (1e6, " M"), (1e3, " k")];
    let unit = UNITS.iter().find(|(size, _)| value.abs() >= size * 0.9995);
    unit.map_or_else(|| short(value), |(size, letter)| format!("{}{letter}", short(value / size)))
}

/// `1.24×`: never more digits than were measured.
pub fn ratio(value: f64) -> String {
    if value == 0.0 {
        return "0×".into();
    }
    let decimals = if value < 9.995 { 2 } else { 1 };
    if value < 99.95 { format!("{value:.decimals$}×") } else { format!("{}×", scaled(value)) }
}

pub fn percent(share: f64) -> String {
    format!("{} %", short(share * 100.0))
}

/// `1 row`, `2 rows`.
pub fn counted(count: usize, one: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{count} {one}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_the_digits_that_matter() {
        let numbers = [0.0, 1.0, 0.125, 1234.5678, 1e6, 1e-5, 123456.0, -0.3333333333, f64::NAN];
        let texts = ["0", "1", "0.125", "1234.6", "1e6", "1e-5", "123456", "-0.33333", "NaN"];
        assert_eq!(numbers.map(number), texts);
        let plains = [0.1 + 0.2, 1.0, 1.23456789e-7, 25276510208.0, f64::NAN].map(plain);
        assert_eq!(plains, ["0.3", "1", "1.23457e-7", "25276500000", ""]);
        let times = [0.0, 2.5e-9, 9.999e-7, 1.2345e-4, 0.9999, 12.0, 1234.0];
        assert_eq!(times.map(seconds), ["0 s", "2.5 ns", "1 µs", "123 µs", "1 s", "12 s", "1234 s"]);
        assert_eq!([512.0, 1023.9, 1048576.0, 3e9].map(bytes), ["512 B", "1 KiB", "1 MiB", "2.79 GiB"]);
        assert_eq!([0.5, 999.9, 1.5e9].map(scaled), ["0.5", "1 k", "1.5 G"]);
        assert_eq!([0.714, 1.0, 12.34, 4321.0].map(ratio), ["0.71×", "1.00×", "12.3×", "4.32 k×"]);
    }
}
