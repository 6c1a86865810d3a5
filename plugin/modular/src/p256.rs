//! ECDSA on P-256 (FIPS 186-5 section 6.4.2, the curve of SP 800-186 section 3.2.1.3): verification, and nothing else. Key, digest and
//! signature are public, so time and branches depend on them: nothing of a private key, and no nonce of a signature, must ever go in here.
//!
//! What a verification costs is adding points, so the two factors are cut into eight parts: with the multiples of the base point and
//! of the key by 2^32, 2^64, … at hand, 32 doublings serve all of them. Those of the base point are data; those of the key follow from it,
//! and can be kept beside it.
#![allow(clippy::many_single_char_names, reason = "limbs in a row, and the standards' own names")]

mod generator;

use std::ops::{Add, Mul, Neg, Sub};

use super::{Modulus, halves};

/// So many parts of equal length has a factor.
const SPLITS: usize = 8;
/// Bits of a part.
const PART: usize = 256 / SPLITS;
/// Bytes of a number: of a coordinate, of r, of s, of a digest.
const BYTES: usize = 32;
/// Odd multiples of the base point are at hand up to 15 times: windows of five bits with a sign.
const WINDOW_OF_BASE: u32 = 5;
/// Of the key none but itself: its digits are -1, 0 and 1.
const WINDOW_OF_KEY: u32 = 2;

/// A number below 2^256, the lowest limb first.
type Limbs = [u64; 4];

/// p, of the field: 2^256 - 2^224 + 2^192 + 2^96 - 1. Its negative inverse modulo 2^64 is 1.
const PRIME: Limbs = [0xffff_ffff_ffff_ffff, 0x0000_0000_ffff_ffff, 0, 0xffff_ffff_0000_0001];
/// n, how many points there are: a prime.
const ORDER: Limbs = [0xf3b9_cac2_fc63_2551, 0xbce6_faad_a717_9e84, 0xffff_ffff_ffff_ffff, 0xffff_ffff_0000_0000];
/// The negative inverse of n, modulo 2^64.
const ORDER_INVERSE: u64 = 0xccd1_c8aa_ee00_bc4f;
/// 2^256 modulo n.
const ORDER_R: Limbs = [0x0c46_353d_039c_daaf, 0x4319_0552_58e8_617b, 0, 0x0000_0000_ffff_ffff];

/// An element of the field, below p, in Montgomery form: times 2^256.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Field(Limbs);

impl Field {
    const ZERO: Self = Self([0; 4]);
    const ONE: Self = Self([1, 0xffff_ffff_0000_0000, 0xffff_ffff_ffff_ffff, 0x0000_0000_ffff_fffe]);
    /// The form of 2^256.
    const R: Self = Self([3, 0xffff_fffb_ffff_ffff, 0xffff_ffff_ffff_fffe, 0x0000_0004_ffff_fffd]);
    /// b of the curve's y² = x³ - 3 x + b.
    const B: Self = Self([0xd89c_df62_29c4_bddf, 0xacf0_05cd_7884_3090, 0xe5a2_20ab_f721_2ed6, 0xdc30_061d_0487_4834]);

    /// `None`: not below p.
    fn new(number: Limbs) -> Option<Self> {
        is_below(&number, &PRIME).then(|| Self(number) * Self::R)
    }

    fn square(self) -> Self {
        let [a, b, c, d] = self.0;
        // Each product of two different limbs once, …
        let (w1, carry) = product(a, b, 0, 0);
        let (w2, carry) = product(a, c, 0, carry);
        let (w3, w4) = product(a, d, 0, carry);
        let (w3, carry) = product(b, c, w3, 0);
        let (w4, w5) = product(b, d, w4, carry);
        let (w5, w6) = product(c, d, w5, 0);
        // … doubled, and the squares between them.
        let (w7, w6, w5) = (w6 >> 63, w6 << 1 | w5 >> 63, w5 << 1 | w4 >> 63);
        let (w4, w3, w2) = (w4 << 1 | w3 >> 63, w3 << 1 | w2 >> 63, w2 << 1 | w1 >> 63);
        let (w0, carry) = product(a, a, 0, 0);
        let (w1, carry) = sum(w1 << 1, carry, 0);
        let (low, high) = product(b, b, 0, 0);
        let (w2, carry) = sum(w2, low, carry);
        let (w3, carry) = sum(w3, high, carry);
        let (low, high) = product(c, c, 0, 0);
        let (w4, carry) = sum(w4, low, carry);
        let (w5, carry) = sum(w5, high, carry);
        let (low, high) = product(d, d, 0, 0);
        let (w6, carry) = sum(w6, low, carry);
        let (w7, _) = sum(w7, high, carry);
        Self::reduce([w0, w1, w2, w3, w4, w5, w6, w7])
    }

