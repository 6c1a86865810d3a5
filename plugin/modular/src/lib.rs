//! Powers modulo an odd number, in Montgomery form (Handbook of Applied Cryptography, sections 14.3.2 and 14.6): what RSA verification
//! consists of. Made for verification: only public values go in, so time and branches may depend on them, and nothing of a private key
//! must ever be computed with it. A square costs three quarters of a product, which is why this isn't the general arithmetic of a
//! library: that one has no square of its own for numbers of any length, and takes care of secrets that aren't here. ECDSA, whose numbers
//! have four limbs, is in [`p256`].
//!
//! Numbers are limbs, the lowest first, as many as the modulus has. R is 2^64 to the power of that.

pub mod p256;

/// Limbs of a product are made in turns of so many: the loop then costs little beside what it does.
const TURN: usize = 4;

/// An odd modulus, prepared.
#[derive(Debug)]
pub struct Modulus {
    limbs: Vec<u64>,
    /// The negative inverse of the lowest limb, modulo 2^64.
    inverse: u64,
    /// R² modulo this.
    r_squared: Vec<u64>,
}

impl Modulus {
    /// From big-endian bytes without leading zeros. `None`: it is even, or nothing.
    pub fn new(bytes: &[u8]) -> Option<Self> {
        let mut modulus = Self::unprepared(bytes)?;
        modulus.r_squared = modulus.compute_r_squared();
        Some(modulus)
    }

    /// As [`Self::new`], with what [`Self::r_squared`] was before, which saves a third of a verification. `None` too, if that can't be: it has other limbs,
    /// or isn't below the modulus. If it is another number, powers are wrong.
    pub fn with_r_squared(bytes: &[u8], r_squared: &[u8]) -> Option<Self> {
        let mut modulus = Self::unprepared(bytes)?;
        modulus.r_squared = limbs(r_squared);
        let fits =
            r_squared.len() == 8 * modulus.limbs.len() && modulus.r_squared.iter().rev().lt(modulus.limbs.iter().rev());
        fits.then_some(modulus)
    }

    /// R² modulo this, big-endian, in eight bytes a limb: what takes longest to prepare. It follows from the modulus, so it is no secret.
    pub fn r_squared(&self) -> Vec<u8> {
        self.r_squared.iter().rev().flat_map(|limb| limb.to_be_bytes()).collect()
    }

    fn unprepared(bytes: &[u8]) -> Option<Self> {
        let limbs = limbs(bytes);
        let lowest = *limbs.first().filter(|limb| **limb % 2 == 1)?;
        // Newton's iteration: right in 5 bits, then in twice as many each time.
        let mut inverse = lowest.wrapping_mul(3) ^ 2;
        for _ in 0..4 {
            inverse = inverse.wrapping_mul(2_u64.wrapping_sub(lowest.wrapping_mul(inverse)));
        }
        Some(Self { limbs, inverse: inverse.wrapping_neg(), r_squared: Vec::new() })
    }

    /// Doubling is cheap and squaring doubles the exponent, so: the form of 2 to the power of four for each limb by the one, and four times
    /// the other, which makes it that of 2^64 to the power of one for each limb.
    fn compute_r_squared(&self) -> Vec<u64> {
        // The form of 1, R modulo this: R less as many times this as the highest limb's bits allow, and what is missing of that by doubling.
        let unused = self.limbs.last().map_or(0, |highest| highest.leading_zeros());
        let mut number: Vec<u64> = vec![0; self.limbs.len()];
        // 2^(bits - 1), which is below the modulus.
        if let Some(highest) = number.last_mut() {
            *highest = 1 << (63 - unused);
        }
        let doublings = unused as usize + 1 + 4 * self.limbs.len();
        for _ in 0..doublings {
            let over = double(&mut number);
            self.reduce_once(&mut number, over);
        }
        let mut wide = vec![0; 2 * self.limbs.len()];
        for _ in 0..4 {
            self.square(&mut number, &mut wide);
        }
        number
    }

