//! Signing keys: made, sealed, opened, and parsed once.

use crate::seal::{OpenError, SealError, Vault};
use crate::secret::Rng;
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::fmt;
use std::sync::Arc;
use usher_verify::{Algorithm, BadKeySet, PublicKey};
use zeroize::Zeroizing;

/// What signing keys are sealed for.
const PURPOSE: &str = "signing keys";

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyFailure {
    /// The cryptographic library could not make one.
    #[error("a key could not be made")]
    NotMade,
    /// The sealed text does not open.
    #[error("signing key {kid}: {source}")]
    Sealed {
        /// The key's id.
        kid: String,
        /// Why.
        source: OpenError,
    },
    /// The opened bytes are no private key of this algorithm.
    #[error("signing key {kid} is not a private key of its algorithm")]
    NotAKey {
        /// The key's id.
        kid: String,
    },
    /// The key could not be sealed.
    #[error(transparent)]
    NotSealed(#[from] SealError),
    /// The public half is refused by the verifier, so nobody could use the key.
    #[error("the public half of a signing key cannot be published: {0}")]
    NotPublic(#[from] BadKeySet),
}

/// A private key with its random id and its one algorithm. Prints its name only.
pub struct SigningKey {
    pub(super) pair: Pair,
    pub(super) public: Arc<PublicKey>,
}

pub(super) enum Pair {
    Es256(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
    // RSA pairs are an order of magnitude larger than the others.
    Rs256(Box<RsaKeyPair>),
}

impl SigningKey {
    /// A new key. RSA keys have 3072 bits and take up to seconds: never on a runtime thread, and only
    /// when first asked for.
    pub fn generate(algorithm: Algorithm, rng: &Rng) -> Result<SigningKey, KeyFailure> {
        let pair = match algorithm {
            Algorithm::Es256 => EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map(Pair::Es256),
            Algorithm::Ed25519 => Ed25519KeyPair::generate().map(Pair::Ed25519),
            Algorithm::Rs256 => RsaKeyPair::generate(KeySize::Rsa3072).map(|pair| Pair::Rs256(Box::new(pair))),
        };
        // Random rather than counted or derived: an id says nothing about the key, its age or its server.
        let kid = URL_SAFE_NO_PAD.encode(rng.bytes::<12>());
        SigningKey::build(&kid, pair.map_err(|_| KeyFailure::NotMade)?)
    }

    /// The key in PKCS#8 (RFC 5208), sealed for the row of its id.
    pub fn seal(&self, vault: &Vault, rng: &Rng) -> Result<String, KeyFailure> {
        Ok(vault.seal(PURPOSE, &place(self.kid()), &self.pkcs8()?, rng)?)
    }

    /// Opens and parses the key that was sealed for the row of this id.
    pub fn open(vault: &Vault, kid: &str, algorithm: Algorithm, sealed: &str) -> Result<SigningKey, KeyFailure> {
        let pkcs8 = vault
            .open(PURPOSE, &place(kid), sealed)
            .map_err(|source| KeyFailure::Sealed { kid: kid.to_owned(), source })?;
        let pair = match algorithm {
            Algorithm::Es256 => {
                EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &pkcs8).ok().map(Pair::Es256)
            }
            Algorithm::Ed25519 => Ed25519KeyPair::from_pkcs8(&pkcs8).ok().map(Pair::Ed25519),
            Algorithm::Rs256 => RsaKeyPair::from_pkcs8(&pkcs8).ok().map(|pair| Pair::Rs256(Box::new(pair))),
        };
        SigningKey::build(kid, pair.ok_or_else(|| KeyFailure::NotAKey { kid: kid.to_owned() })?)
    }

    /// A sealed key under the vault's current master key, without parsing it: for master rotation.
    pub fn reseal(vault: &Vault, kid: &str, sealed: &str, rng: &Rng) -> Result<String, KeyFailure> {
        vault
            .reseal(PURPOSE, &place(kid), sealed, rng)
            .map_err(|source| KeyFailure::Sealed { kid: kid.to_owned(), source })
    }

    /// The key's id.
    pub fn kid(&self) -> &str {
        self.public.kid()
    }

    /// The one algorithm that it signs with.
    pub fn algorithm(&self) -> Algorithm {
        self.public.algorithm()
    }

    /// The half that is published.
    pub fn public(&self) -> &Arc<PublicKey> {
        &self.public
    }

    fn build(kid: &str, pair: Pair) -> Result<SigningKey, KeyFailure> {
        let public = match &pair {
            Pair::Es256(pair) => PublicKey::es256(kid, pair.public_key().as_ref()),
            Pair::Ed25519(pair) => PublicKey::ed25519(kid, pair.public_key().as_ref()),
            Pair::Rs256(pair) => {
                let (modulus, exponent) = (pair.public_key().modulus(), pair.public_key().exponent());
                PublicKey::rs256(
                    kid,
                    modulus.big_endian_without_leading_zero(),
                    exponent.big_endian_without_leading_zero(),
                )
            }
        };
        Ok(SigningKey { pair, public: Arc::new(public?) })
    }

    fn pkcs8(&self) -> Result<Zeroizing<Vec<u8>>, KeyFailure> {
        let bytes = match &self.pair {
            Pair::Es256(pair) => pair.to_pkcs8v1().map(|document| document.as_ref().to_vec()),
            Pair::Ed25519(pair) => pair.to_pkcs8v1().map(|document| document.as_ref().to_vec()),
            Pair::Rs256(pair) => AsDer::<Pkcs8V1Der<'_>>::as_der(&**pair).map(|der| der.as_ref().to_vec()),
        };
        bytes.map(Zeroizing::new).map_err(|_| KeyFailure::NotMade)
    }
}

/// Where the sealed key is kept, which the seal covers.
fn place(kid: &str) -> String {
    format!("signing_keys:sealed:{kid}")
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({} {})", self.kid(), self.algorithm().name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seal::MasterKey;

    fn vault() -> Vault {
        Vault::new(&MasterKey::from_bytes([3; 32]))
    }

    #[test]
    fn a_key_of_each_algorithm_survives_sealing() -> Result<(), KeyFailure> {
        let rng = Rng::os();
        for algorithm in [Algorithm::Es256, Algorithm::Ed25519, Algorithm::Rs256] {
            let key = SigningKey::generate(algorithm, &rng)?;
            let sealed = key.seal(&vault(), &rng)?;
            let again = SigningKey::open(&vault(), key.kid(), algorithm, &sealed)?;
            assert_eq!(*again.pkcs8()?, *key.pkcs8()?);
            assert_eq!((again.kid(), again.algorithm()), (key.kid(), algorithm));
        }
        Ok(())
    }

    #[test]
    fn a_key_opens_only_under_its_own_id_and_algorithm() -> Result<(), KeyFailure> {
        let rng = Rng::os();
        let key = SigningKey::generate(Algorithm::Es256, &rng)?;
        let sealed = key.seal(&vault(), &rng)?;
        let other_row = SigningKey::open(&vault(), "another", Algorithm::Es256, &sealed);
        assert!(matches!(other_row, Err(KeyFailure::Sealed { source: OpenError::Refused, .. })));
        for algorithm in [Algorithm::Ed25519, Algorithm::Rs256] {
            let other = SigningKey::open(&vault(), key.kid(), algorithm, &sealed);
            assert!(matches!(other, Err(KeyFailure::NotAKey { .. })), "{algorithm:?}");
        }
        Ok(())
    }

    #[test]
    fn a_sealed_key_shows_nothing_and_its_name_is_all_it_prints() -> Result<(), KeyFailure> {
        let key = SigningKey::generate(Algorithm::Ed25519, &Rng::os())?;
        let private = URL_SAFE_NO_PAD.encode(key.pkcs8()?.get(16..48).unwrap_or_default());
        assert!(!key.seal(&vault(), &Rng::os())?.contains(&private));
        assert_eq!(format!("{key:?}"), format!("SigningKey({} EdDSA)", key.kid()));
        Ok(())
    }

    #[test]
    fn ids_of_keys_are_random() -> Result<(), KeyFailure> {
        let rng = Rng::seeded(1);
        let one = SigningKey::generate(Algorithm::Ed25519, &rng)?;
        let two = SigningKey::generate(Algorithm::Ed25519, &rng)?;
        assert_ne!(one.kid(), two.kid());
        assert_eq!(one.kid().len(), 16);
        Ok(())
    }

    #[test]
    fn a_sealed_key_moves_to_a_new_master_key() -> Result<(), KeyFailure> {
        let rng = Rng::os();
        let key = SigningKey::generate(Algorithm::Es256, &rng)?;
        let old = key.seal(&vault(), &rng)?;
        let new_master = MasterKey::from_bytes([4; 32]);
        let between = Vault::new(&new_master).with_previous(&MasterKey::from_bytes([3; 32]));
        let moved = SigningKey::reseal(&between, key.kid(), &old, &rng)?;
        let opened = SigningKey::open(&Vault::new(&new_master), key.kid(), Algorithm::Es256, &moved)?;
        assert_eq!(*opened.pkcs8()?, *key.pkcs8()?);
        Ok(())
    }
}