    fn double(self) -> Self {
        self + self
    }

    /// By 2^256: of a number below 2^256 p, as products are.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "in two places, which are most of a verification")]
    fn reduce([w0, w1, w2, w3, w4, w5, w6, w7]: [u64; 8]) -> Self {
        let ([w2, w3, w4, w5], over) = vanish([w0, w1], [w2, w3, w4, w5], 0);
        let ([w4, w5, w6, w7], over) = vanish([w2, w3], [w4, w5, w6, w7], over);
        Self::reduce_once([w4, w5, w6, w7], over)
    }

    /// p taken away once, if the number, with a limb `over` before it, isn't below it.
    #[inline]
    fn reduce_once(number: Limbs, over: u64) -> Self {
        let (reduced, borrow) = subtract(number, PRIME);
        // All ones to keep the number: which one it is can't be foreseen, so no branch.
        let mask = over.wrapping_sub(borrow);
        let ([a, b, c, d], [e, f, g, h]) = (number, reduced);
        Self([e ^ (a ^ e) & mask, f ^ (b ^ f) & mask, g ^ (c ^ g) & mask, h ^ (d ^ h) & mask])
    }

    /// Of an element that isn't 0.
    fn inverse(self) -> Self {
        Self(inverse(self.0, Self::R.0, PRIME, 1))
    }
}

impl Add for Field {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        let (number, over) = add(self.0, other.0);
        Self::reduce_once(number, over)
    }
}

impl Sub for Field {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self(subtract_modulo(self.0, other.0, PRIME))
    }
}

impl Neg for Field {
    type Output = Self;

    fn neg(self) -> Self {
        Self::ZERO - self
    }
}

impl Mul for Field {
    type Output = Self;

    fn mul(self, other: Self) -> Self {
        let [a, b, c, d] = other.0;
        let (w0, row) = add_row([0; 4], self.0, a);
        let (w1, row) = add_row(row, self.0, b);
        let (w2, row) = add_row(row, self.0, c);
        let (w3, [w4, w5, w6, w7]) = add_row(row, self.0, d);
        Self::reduce([w0, w1, w2, w3, w4, w5, w6, w7])
    }
}

/// A point of the curve that isn't the one at infinity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Point {
    x: Field,
    y: Field,
}

impl Point {
    /// From the big-endian coordinates, 32 bytes each. `None`: no point of the curve (SEC 1 section 3.2.2.1; the cofactor is 1).
    pub fn new(x: &[u8], y: &[u8]) -> Option<Self> {
        let (x, y) = (Field::new(limbs(x)?)?, Field::new(limbs(y)?)?);
        let is_on_curve = y.square() == (x.square() - (Field::ONE.double() + Field::ONE)) * x + Field::B;
        is_on_curve.then_some(Self { x, y })
    }
}

impl Neg for Point {
    type Output = Self;

    fn neg(self) -> Self {
        Self { x: self.x, y: -self.y }
    }
}

/// A point in Jacobian coordinates: x Z² = X, y Z³ = Y. Z is 0 at infinity.
#[derive(Debug, Clone, Copy)]
struct Jacobian {
    x: Field,
    y: Field,
    z: Field,
}

impl Jacobian {
    const INFINITY: Self = Self { x: Field::ONE, y: Field::ONE, z: Field::ZERO };

    fn is_infinity(&self) -> bool {
        self.z == Field::ZERO
    }

    /// Twice the point: dbl-2001-b of the Explicit-Formulas Database. Right at infinity too; no point is its own opposite, as n is odd.
    fn double(self) -> Self {
        let (delta, gamma) = (self.z.square(), self.y.square());
        let four_beta = (self.x * gamma).double().double();
        let product = (self.x - delta) * (self.x + delta);
        let alpha = product.double() + product;
        let x = alpha.square() - four_beta.double();
        let z = (self.y * self.z).double();
        let y = alpha * (four_beta - x) - gamma.double().square().double();
        Self { x, y, z }
    }