    /// `base`, big-endian and below the modulus, to the power of `exponent`, which isn't 0: big-endian, in as many bytes as `base` has.
    pub fn power(&self, base: &[u8], exponent: u64) -> Vec<u8> {
        let mut plain = limbs(base);
        plain.resize(self.limbs.len(), 0);
        let mut number = plain.clone();
        let highest = exponent.checked_ilog2().unwrap_or(0);
        if highest > 0 {
            let mut wide = vec![0; 2 * self.limbs.len()];
            self.multiply(&mut number, &self.r_squared, &mut wide);
            let base_form = number.clone();
            // From the bit below the highest one down: for 65537 sixteen squares and one product.
            for bit in (0..highest).rev() {
                self.square(&mut number, &mut wide);
                // The last product, by a number that isn't in the form, leads out of it.
                match (bit, exponent >> bit & 1) {
                    (0, 1) => self.multiply(&mut number, &plain, &mut wide),
                    (0, _) => self.multiply(&mut number, &self.one(), &mut wide),
                    (_, 1) => self.multiply(&mut number, &base_form, &mut wide),
                    _ => {}
                }
            }
        }
        let mut bytes: Vec<u8> = number.iter().rev().flat_map(|limb| limb.to_be_bytes()).collect();
        bytes.drain(..bytes.len().saturating_sub(base.len()));
        bytes
    }

    fn one(&self) -> Vec<u64> {
        let mut one = vec![0; self.limbs.len()];
        if let Some(lowest) = one.first_mut() {
            *lowest = 1;
        }
        one
    }

    /// `number` times `factor`, by R.
    fn multiply(&self, number: &mut [u64], factor: &[u64], wide: &mut [u64]) {
        wide.fill(0);
        let length = factor.len();
        for (turn, limbs) in number.chunks(2).enumerate() {
            let Some((sum, above)) = wide.get_mut(2 * turn..).and_then(|rest| rest.split_at_mut_checked(length)) else {
                return;
            };
            match (limbs, above) {
                ([first, second], [low, high, ..]) => {
                    (*low, *high) = halves(add_two_products(sum, factor, (*first, *second), 0));
                }
                ([only], [low, ..]) => *low = add_product(sum, factor, *only),
                _ => {}
            }
        }
        self.reduce(number, wide);
    }

    /// `number` times itself, by R.
    fn square(&self, number: &mut [u64], wide: &mut [u64]) {
        wide.fill(0);
        // Each product of two different limbs once, …
        let mut rest: &[u64] = number;
        let mut position = 1;
        while let [first, others @ ..] = rest {
            let Some((sum, above)) = wide.get_mut(position..).and_then(|wide| wide.split_at_mut_checked(others.len()))
            else {
                return;
            };
            // … of two limbs in one pass: with the first all others, with the second all but itself.
            if let ([lowest, sum @ ..], [second, others @ ..], [low, high, ..]) = (sum, others, above) {
                let (below, carry) = halves(u128::from(*first) * u128::from(*second) + u128::from(*lowest));
                *lowest = below;
                (*low, *high) = halves(add_two_products(sum, others, (*first, *second), carry));
                rest = others;
            } else {
                rest = &[];
            }
            position += 4;
        }
        // … doubled, and the squares between them.
        let (mut carry, mut top) = (0_u64, 0_u64);
        for (pair, limb) in wide.chunks_exact_mut(2).zip(number.iter()) {
            let [low, high] = pair else { return };
            let square = halves(u128::from(*limb) * u128::from(*limb));
            let doubled = (*low << 1 | top, *high << 1 | *low >> 63);
            top = *high >> 63;
            let sum = halves(u128::from(doubled.0) + u128::from(square.0) + u128::from(carry));
            *low = sum.0;
            (*high, carry) = halves(u128::from(doubled.1) + u128::from(square.1) + u128::from(sum.1));
        }
        self.reduce(number, wide);
    }

