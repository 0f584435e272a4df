//! Philox 4x32-10: once on numbers, once as expressions of i64 that hold 32 bits. Both give the same words.

use kernel::{Binary, Expr, Reader};

const MULTIPLIERS: [u32; 2] = [0xd251_1f53, 0xcd9e_8d57];
const WEYL: [u32; 2] = [0x9e37_79b9, 0xbb67_ae85];
const ROUNDS: u32 = 10;

/// The two words of splitmix64(splitmix64(seed) ^ path), the lower one first.
pub fn key(seed: i64, path: i64) -> [u32; 2] {
    let mixed = mix(mix(seed as u64) ^ path as u64);
    [mixed as u32, (mixed >> 32) as u32]
}

/// The random words of a counter: element (low, high), step, draw.
pub fn words(mut counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    for _ in 0..ROUNDS {
        let products = [0, 1].map(|k| u64::from(MULTIPLIERS[k]) * u64::from(counter[2 * k]));
        let (low, high) = (products.map(|p| p as u32), products.map(|p| (p >> 32) as u32));
        counter = [high[1] ^ counter[1] ^ key[0], low[1], high[0] ^ counter[3] ^ key[1], low[0]];
        key = [key[0].wrapping_add(WEYL[0]), key[1].wrapping_add(WEYL[1])];
    }
    counter
}

/// [`words`] for operands that are known at run time.
pub fn words_of(
    reader: &mut dyn Reader,
    element: Expr,
    step: Expr,
    draw: u32,
    seed: Expr,
    path: Expr,
) -> [Expr; 4] {
    let seed = mix_of(reader, seed);
    let mixed = mix_of(reader, xor(seed, path));
    let key = [reader.bind(low_word(mixed.clone())), reader.bind(high_word(mixed))];
    let mut counter =
        [low_word(element.clone()), high_word(element), low_word(step), Expr::int(i64::from(draw))];
    for round in 0..ROUNDS {
        let key: [Expr; 2] = [0, 1].map(|k| {
            let weyl = i64::from(WEYL[k].wrapping_mul(round));
            if weyl == 0 { key[k].clone() } else { low_word(key[k].clone().add(Expr::int(weyl))) }
        });
        let [c0, c1, c2, c3] = counter;
        let product = |k: usize, word: &Expr| {
            let multiplier = Expr::int(i64::from(MULTIPLIERS[k]));
            let low = low_word(word.clone().mul(multiplier.clone()));
            (low, Expr::binary(Binary::MulHi32, word.clone(), multiplier))
        };
        let ((low0, high0), (low1, high1)) = (product(0, &c0), product(1, &c2));
        let [key0, key1] = key;
        counter =
            [xor(xor(high1, c1), key0), low1, xor(xor(high0, c3), key1), low0].map(|word| reader.bind(word));
    }
    counter
}

/// splitmix64 (Steele, Lea and Flood, 2014).
fn mix(x: u64) -> u64 {
    let x = x.wrapping_add(STEP);
    let x = (x ^ (x >> 30)).wrapping_mul(FACTORS[0]);
    let x = (x ^ (x >> 27)).wrapping_mul(FACTORS[1]);
    x ^ (x >> 31)
}

const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
const FACTORS: [u64; 2] = [0xbf58_476d_1ce4_e5b9, 0x94d0_49bb_1331_11eb];

fn mix_of(reader: &mut dyn Reader, x: Expr) -> Expr {
    let folded = |x: Expr, by: i64| xor(x.clone(), Expr::binary(Binary::Shr, x, Expr::int(by)));
    let x = reader.bind(x.add(Expr::int(STEP as i64)));
    let x = reader.bind(folded(x, 30).mul(Expr::int(FACTORS[0] as i64)));
    let x = reader.bind(folded(x, 27).mul(Expr::int(FACTORS[1] as i64)));
    reader.bind(folded(x, 31))
}

fn xor(a: Expr, b: Expr) -> Expr {
    Expr::binary(Binary::Xor, a, b)
}

fn low_word(x: Expr) -> Expr {
    Expr::binary(Binary::And, x, Expr::int(0xffff_ffff))
}

fn high_word(x: Expr) -> Expr {
    Expr::binary(Binary::Shr, x, Expr::int(32))
}

#[cfg(test)]
mod tests {
    use super::words;

    /// The known answers that the authors publish with the generator.
    #[test]
    fn known_answers() {
        assert_eq!(words([0; 4], [0; 2]), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
        assert_eq!(words([u32::MAX; 4], [u32::MAX; 2]), [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]);
    }
}