    /// The sum: madd of the Explicit-Formulas Database, and the three cases that it isn't for, which a forger can bring about.
    fn add(self, other: Point) -> Self {
        if self.is_infinity() {
            return Self { x: other.x, y: other.y, z: Field::ONE };
        }
        let z_squared = self.z.square();
        let (h, r) = (other.x * z_squared - self.x, other.y * (z_squared * self.z) - self.y);
        if h == Field::ZERO {
            return if r == Field::ZERO { self.double() } else { Self::INFINITY };
        }
        let h_squared = h.square();
        let (h_cubed, v) = (h * h_squared, self.x * h_squared);
        let x = r.square() - h_cubed - v.double();
        Self { x, y: r * (v - x) - self.y * h_cubed, z: self.z * h }
    }

    /// `digit` is -1 or 1 for this sign of `point`.
    fn add_signed(self, point: &Point, digit: i8) -> Self {
        self.add(if digit < 0 { -*point } else { *point })
    }
}

/// A public key, prepared.
#[derive(Debug, Clone)]
pub struct Key {
    /// By 1, 2^32, 2^64, …
    multiples: [Point; SPLITS],
}

impl Key {
    /// Of this point. It takes longer than a verification.
    pub fn new(point: &Point) -> Self {
        let mut multiple = Jacobian::INFINITY.add(*point);
        let mut multiples = [multiple; SPLITS];
        for next in multiples.iter_mut().skip(1) {
            for _ in 0..PART {
                multiple = multiple.double();
            }
            *next = multiple;
        }
        // One inverse for all: of the product, and from the last to the first what is before it in the product makes its own of it.
        let mut product = Field::ONE;
        let before = multiples.map(|point| {
            let before = product;
            product = product * point.z;
            before
        });
        let mut inverse = product.inverse();
        let mut affine = [*point; SPLITS];
        for ((affine, point), before) in affine.iter_mut().zip(&multiples).zip(before).rev() {
            let own = inverse * before;
            let squared = own.square();
            inverse = inverse * point.z;
            *affine = Point { x: point.x * squared, y: point.y * (squared * own) };
        }
        Self { multiples: affine }
    }

    /// As [`Self::new`], with what [`Self::multiples`] was before, which saves more than half of a verification. `None`, if that can't be: it
    /// has another length, or a number that isn't below p. If it is of another key, verdicts are wrong: it must come from where the key does.
    pub fn with_multiples(point: &Point, multiples: &[u8]) -> Option<Self> {
        if multiples.len() != 2 * BYTES * (SPLITS - 1) {
            return None;
        }
        let mut numbers = multiples.chunks(BYTES).map(|bytes| limbs(bytes).filter(|number| is_below(number, &PRIME)));
        let mut all = [*point; SPLITS];
        for multiple in all.iter_mut().skip(1) {
            *multiple = Point { x: Field(numbers.next()??), y: Field(numbers.next()??) };
        }
        Some(Self { multiples: all })
    }

    /// The multiples of the point by which its factor is cut into parts, but the first: it follows from the key, so it is no secret.
    pub fn multiples(&self) -> Vec<u8> {
        let numbers = self.multiples.iter().skip(1).flat_map(|point| [point.x.0, point.y.0]);
        numbers.flat_map(|number| number.into_iter().rev().flat_map(u64::to_be_bytes)).collect()
    }

