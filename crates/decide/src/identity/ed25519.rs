//! Ed25519 public keys under which anybody can sign.
//!
//! Ed25519 verification (RFC 8032 section 5.1.7) as aws-lc does it accepts keys of small order: for them a signature
//! can be made without any private key. There are eight such points. Their fourteen encodings are the five values of y
//! below with either sign bit, and encodings of the same y that are not reduced.

/// Values of y, little-endian, of the points whose order is 1, 2, 4 or 8.
const SMALL_ORDER_Y: [[u8; 32]; 5] = [
    [0; 32],
    ONE,
    MINUS_ONE,
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a,
        0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
    ],
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5,
        0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
    ],
];

/// The identity.
const ONE: [u8; 32] = [
    1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
];

/// 2^255 - 20, which is -1 modulo the prime.
const MINUS_ONE: [u8; 32] = [
    0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f,
];

/// True for a key of small order, and for every encoding that is not reduced modulo 2^255 - 19.
pub(super) fn is_weak(mut key: [u8; 32]) -> bool {
    let [.., sign] = &mut key;
    *sign &= 0x7f;
    // Little-endian numbers compare from their last byte on.
    let reduced = key.iter().rev().le(MINUS_ONE.iter().rev());
    !reduced || SMALL_ORDER_Y.contains(&key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};

    #[test]
    fn all_fourteen_encodings_are_weak() {
        let unreduced = [0xed, 0xee].map(|first| {
            let mut y = MINUS_ONE;
            y[0] = first;
            y
        });
        let encodings: Vec<[u8; 32]> = SMALL_ORDER_Y
            .into_iter()
            .chain(unreduced)
            .flat_map(|y| {
                let mut negative = y;
                negative[31] |= 0x80;
                [y, negative]
            })
            .collect();
        assert_eq!(encodings.len(), 14);
        for key in encodings {
            assert!(is_weak(key), "{key:02x?}");
        }
        let mut largest = [0xff; 32];
        assert!(is_weak(largest));
        largest[31] = 0x7f;
        assert!(is_weak(largest));
    }

    /// Why this module exists: under the identity as a key, R = identity and S = 0 sign everything.
    #[test]
    fn the_library_alone_would_accept_a_forgery() {
        let identity = ONE;
        let mut forged = [0; 64];
        forged[0] = 1;
        assert!(
            UnparsedPublicKey::new(&ED25519, identity)
                .verify(b"anything", &forged)
                .is_ok()
        );
        assert!(is_weak(identity));
    }

    #[test]
    fn honest_keys_are_not_weak() {
        for _ in 0..100 {
            let pair = Ed25519KeyPair::generate().unwrap();
            assert!(!is_weak(pair.public_key().as_ref().try_into().unwrap()));
        }
    }
}
