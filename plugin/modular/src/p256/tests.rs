//! Against other people's arithmetic: the crates `p256` (points, signatures) and `crypto-bigint` (numbers).

use crypto_bigint::{NonZero, U256};
use p256::ecdsa::signature::hazmat::{PrehashSigner as _, PrehashVerifier as _};
use p256::ecdsa::{Signature, SigningKey, VerifyingKey};
use p256::elliptic_curve::PrimeField as _;
use p256::elliptic_curve::ops::Reduce as _;
use p256::{FieldBytes, ProjectivePoint, Scalar, Sec1Point};

use super::*;
use crate::tests::noise;

type Bytes = [u8; BYTES];

fn random(seed: u64) -> Bytes {
    noise(seed, BYTES).try_into().unwrap()
}

fn bytes(number: Limbs) -> Bytes {
    number.iter().rev().flat_map(|limb| limb.to_be_bytes()).collect::<Vec<_>>().try_into().unwrap()
}

fn uint(number: Limbs) -> U256 {
    U256::from_be_slice(&bytes(number))
}

fn modulus(number: Limbs) -> NonZero<U256> {
    NonZero::new(uint(number)).into_option().unwrap()
}

fn scalar(number: &Bytes) -> Scalar {
    Scalar::reduce(&FieldBytes::from(*number))
}

fn small(number: u64) -> Scalar {
    Scalar::from(number)
}

/// `number` plus (or, if negative, minus) a little: around a bound.
fn near(number: Limbs, by: i8) -> Limbs {
    let little = [u64::from(by.unsigned_abs()), 0, 0, 0];
    if by < 0 { super::subtract(number, little).0 } else { super::add(number, little).0 }
}

/// Numbers below 2^256 at which carries, bounds and reductions turn, and some without a pattern.
fn edges() -> Vec<Limbs> {
    let all = u64::MAX;
    let mut numbers = vec![[all; 4], [all, all, all, 0], [0, all, all, all], [0, 0, 0, all], [all, 0, all, 0]];
    numbers.extend([[0, 0, 0, 1 << 63], [1 << 63; 4], [1, 1, 1, 1], [all, all, 0, 0], [0, all, 0, all], [0, 1, 0, 0]]);
    numbers.extend([
        [0x5555_5555_5555_5555; 4],
        [0xaaaa_aaaa_aaaa_aaaa; 4],
        [all, all, all, all - 1],
        [0, 0, all, all],
    ]);
    for bound in [[0; 4], PRIME, ORDER, super::subtract(PRIME, ORDER).0, Field::ONE.0, Field::R.0, ORDER_R] {
        numbers.extend((-3..=3).map(|by| near(bound, by)));
    }
    for bit in (0..256).step_by(32) {
        let mut power = [0; 4];
        power[bit / 64] = 1 << (bit % 64);
        numbers.extend([power, near(power, -1)]);
    }
    numbers.extend((0..16).map(|seed| limbs(&random(1000 + seed)).unwrap()));
    numbers
}

fn elements() -> Vec<Field> {
    edges().into_iter().filter(|number| is_below(number, &PRIME)).map(Field).collect()
}

/// The coordinates that the `p256` crate has.
fn coordinates(point: ProjectivePoint) -> (Bytes, Bytes) {
    let point = Sec1Point::from(point.to_affine());
    ((*point.x().unwrap()).into(), (*point.y().unwrap()).into())
}

fn point(point: ProjectivePoint) -> Point {
    let (x, y) = coordinates(point);
    Point::new(&x, &y).unwrap()
}

/// The point with this x that has the even y, if there is one.
fn lift(x: Limbs) -> Option<ProjectivePoint> {
    let compressed = [&[2][..], &bytes(x)].concat();
    let key = VerifyingKey::from_sec1_bytes(&compressed).ok()?;
    Some(ProjectivePoint::from(*key.as_affine()))
}