    /// Whether `signature`, r and s in 32 bytes each (RFC 7518 section 3.4), is one of this key over a message with this digest, of 256 bits
    /// (FIPS 186-5 section 6.4.2).
    pub fn verifies(&self, digest: &[u8; BYTES], signature: &[u8]) -> bool {
        let Some((r, s)) = signature.split_at_checked(BYTES) else { return false };
        let (Some(e), Some(r), Some(s)) = (limbs(digest), limbs(r), limbs(s)) else { return false };
        // Step 1.
        if [r, s].iter().any(|number| *number == [0; 4] || !is_below(number, &ORDER)) {
            return false;
        }
        // Steps 3 and 4. The inverse is in Montgomery form, so the products aren't; e may be beyond n, they are below it.
        let order = Modulus { limbs: ORDER.to_vec(), inverse: ORDER_INVERSE, r_squared: Vec::new() };
        let inverse = inverse(s, ORDER_R, ORDER, ORDER_INVERSE);
        let [u, v] = [e, r].map(|factor| {
            let mut number = inverse;
            order.multiply(&mut number, &factor, &mut [0; 8]);
            number
        });
        // Step 5.
        let point = self.combine(&u, &v);
        if point.is_infinity() {
            return false;
        }
        // Steps 6 and 7 without a division: x modulo n is r if x is r, or r + n where that is still below p.
        let z_squared = point.z.square();
        let is_x = |number: Limbs| Field::new(number).is_some_and(|number| number * z_squared == point.x);
        is_x(r) || matches!(add(r, ORDER), (number, 0) if is_x(number))
    }

    /// u times the base point and v times this.
    fn combine(&self, u: &Limbs, v: &Limbs) -> Jacobian {
        let (u, v) = (digits(u, WINDOW_OF_BASE), digits(v, WINDOW_OF_KEY));
        let mut point = Jacobian::INFINITY;
        for (of_base, of_key) in u.iter().zip(&v).rev() {
            point = point.double();
            for (digit, multiples) in of_base.iter().zip(&generator::MULTIPLES) {
                // 1, 3, 5, … are at 0, 1, 2, …; the digit 0 is nowhere.
                let multiple = (digit % 2 != 0).then(|| multiples.get(usize::from(digit.unsigned_abs() / 2))).flatten();
                if let Some(multiple) = multiple {
                    point = point.add_signed(multiple, *digit);
                }
            }
            for (digit, multiple) in of_key.iter().zip(&self.multiples) {
                if *digit != 0 {
                    point = point.add_signed(multiple, *digit);
                }
            }
        }
        point
    }
}

/// The number in signed digits (Guide to Elliptic Curve Cryptography, section 3.3.1), odd or 0, below 2^(`window` - 1): by their place in a
/// part, then by part. One place more than a part has is for a carry out of the last one.
fn digits(number: &Limbs, window: u32) -> [[i8; SPLITS]; PART + 1] {
    let mut digits = [[0; SPLITS]; PART + 1];
    let limb = |index: usize| u128::from(number.get(index).copied().unwrap_or(0));
    let bits = |position: usize| halves((limb(position / 64) | limb(position / 64 + 1) << 64) >> (position % 64)).0;
    let (mut position, mut carry) = (0, 0);
    while position <= 256 {
        let next = bits(position);
        if next & 1 == carry {
            position += 1;
            continue;
        }
        let value = (next & ((1 << window) - 1)) + carry;
        carry = value >> (window - 1);
        let part = (position / PART).min(SPLITS - 1);
        if let Some(digit) = digits.get_mut(position - part * PART).and_then(|place| place.get_mut(part)) {
            // At most 2^window - 1, or negative above the half.
            *digit = i8::try_from(value).unwrap_or(0) - (i8::from(carry == 1) << window);
        }
        position += window as usize;
    }
    digits
}

/// `start` by `number`, modulo an odd prime `modulus` that neither is above: the binary algorithm for the greatest common divisor (Handbook of Applied
/// Cryptography, section 14.4.3), with halves modulo the modulus made for as many bits at once as there are.
fn inverse(number: Limbs, start: Limbs, modulus: Limbs, negative_inverse: u64) -> Limbs {
    // a is u times number by start, b is v times that; b is odd.
    let (mut a, mut u) = (number, start);
    let (mut b, mut v) = (modulus, [0; 4]);
    while a != [0; 4] {
        while a[0] % 2 == 0 {
            let bits = a[0].trailing_zeros().min(63);
            a = shift(a, 0, bits);
            // What makes the lowest bits vanish.
            let factor = u[0].wrapping_mul(negative_inverse) & ((1 << bits) - 1);
            let (w0, [w1, w2, w3, w4]) = add_row(u, modulus, factor);
            u = shift([w0, w1, w2, w3], w4, bits);
        }
        if is_below(&a, &b) {
            (a, b, u, v) = (b, a, v, u);
        }
        a = subtract(a, b).0;
        u = subtract_modulo(u, v, modulus);
    }
    v
}

