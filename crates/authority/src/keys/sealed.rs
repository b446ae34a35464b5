//! Private keys at rest: AES-256-GCM under a key that is not in the store.

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use secrecy::{ExposeSecret as _, SecretString};

use super::{hex, unhex};

/// Encrypts and decrypts private keys.
pub(crate) struct Sealing(RandomizedNonceKey);

impl Sealing {
    /// With a key of 32 bytes in hexadecimal digits.
    pub(crate) fn new(key: &SecretString) -> Option<Self> {
        let bytes = unhex(key.expose_secret().trim()).filter(|bytes| bytes.len() == 32)?;
        RandomizedNonceKey::new(&AES_256_GCM, &bytes).ok().map(Self)
    }

    /// Encrypts the private part of the key with that name.
    pub(crate) fn seal(&self, kid: &str, private: &[u8]) -> Option<String> {
        let mut sealed = private.to_vec();
        let nonce = self
            .0
            .seal_in_place_append_tag(Aad::from(kid), &mut sealed)
            .ok()?;
        Some(hex(nonce.as_ref()) + &hex(&sealed))
    }

    /// Decrypts it; what was encrypted under another key, or for another name, does not decrypt.
    pub(crate) fn open(&self, kid: &str, sealed: &str) -> Option<Vec<u8>> {
        let mut bytes = unhex(sealed)?;
        let (nonce, private) = bytes.split_at_mut_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let private = self.0.open_in_place(nonce, Aad::from(kid), private).ok()?;
        Some(private.to_vec())
    }
}

impl std::fmt::Debug for Sealing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sealing")
    }
}