/// Our verdict, by a key prepared now and by one that was kept; it must be the `p256` crate's.
fn verdict((x, y): &(Bytes, Bytes), digest: &Bytes, signature: &[u8]) -> bool {
    let encoded = Sec1Point::from_affine_coordinates(&(*x).into(), &(*y).into(), false);
    let theirs = VerifyingKey::from_sec1_point(&encoded).ok();
    let ours = Point::new(x, y);
    assert_eq!(ours.is_some(), theirs.is_some(), "key {x:02x?} {y:02x?}");
    let (Some(theirs), Some(ours)) = (theirs, ours) else { return false };
    let key = Key::new(&ours);
    let found = key.verifies(digest, signature);
    let kept = Key::with_multiples(&ours, &key.multiples()).unwrap();
    assert_eq!(kept.verifies(digest, signature), found, "with what was kept");
    let expected =
        Signature::from_slice(signature).is_ok_and(|signature| theirs.verify_prehash(digest, &signature).is_ok());
    assert_eq!(found, expected, "key {x:02x?} {y:02x?}\ndigest {digest:02x?}\nsignature {signature:02x?}");
    found
}

#[test]
fn sums_and_products_of_the_field() {
    let p = modulus(PRIME);
    let r = uint(Field::ONE.0); // 2^256
    for a in elements() {
        assert_eq!(uint((-a).0), U256::ZERO.sub_mod(&uint(a.0), &p), "-{a:x?}");
        assert_eq!(uint(a.double().0), uint(a.0).add_mod(&uint(a.0), &p), "2 {a:x?}");
        assert_eq!(uint(a.square().0).mul_mod(&r, &p), uint(a.0).mul_mod(&uint(a.0), &p), "{a:x?}²");
        for b in elements() {
            assert_eq!(uint((a + b).0), uint(a.0).add_mod(&uint(b.0), &p), "{a:x?} + {b:x?}");
            assert_eq!(uint((a - b).0), uint(a.0).sub_mod(&uint(b.0), &p), "{a:x?} - {b:x?}");
            assert_eq!(uint((a * b).0).mul_mod(&r, &p), uint(a.0).mul_mod(&uint(b.0), &p), "{a:x?} * {b:x?}");
        }
    }
}

/// Reduction takes every number of eight limbs whose upper half is below p, more than products are.
#[test]
fn reduction_of_the_field() {
    let p = modulus(PRIME);
    let r = uint(Field::ONE.0);
    for high in elements() {
        for low in edges() {
            let ([a, b, c, d], [e, f, g, h]) = (low, high.0);
            let reduced = Field::reduce([a, b, c, d, e, f, g, h]);
            assert!(is_below(&reduced.0, &PRIME), "{high:x?} {low:x?}");
            let low = uint(low).add_mod(&U256::ZERO, &p);
            let expected = uint(high.0).mul_mod(&r, &p).add_mod(&low, &p);
            assert_eq!(uint(reduced.0).mul_mod(&r, &p), expected, "{high:x?} {low:x?}");
        }
    }
}

#[test]
fn elements_of_the_field() {
    let p = modulus(PRIME);
    for number in edges() {
        let element = Field::new(number);
        assert_eq!(element.is_some(), uint(number) < *p, "{number:x?}");
        if let Some(element) = element {
            assert_eq!(uint(element.0), uint(number).mul_mod(&uint(Field::ONE.0), &p), "{number:x?}");
        }
    }
}

#[test]
fn inverses() {
    for (prime, negative_inverse) in [(PRIME, 1), (ORDER, ORDER_INVERSE)] {
        assert_eq!(prime[0].wrapping_mul(negative_inverse), u64::MAX);
        let p = modulus(prime);
        let numbers = edges().into_iter().filter(|number| is_below(number, &prime));
        let random = (0..2000).map(|seed| limbs(&random(seed)).unwrap()).filter(|number| is_below(number, &prime));
        for number in numbers.chain(random).filter(|number| *number != [0; 4]) {
            for start in [[1, 0, 0, 0], near(prime, -1), ORDER_R, Field::R.0] {
                let found = inverse(number, start, prime, negative_inverse);
                assert!(is_below(&found, &prime));
                assert_eq!(uint(found).mul_mod(&uint(number), &p), uint(start), "{start:x?} by {number:x?}");
            }
        }
    }
    for element in elements().into_iter().filter(|element| *element != Field::ZERO) {
        assert_eq!(element.inverse() * element, Field::ONE, "{element:x?}");
    }
}

