//! scrypt (RFC 7914) through AWS-LC, which does it in two thirds of the time of the portable crate.
//! AWS-LC's Rust interface does not offer it, so this module holds the one foreign call.

use aws_lc_rs::error::Unspecified;

/// N as its logarithm, block size, parallelization.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    pub log_n: u8,
    pub r: u32,
    pub p: u32,
}

/// What AWS-LC may allocate: the largest cost that `parse` accepts, and room for the `p` blocks beside it.
const MAX_BYTES: usize = 320 << 20;

/// Fills `out` with the key for `password`.
///
/// # Errors
/// The cost is outside RFC 7914's or above [`MAX_BYTES`], or the machine has not the memory.
#[expect(unsafe_code, reason = "EVP_PBE_scrypt has no safe binding; the slices give every pointer its length")]
pub fn derive(cost: Cost, password: &[u8], salt: &[u8], out: &mut [u8]) -> Result<(), Unspecified> {
    let n = 1_u64.checked_shl(cost.log_n.into()).ok_or(Unspecified)?;
    // SAFETY: each pointer comes from a live slice and is passed with that slice's length; AWS-LC reads
    // `password` and `salt`, writes exactly `out.len()` bytes to `out`, and keeps none of them.
    let done = unsafe {
        aws_lc_sys::EVP_PBE_scrypt(
            password.as_ptr().cast(),
            password.len(),
            salt.as_ptr(),
            salt.len(),
            n,
            cost.r.into(),
            cost.p.into(),
            MAX_BYTES,
            out.as_mut_ptr(),
            out.len(),
        )
    };
    if done == 1 { Ok(()) } else { Err(Unspecified) }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed call is a failed test")]

    use super::*;
    use proptest::prelude::*;

    fn reference(cost: Cost, password: &[u8], salt: &[u8], length: usize) -> Vec<u8> {
        let params = ::scrypt::Params::new(cost.log_n, cost.r, cost.p).unwrap();
        let mut out = vec![0; length];
        ::scrypt::scrypt(password, salt, &params, &mut out).unwrap();
        out
    }

    #[test]
    fn the_imported_form_equals_the_portable_crate() {
        let cost = Cost { log_n: 15, r: 8, p: 1 };
        let mut out = [0; 32];
        derive(cost, b"correct horse", b"8 bytes!", &mut out).unwrap();
        assert_eq!(out.to_vec(), reference(cost, b"correct horse", b"8 bytes!", 32));
    }

    #[test]
    fn rfc_7914_section_12_holds_for_the_empty_password() {
        let mut out = [0; 64];
        derive(Cost { log_n: 4, r: 1, p: 1 }, b"", b"", &mut out).unwrap();
        assert_eq!(out[..8], [0x77, 0xd6, 0x57, 0x62, 0x38, 0x65, 0x7b, 0x20]);
    }

    #[test]
    fn a_cost_beyond_the_memory_is_an_error() {
        let mut out = [0; 32];
        for cost in [
            Cost { log_n: 24, r: 8, p: 1 },
            Cost { log_n: 200, r: 8, p: 1 },
            Cost { log_n: 15, r: 0, p: 1 },
            Cost { log_n: 15, r: 8, p: u32::MAX },
        ] {
            assert!(derive(cost, b"p", b"s", &mut out).is_err(), "{cost:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn every_cost_equals_the_portable_crate(
            log_n in 1_u8..10, r in 1_u32..10, p in 1_u32..4,
            password: Vec<u8>, salt: Vec<u8>, length in 16_usize..70,
        ) {
            let cost = Cost { log_n, r, p };
            let mut out = vec![0; length];
            derive(cost, &password, &salt, &mut out).unwrap();
            prop_assert_eq!(out, reference(cost, &password, &salt, length));
        }
    }
}