/// `over`, `number` to the right by 1 to 63 bits; what is above four limbs is lost.
#[inline]
fn shift([a, b, c, d]: Limbs, over: u64, bits: u32) -> Limbs {
    let pair = |low, high| low >> bits | high << (64 - bits);
    [pair(a, b), pair(b, c), pair(c, d), pair(d, over)]
}

/// Below `modulus`, as both numbers are.
#[inline]
fn subtract_modulo(number: Limbs, other: Limbs, modulus: Limbs) -> Limbs {
    let (difference, borrow) = subtract(number, other);
    let mask = borrow.wrapping_neg();
    add(difference, modulus.map(|limb| limb & mask)).0
}

/// The sum, and what goes beyond.
#[inline]
fn add([a, b, c, d]: Limbs, [e, f, g, h]: Limbs) -> (Limbs, u64) {
    let (a, carry) = sum(a, e, 0);
    let (b, carry) = sum(b, f, carry);
    let (c, carry) = sum(c, g, carry);
    let (d, carry) = sum(d, h, carry);
    ([a, b, c, d], carry)
}

/// The difference, and 1 if it is negative: that is 2^256 too much then.
#[inline]
fn subtract([a, b, c, d]: Limbs, [e, f, g, h]: Limbs) -> (Limbs, u64) {
    let (a, borrow) = difference(a, e, 0);
    let (b, borrow) = difference(b, f, borrow);
    let (c, borrow) = difference(c, g, borrow);
    let (d, borrow) = difference(d, h, borrow);
    ([a, b, c, d], borrow)
}

/// `row` and `number` times `by`: the lowest limb and the others.
#[inline]
fn add_row([r, s, t, u]: Limbs, [a, b, c, d]: Limbs, by: u64) -> (u64, Limbs) {
    let (low, carry) = product(a, by, r, 0);
    let (s, carry) = product(b, by, s, carry);
    let (t, carry) = product(c, by, t, carry);
    let (u, carry) = product(d, by, u, carry);
    (low, [s, t, u, carry])
}

/// The four limbs above these two, and what goes beyond them, when p is added as many times as makes the two vanish: the lower limb as it is,
/// and then the higher one as that leaves it, since p is 2^96 - 1 and its highest limb. `over` went beyond the four limbs below.
#[inline]
fn vanish([low, high]: [u64; 2], [a, b, c, d]: Limbs, over: u64) -> (Limbs, u64) {
    let (high, carry) = sum(high, low << 32, 0);
    let (a, carry) = sum(a, high << 32 | low >> 32, carry);
    // The highest limb of p leaves room: its product has an upper half of 2^64 - 2^32 at most.
    let (b, carry) = product(low, PRIME[3], b, (high >> 32) + carry);
    let (c, carry) = product(high, PRIME[3], c, carry + over);
    let (d, over) = sum(d, carry, 0);
    ([a, b, c, d], over)
}

/// a b + c + d, at most 2^128 - 1: the low and the high half.
#[inline]
fn product(a: u64, b: u64, c: u64, d: u64) -> (u64, u64) {
    halves(u128::from(a) * u128::from(b) + u128::from(c) + u128::from(d))
}

/// The sum and what goes beyond: 0 or 1, if `carry` is.
#[inline]
fn sum(a: u64, b: u64, carry: u64) -> (u64, u64) {
    halves(u128::from(a) + u128::from(b) + u128::from(carry))
}

/// a - b - borrow, and whether that is negative.
#[inline]
fn difference(a: u64, b: u64, borrow: u64) -> (u64, u64) {
    let (low, high) = halves(u128::from(a).wrapping_sub(u128::from(b)).wrapping_sub(u128::from(borrow)));
    (low, high & 1)
}

#[inline]
fn is_below(number: &Limbs, other: &Limbs) -> bool {
    number.iter().rev().lt(other.iter().rev())
}

/// Of 32 big-endian bytes.
#[inline(never)] // WebAssembly has no instruction for it
fn limbs(bytes: &[u8]) -> Option<Limbs> {
    let bytes: &[u8; BYTES] = bytes.try_into().ok()?;
    let mut limbs = [0; 4];
    for (limb, chunk) in limbs.iter_mut().rev().zip(bytes.as_chunks().0) {
        *limb = u64::from_be_bytes(*chunk);
    }
    Some(limbs)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests;