#[test]
fn digits_make_up_their_number() {
    for number in edges() {
        for window in [WINDOW_OF_KEY, WINDOW_OF_BASE] {
            let mut sum = [0; 5];
            for (place, parts) in digits(&number, window).iter().enumerate().rev() {
                for (part, digit) in parts.iter().enumerate() {
                    assert!(*digit == 0 || digit % 2 != 0 && digit.unsigned_abs() < 1 << (window - 1), "{digit}");
                    let position = PART * part + place;
                    let mut value = [0; 5];
                    value[position / 64] = u64::from(digit.unsigned_abs()) << (position % 64);
                    value[(position / 64 + 1).min(4)] |= halves(u128::from(digit.unsigned_abs()) << (position % 64)).1;
                    let mut carry = 0;
                    for (sum, limb) in sum.iter_mut().zip(value) {
                        (*sum, carry) =
                            if *digit < 0 { difference(*sum, limb, carry) } else { super::sum(*sum, limb, carry) };
                    }
                }
            }
            assert_eq!((sum[..4].to_vec(), sum[4]), (number.to_vec(), 0), "{window}");
        }
    }
}

#[test]
fn multiples_of_the_base_point() {
    let mut base = ProjectivePoint::GENERATOR;
    for (part, multiples) in generator::MULTIPLES.iter().enumerate() {
        let mut multiple = base;
        for (index, found) in multiples.iter().enumerate() {
            assert_eq!(*found, point(multiple), "{part} {index}");
            multiple += base + base;
        }
        (0..PART).for_each(|_| base += base);
    }
}

#[test]
fn multiples_of_a_key() {
    for seed in 0..50 {
        let mut multiple = ProjectivePoint::GENERATOR * scalar(&random(seed));
        let own = point(multiple);
        let key = Key::new(&own);
        for found in key.multiples {
            assert_eq!(found, point(multiple));
            (0..PART).for_each(|_| multiple += multiple);
        }
        assert_eq!(Key::with_multiples(&own, &key.multiples()).unwrap().multiples, key.multiples);
    }
}

#[test]
fn what_was_kept_of_another_key() {
    let secret = SigningKey::from_slice(&random(1)).unwrap();
    let own = coordinates(ProjectivePoint::GENERATOR * *secret.as_nonzero_scalar().as_ref());
    let own = Point::new(&own.0, &own.1).unwrap();
    let kept = Key::new(&own).multiples();
    assert_eq!(kept.len(), 448);
    let digest = random(2);
    let signature: Signature = secret.sign_prehash(&digest).unwrap();
    let mut beyond = kept.clone();
    beyond[416..].copy_from_slice(&bytes(PRIME));
    let mut below = kept.clone();
    below[..32].copy_from_slice(&bytes(near(PRIME, -1)));
    for (kept, verdict) in [
        (kept.clone(), Some(true)),
        (Key::new(&point(ProjectivePoint::GENERATOR)).multiples(), Some(false)),
        (vec![0; 448], Some(false)),
        (below, Some(false)),
        (beyond, None),
        (vec![0xff; 448], None),
        (kept[..447].to_vec(), None),
        (kept[..384].to_vec(), None),
        ([kept.clone(), vec![0]].concat(), None),
        ([kept.clone(), vec![0; 64]].concat(), None),
        (Vec::new(), None),
    ] {
        let found = Key::with_multiples(&own, &kept).map(|key| key.verifies(&digest, &signature.to_bytes()));
        assert_eq!(found, verdict, "{kept:02x?}");
    }
}