    /// `wide` by R, below the modulus, into `number`: for each limb what makes it vanish is added.
    fn reduce(&self, number: &mut [u64], wide: &mut [u64]) {
        let length = self.limbs.len();
        let mut over = 0;
        let mut position = 0;
        while position < length {
            let Some((sum, above)) = wide.get_mut(position..).and_then(|wide| wide.split_at_mut_checked(length)) else {
                return;
            };
            match (&*sum, self.limbs.as_slice(), above) {
                ([low, high, ..], [first, second, ..], [next, last, ..]) if position + 1 < length => {
                    // The second factor is that of the limb as the first one leaves it.
                    let factor = low.wrapping_mul(self.inverse);
                    let carry = halves(u128::from(*first) * u128::from(factor) + u128::from(*low)).1;
                    let left = high.wrapping_add(second.wrapping_mul(factor)).wrapping_add(carry);
                    let factors = (factor, left.wrapping_mul(self.inverse));
                    let tail = halves(add_two_products(sum, &self.limbs, factors, 0));
                    let carry;
                    (*next, carry) = halves(u128::from(*next) + u128::from(tail.0) + u128::from(over));
                    (*last, over) = halves(u128::from(*last) + u128::from(tail.1) + u128::from(carry));
                    position += 2;
                }
                ([low, ..], _, [next, ..]) => {
                    let carry = add_product(sum, &self.limbs, low.wrapping_mul(self.inverse));
                    (*next, over) = halves(u128::from(*next) + u128::from(carry) + u128::from(over));
                    position += 1;
                }
                _ => return,
            }
        }
        let high = wide.get(length..).unwrap_or_default();
        number.iter_mut().zip(high).for_each(|(number, limb)| *number = *limb);
        self.reduce_once(number, over == 1);
    }

    /// The modulus taken away once, if `number`, with a limb of 1 before it if `over`, isn't below it.
    fn reduce_once(&self, number: &mut [u64], over: bool) {
        if over || number.iter().rev().ge(self.limbs.iter().rev()) {
            let mut borrow = false;
            for (limb, other) in number.iter_mut().zip(&self.limbs) {
                let (difference, first) = limb.overflowing_sub(*other);
                let (difference, second) = difference.overflowing_sub(u64::from(borrow));
                (*limb, borrow) = (difference, first | second);
            }
        }
    }
}

/// Adds `factor` times `by` to as many limbs, and returns what goes beyond them.
#[inline]
fn add_product(sum: &mut [u64], factor: &[u64], by: u64) -> u64 {
    let mut carry = 0;
    for (sum, factor) in sum.iter_mut().zip(factor) {
        // At most 2^128 - 1, here and below.
        (*sum, carry) = halves(u128::from(*factor) * u128::from(by) + u128::from(*sum) + u128::from(carry));
    }
    carry
}

/// Adds `factor` times a number of two limbs, and `carry`, to as many limbs as `factor` has, and returns what goes beyond them: two limbs. In
/// one pass, since each of the two chains of carries alone would have the processor wait.
#[inline]
fn add_two_products(sum: &mut [u64], factor: &[u64], by: (u64, u64), carry: u64) -> u128 {
    let (mut first, mut second, mut before) = (carry, 0, 0);
    let mut add = |sum: &mut u64, factor: u64| {
        let low;
        (low, first) = halves(u128::from(factor) * u128::from(by.0) + u128::from(*sum) + u128::from(first));
        (*sum, second) = halves(u128::from(before) * u128::from(by.1) + u128::from(low) + u128::from(second));
        before = factor;
    };
    let (mut sums, mut factors) = (sum.chunks_exact_mut(TURN), factor.chunks_exact(TURN));
    for turn in sums.by_ref().zip(factors.by_ref()) {
        if let ([a, b, c, d], [e, f, g, h]) = turn {
            add(a, *e);
            add(b, *f);
            add(c, *g);
            add(d, *h);
        }
    }
    for (sum, factor) in sums.into_remainder().iter_mut().zip(factors.remainder()) {
        add(sum, *factor);
    }
    u128::from(before) * u128::from(by.1) + u128::from(first) + u128::from(second)
}

/// Twice as much; whether that has one bit more.
fn double(number: &mut [u64]) -> bool {
    let mut top = 0;
    for limb in number {
        (*limb, top) = (*limb << 1 | top, *limb >> 63);
    }
    top == 1
}

/// The low and the high half.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "that is what it is for")]
fn halves(number: u128) -> (u64, u64) {
    (number as u64, (number >> 64) as u64)
}

