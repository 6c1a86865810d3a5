//! The encoding of RSASSA-PSS (RFC 8017 section 9.1.2) with SHA-256 throughout and a salt of 32 bytes, which is what PS256 means
//! (RFC 7518 section 3.5).

use sha2::{Digest as _, Sha256};

/// Of a hash, and of the salt.
const BYTES: usize = 32;

/// Whether `encoded`, of `bits` bits with zeros before them, is an encoding of `hash`. The numbers are those of the steps.
pub(super) fn is_encoded(encoded: &[u8], bits: u32, hash: &[u8]) -> bool {
    // A modulus of 8 n + 1 bits has a byte more than its encodings, which is zero.
    let length = bits.div_ceil(8) as usize;
    let Some((before, encoded)) = encoded.split_at_checked(encoded.len().saturating_sub(length)) else { return false };
    if encoded.len() != length || before.iter().any(|byte| *byte != 0) {
        return false;
    }
    // (3) room for hash, salt and two bytes, (4) the last byte, (5) the parts.
    let Some((0xbc, rest)) = encoded.split_last() else { return false };
    let Some((masked, found)) = rest.len().checked_sub(BYTES).and_then(|at| rest.split_at_checked(at)) else {
        return false;
    };
    // (6) to (9): the bits that aren't there are zero before the mask, and made so after it.
    let unused = (8 - bits % 8) % 8;
    let top = 0xff_u8 >> unused;
    if masked.first().is_none_or(|byte| byte & !top != 0) {
        return false;
    }
    let mut block = unmask(masked, found);
    if let Some(first) = block.first_mut() {
        *first &= top;
    }
    // (10) zeros and a one, (11) the salt.
    let Some((padding, salt)) = block.len().checked_sub(BYTES).and_then(|at| block.split_at_checked(at)) else {
        return false;
    };
    let Some((1, zeros)) = padding.split_last() else { return false };
    if zeros.iter().any(|byte| *byte != 0) {
        return false;
    }
    // (12) to (14).
    let digest = Sha256::new().chain_update([0; 8]).chain_update(hash).chain_update(salt).finalize();
    digest.as_slice() == found
}

/// `masked` with the mask of `seed` taken off: MGF1 with SHA-256 (appendix B.2.1).
fn unmask(masked: &[u8], seed: &[u8]) -> Vec<u8> {
    let mut block = masked.to_vec();
    for (counter, part) in (0_u32..).zip(block.chunks_mut(BYTES)) {
        let mask = Sha256::new().chain_update(seed).chain_update(counter.to_be_bytes()).finalize();
        part.iter_mut().zip(mask).for_each(|(byte, mask)| *byte ^= mask);
    }
    block
}