#[test]
fn points_of_the_curve() {
    let (x, y) = coordinates(ProjectivePoint::GENERATOR);
    let is_point = |x: &[u8], y: &[u8]| Point::new(x, y).is_some();
    assert!(is_point(&x, &y));
    assert!(!is_point(&y, &x) && !is_point(&x, &x), "off the curve");
    assert!(!is_point(&x[1..], &y) && !is_point(&x, &y[1..]) && !is_point(&[], &[]), "too short");
    assert!(!is_point(&[&[0], &x[..]].concat(), &y) && !is_point(&x, &[&[0], &y[..]].concat()), "too long");
    assert!(!is_point(&[0; BYTES], &[0; BYTES]), "the origin");
    // 0 and other small numbers are the x of points; with p added they fit into 32 bytes, and are none.
    let mut compared = 0;
    for little in 0..100 {
        let Some(lifted) = lift([little, 0, 0, 0]) else { continue };
        let (x, y) = coordinates(lifted);
        let beyond = bytes(super::add(PRIME, [little, 0, 0, 0]).0);
        assert!(is_point(&x, &y) && !is_point(&beyond, &y), "{little}");
        assert!(!verdict(&(beyond, y), &[1; BYTES], &[1; 64]));
        compared += 1;
    }
    assert!(compared > 30 && lift([0; 4]).is_some(), "{compared}");
    for seed in 0..200 {
        verdict(&(random(seed), random(seed + 1)), &[1; BYTES], &[1; 64]);
    }
}

#[test]
fn signatures_of_the_p256_crate_and_what_is_altered() {
    for seed in 0..2000 {
        let secret = SigningKey::from_slice(&random(seed)).unwrap();
        let key = coordinates(ProjectivePoint::GENERATOR * *secret.as_nonzero_scalar().as_ref());
        let digest = random(seed + 10_000);
        let signature: Signature = secret.sign_prehash(&digest).unwrap();
        let signature: [u8; 64] = signature.to_bytes().into();
        assert!(verdict(&key, &digest, &signature), "{seed}");
        let bit = random(seed + 20_000);
        let flip = |bytes: &mut [u8], by: u8| bytes[usize::from(by) / 8 % bytes.len()] ^= 1 << (by % 8);
        let mut altered = signature;
        flip(&mut altered[..32], bit[0]);
        assert!(!verdict(&key, &digest, &altered), "{seed}: r");
        let mut altered = signature;
        flip(&mut altered[32..], bit[1]);
        assert!(!verdict(&key, &digest, &altered), "{seed}: s");
        let mut altered = digest;
        flip(&mut altered, bit[2]);
        assert!(!verdict(&key, &altered, &signature), "{seed}: digest");
        let mut altered = key;
        flip(if bit[3] < 128 { &mut altered.0 } else { &mut altered.1 }, bit[4]);
        assert!(!verdict(&altered, &digest, &signature), "{seed}: key");
        // The opposite point is a key, and another one; the opposite of s is as good as s.
        let opposite = Point::new(&key.0, &bytes(super::subtract(PRIME, limbs(&key.1).unwrap()).0)).unwrap();
        assert!(!Key::new(&opposite).verifies(&digest, &signature), "{seed}: opposite key");
        let mut opposite = signature;
        opposite[32..].copy_from_slice(&bytes(super::subtract(ORDER, limbs(&signature[32..]).unwrap()).0));
        assert!(verdict(&key, &digest, &opposite), "{seed}: opposite s");
        let swapped = [&signature[32..], &signature[..32]].concat();
        assert!(!verdict(&key, &digest, &swapped), "{seed}: swapped");
    }
}