/// Of big-endian bytes.
fn limbs(bytes: &[u8]) -> Vec<u64> {
    bytes.rchunks(8).map(|chunk| chunk.iter().fold(0, |limb, byte| limb << 8 | u64::from(*byte))).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use crypto_bigint::modular::{BoxedMontyForm, BoxedMontyParams};
    use crypto_bigint::{BoxedUint, Odd};

    use super::*;

    /// By other people's arithmetic.
    fn expected(modulus: &[u8], base: &[u8], exponent: u64) -> Vec<u8> {
        let precision = u32::try_from(modulus.len()).unwrap().next_multiple_of(8) * 8;
        let number = |bytes: &[u8]| BoxedUint::from_be_slice(bytes, precision).unwrap();
        let parameters = BoxedMontyParams::new_vartime(Odd::new(number(modulus)).into_option().unwrap());
        let power = BoxedMontyForm::new(number(base), &parameters).pow(&BoxedUint::from(exponent)).retrieve();
        let bytes = power.to_be_bytes();
        bytes[bytes.len() - modulus.len()..].to_vec()
    }

    /// Bytes without a pattern, the same in every run (xorshift64*).
    pub(crate) fn noise(seed: u64, bytes: usize) -> Vec<u8> {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut next = || {
            state ^= state >> 12;
            state ^= state << 25;
            state ^= state >> 27;
            state.wrapping_mul(0x2545_f491_4f6c_dd1d).to_be_bytes()[0]
        };
        (0..bytes).map(|_| next()).collect()
    }

    /// Moduli of so many bits: noise, all ones, ones at both ends only, and the highest limb full with nothing below it but the one.
    fn moduli(bits: usize) -> Vec<Vec<u8>> {
        let bytes = bits.div_ceil(8);
        let highest = 1_u8 << ((bits - 1) % 8);
        let mut heavy = vec![0; bytes];
        heavy.iter_mut().take(8).for_each(|byte| *byte = 0xff);
        let seed = u64::try_from(bits).unwrap();
        let shapes = [noise(seed, bytes), noise(!seed, bytes), vec![0xff; bytes], vec![0; bytes], heavy];
        let finish = |mut modulus: Vec<u8>| {
            modulus[0] = modulus[0] & (highest - 1) | highest;
            modulus[bytes - 1] |= 1;
            modulus
        };
        shapes.map(finish).to_vec()
    }

    fn less_one(number: &[u8]) -> Vec<u8> {
        let mut less = number.to_vec();
        *less.last_mut().unwrap() -= 1; // odd
        less
    }

    #[test]
    fn powers_are_what_others_compute() {
        let mut compared = 0;
        for bits in [64, 65, 72, 127, 128, 192, 256, 320, 1023, 2048, 2049, 2056, 2111, 2112, 3072, 4096, 8191, 8192] {
            for modulus in moduli(bits) {
                let small = |value: u8| [vec![0; modulus.len() - 1], vec![value]].concat();
                let mut random = noise(77, modulus.len());
                random[0] = 0; // below the modulus, whose first byte isn't
                for base in [small(0), small(1), small(2), random, less_one(&modulus)] {
                    for exponent in [1, 2, 3, 17, 65_537, (1 << 33) - 1] {
                        let prepared = Modulus::new(&modulus).unwrap();
                        let found = prepared.power(&base, exponent);
                        let again = Modulus::with_r_squared(&modulus, &prepared.r_squared()).unwrap();
                        assert_eq!(found, again.power(&base, exponent), "with what was kept");
                        assert_eq!(
                            found,
                            expected(&modulus, &base, exponent),
                            "{bits} {base:02x?}^{exponent} {modulus:02x?}"
                        );
                        compared += 1;
                    }
                }
            }
        }
        assert_eq!(compared, 18 * 5 * 5 * 6);
    }

    #[test]
    fn what_was_kept_of_another_modulus() {
        let modulus = [vec![0x80; 255], vec![1]].concat();
        for (kept, is_taken) in [
            (Modulus::new(&modulus).unwrap().r_squared(), true),
            (vec![0; 256], true), // a number below the modulus: it can't be told from the right one
            (modulus.clone(), false),
            (vec![0xff; 256], false),
            (vec![0; 255], false),
            (vec![0; 264], false),
            (Vec::new(), false),
        ] {
            assert_eq!(Modulus::with_r_squared(&modulus, &kept).is_some(), is_taken, "{kept:02x?}");
        }
        assert!(Modulus::with_r_squared(&[2; 8], &[0; 8]).is_none(), "even");
    }

    #[test]
    fn what_is_no_odd_number() {
        for bytes in [&[][..], &[0], &[2], &[0xff; 256][..255], &[1, 0]] {
            let odd = bytes.last().is_some_and(|byte| byte % 2 == 1);
            assert_eq!(Modulus::new(bytes).is_some(), odd, "{bytes:?}");
        }
    }
}