#[test]
fn signatures_of_another_length() {
    let secret = SigningKey::from_slice(&random(1)).unwrap();
    let key = Key::new(&point(ProjectivePoint::GENERATOR * *secret.as_nonzero_scalar().as_ref()));
    let signature: Signature = secret.sign_prehash(&[7; BYTES]).unwrap();
    let signature = signature.to_bytes();
    assert!(key.verifies(&[7; BYTES], &signature));
    for length in (0..64).chain(65..=130) {
        let other: Vec<u8> = signature.iter().copied().chain([0; 66]).take(length).collect();
        assert!(!key.verifies(&[7; BYTES], &other), "{length}");
    }
}

#[test]
fn numbers_of_signatures_at_their_bounds() {
    let keys = [small(1), -small(1), small(2), scalar(&random(5))].map(|d| coordinates(ProjectivePoint::GENERATOR * d));
    let mut numbers = vec![[u64::MAX; 4], [1 << 63; 4], limbs(&keys[0].0).unwrap(), limbs(&keys[2].0).unwrap()];
    for bound in [[0; 4], ORDER, PRIME, super::subtract(PRIME, ORDER).0] {
        numbers.extend([near(bound, -1), bound, near(bound, 1), near(bound, 2)]);
    }
    let digests = [[0; 4], [1, 0, 0, 0], near(ORDER, -1), ORDER, near(ORDER, 1), [u64::MAX; 4]];
    let mut accepted = 0;
    for key in &keys {
        for (r, s) in numbers.iter().flat_map(|r| numbers.iter().map(move |s| (*r, *s))) {
            for digest in digests {
                accepted += usize::from(verdict(key, &bytes(digest), &[bytes(r), bytes(s)].concat()));
            }
        }
    }
    // r and s the key's own x, and the digest 0: s by r is 1, so the point is the key. The like with the opposite, and with others.
    assert!(accepted > 4, "{accepted}");
}

/// The signature in which these are the factors of base point and key, and its digest; and the point that they make. If that is at infinity,
/// r is as good as any.
fn made(u: Scalar, v: Scalar, secret: Scalar) -> Option<(Bytes, Vec<u8>)> {
    let point = ProjectivePoint::GENERATOR * (u + secret * v);
    let r = if point == ProjectivePoint::IDENTITY { small(1) } else { scalar(&coordinates(point).0) };
    let s = r * Option::<Scalar>::from(v.invert())?;
    let number = |scalar: Scalar| Bytes::from(scalar.to_repr());
    Some((number(u * s), [number(r), number(s)].concat()))
}

/// Keys and factors at which sums meet themselves, their opposite, or nothing at all, on the way or at the end.
#[test]
fn sums_that_are_exceptional() {
    let power = |bits: usize| (0..bits).fold(small(1), |power, _| power + power);
    let half = Option::<Scalar>::from(small(2).invert()).unwrap();
    let mut some: Vec<Scalar> = [1, 2, 3, 4, 5, 6, 7, 8, 9, 15, 16, 17, 31, 32, 33].map(small).to_vec();
    for bits in (0..256).step_by(PART) {
        some.extend([power(bits), small(3) * power(bits), power(bits) + small(2)]);
    }
    some.extend([half, power(255), power(31), power(33), scalar(&random(9)), small(1) + power(32) + power(96)]);
    let all: Vec<Scalar> = some.iter().flat_map(|scalar| [*scalar, -*scalar]).collect();
    let (mut infinite, mut good) = (0, 0);
    for (index, secret) in all.iter().enumerate() {
        let key = coordinates(ProjectivePoint::GENERATOR * *secret);
        let prepared = Key::new(&Point::new(&key.0, &key.1).unwrap());
        let mut hold = |u: Scalar, v: Scalar, deep: bool| {
            let Some((digest, signature)) = made(u, v, *secret) else { return };
            let is_good = u + v * secret != small(0);
            assert_eq!(prepared.verifies(&digest, &signature), is_good, "{u:?} + {v:?} * {secret:?}");
            if deep {
                assert_eq!(verdict(&key, &digest, &signature), is_good);
            }
            if is_good { good += 1 } else { infinite += 1 }
        };
        for (other, v) in all.iter().enumerate().skip(index % 6).step_by(6) {
            // The same point twice, a point and its opposite, one without the other.
            let deep = (index + other) % 16 == 0;
            hold(*v * secret, *v, deep);
            hold(-(*v * secret), *v, deep);
            hold(small(0), *v, deep);
            hold(*v * secret + small(1), *v, false);
            hold(-(*v * secret) + power(32), *v, false);
            for u in all.iter().skip((index + other) % 25).step_by(25) {
                hold(*u, *v, false);
            }
        }
    }
    assert!(infinite > 1000 && good > 10_000, "{infinite} {good}");
}

/// Points whose x is n or more, and such as have a small one: r is x less n, or x, and each is looked for.
#[test]
fn an_x_that_is_not_r() {
    let (mut beyond, mut little) = (0, 0);
    for offset in 0..200 {
        for x in [
            super::add(ORDER, [offset, 0, 0, 0]).0,
            super::subtract(PRIME, [offset + 1, 0, 0, 0]).0,
            [offset, 0, 0, 0],
            super::subtract(super::subtract(PRIME, ORDER).0, [offset, 0, 0, 0]).0,
            super::add(super::subtract(PRIME, ORDER).0, [offset, 0, 0, 0]).0,
            super::subtract(ORDER, [offset + 1, 0, 0, 0]).0,
        ] {
            let Some(made) = lift(x) else { continue };
            let r = scalar(&bytes(x));
            let Some(inverse) = Option::<Scalar>::from(r.invert()) else { continue };
            for (s, digest) in
                [(small(1), [0; BYTES]), (-small(1), random(offset)), (scalar(&random(!offset)), [0xff; BYTES])]
            {
                // s R = e G + r Q.
                let key = (made * s - ProjectivePoint::GENERATOR * scalar(&digest)) * inverse;
                let signature = [Bytes::from(r.to_repr()), Bytes::from(s.to_repr())].concat();
                assert!(verdict(&coordinates(key), &digest, &signature), "{x:x?}");
                // r itself isn't below n then.
                let unreduced = [bytes(x), Bytes::from(s.to_repr())].concat();
                assert_eq!(verdict(&coordinates(key), &digest, &unreduced), is_below(&x, &ORDER), "{x:x?}");
                // Nor is s plus n.
                let (more, over) = super::add(limbs(&s.to_repr()).unwrap(), ORDER);
                if over == 0 {
                    let unreduced = [Bytes::from(r.to_repr()), bytes(more)].concat();
                    assert!(!verdict(&coordinates(key), &digest, &unreduced), "{x:x?}");
                }
                *if is_below(&x, &ORDER) { &mut little } else { &mut beyond } += 1;
            }
        }
    }
    assert!(beyond > 400 && little > 800, "{beyond} {little}");
}

/// r + n that is x only if it is reduced modulo p, or cut to 256 bits: both are somebody's mistake, and the signature is none.
#[test]
fn an_r_that_is_not_x() {
    let mut compared = 0;
    for offset in 0..200 {
        let Some(made) = lift([offset, 0, 0, 0]) else { continue };
        let complement = super::subtract([0; 4], ORDER).0;
        for below in [super::subtract(PRIME, ORDER).0, complement] {
            let r = bytes(super::add([offset, 0, 0, 0], below).0);
            let (s, digest) = (scalar(&random(offset)), random(!offset));
            // As if x were r: s R = e G + r Q.
            let inverse = Option::<Scalar>::from(scalar(&r).invert()).unwrap();
            let key = (made * s - ProjectivePoint::GENERATOR * scalar(&digest)) * inverse;
            assert!(!verdict(&coordinates(key), &digest, &[r, s.to_repr().into()].concat()), "{offset}");
            compared += 1;
        }
    }
    assert!(compared > 100, "{compared}");
}
