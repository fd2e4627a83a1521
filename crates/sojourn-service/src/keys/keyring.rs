//! The signing keys of the instance as this node knows them: which one signs now, and which ones
//! verify.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Deserialize;
use serde_json::Value;
use sojourn_core::{
    signing_key::{self, SigningKeyStatus, SigningKeyTimes},
    time::Timestamp,
};
use sojourn_store::SigningKey;

use super::{MasterKey, SealError, Signer, SigningError};

/// Why stored signing keys cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyringError {
    #[error(transparent)]
    Sealed(#[from] SealError),
    #[error(transparent)]
    Unusable(#[from] SigningError),
}

/// A key that is parsed and ready to sign.
#[derive(Clone, Debug)]
pub struct KeyOfRing {
    pub times: SigningKeyTimes,
    pub signer: Arc<Signer>,
}

/// The signing keys of one instance, oldest first. A node replaces them as a whole when it reads
/// them again.
#[derive(Debug)]
pub struct Keyring {
    master_keys: MasterKeys,
    keys: RwLock<Arc<[KeyOfRing]>>,
}

/// The master key, and the one before it as long as a node may meet rows that are sealed with it.
#[derive(Clone, Debug)]
pub struct MasterKeys {
    pub current: MasterKey,
    pub previous: Option<MasterKey>,
}

impl MasterKeys {
    /// The private key of `row`, and whether the previous master key sealed it.
    ///
    /// # Errors
    /// Neither of the two opens it.
    pub fn open(&self, row: &SigningKey) -> Result<(Vec<u8>, bool), SealError> {
        let with_current = self.current.open(&row.kid, &row.sealed_private_key);
        match (with_current, &self.previous) {
            (Err(SealError), Some(previous)) => Ok((previous.open(&row.kid, &row.sealed_private_key)?, true)),
            (opened, _) => Ok((opened?, false)),
        }
    }
}

impl Keyring {
    /// The ring with the keys of `rows`.
    ///
    /// # Errors
    /// [`KeyringError`] for the first key that cannot be used; there has to be one.
    pub fn new(master_keys: MasterKeys, rows: &[SigningKey]) -> Result<Self, KeyringError> {
        Self::with_parsed(master_keys, rows, Vec::new())
    }

    /// As [`Self::new`]. The keys of `parsed` are not parsed again.
    ///
    /// # Errors
    /// As there.
    pub fn with_parsed(
        master_keys: MasterKeys,
        rows: &[SigningKey],
        parsed: Vec<KeyOfRing>,
    ) -> Result<Self, KeyringError> {
        let ring = Self { master_keys, keys: RwLock::new(parsed.into()) };
        ring.replace(rows)?;
        if ring.keys().is_empty() { Err(SigningError.into()) } else { Ok(ring) }
    }

    /// Takes over what the database holds now. A key that is known is not parsed again.
    ///
    /// # Errors
    /// [`KeyringError`]; the ring stays as it was.
    pub fn replace(&self, rows: &[SigningKey]) -> Result<(), KeyringError> {
        let known: HashMap<String, Arc<Signer>> =
            self.keys().iter().map(|key| (key.signer.key_id().to_owned(), key.signer.clone())).collect();
        let mut keys = Vec::with_capacity(rows.len());
        for row in rows {
            let signer = match known.get(&row.kid) {
                Some(signer) => Arc::clone(signer),
                None => Arc::new(Signer::new(&row.kid, &self.master_keys.open(row)?.0)?),
            };
            keys.push(KeyOfRing { times: row.times, signer });
        }
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = keys.into();
        Ok(())
    }

    /// All keys, oldest first.
    pub fn keys(&self) -> Arc<[KeyOfRing]> {
        Arc::clone(&self.keys.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// All keys with what they do at `wall`.
    pub fn with_status(&self, wall: Timestamp) -> Vec<(KeyOfRing, SigningKeyStatus)> {
        let keys = self.keys();
        let times: Vec<_> = keys.iter().map(|key| key.times).collect();
        keys.iter().cloned().zip(signing_key::statuses(&times, wall)).collect()
    }

    /// The key that signs at `wall`.
    pub fn current(&self, wall: Timestamp) -> Arc<Signer> {
        let keys = self.keys();
        // Nearly every instance has one key, and each token passes here.
        if let [only] = &*keys {
            return Arc::clone(&only.signer);
        }
        let current =
            self.with_status(wall).into_iter().find(|(_, status)| *status == SigningKeyStatus::Current);
        // Every key may be withdrawn only in rows that something else wrote: the newest signs then.
        current.map_or_else(|| keys[keys.len() - 1].signer.clone(), |(key, _)| key.signer)
    }

    /// The keys of the public key set at `wall`.
    pub fn published(&self, wall: Timestamp) -> Vec<Arc<Signer>> {
        let keys = self.keys();
        let mut published: Vec<_> =
            keys.iter().filter(|key| key.times.is_published(wall)).map(|key| key.signer.clone()).collect();
        if published.is_empty() {
            published.push(self.current(wall));
        }
        published
    }

    /// The payload of a token of this instance and of that category that a published key signed;
    /// `None` for anything else.
    pub fn verify(&self, token: &str, category: &str, wall: Timestamp) -> Option<Value> {
        #[derive(Deserialize)]
        struct Header {
            kid: String,
        }
        let header = URL_SAFE_NO_PAD.decode(token.split('.').next()?).ok()?;
        let Header { kid } = serde_json::from_slice(&header).ok()?;
        let signer = self.published(wall).into_iter().find(|signer| signer.key_id() == kid)?;
        signer.verify(token, category)
    }

    /// The master keys that open the rows.
    pub fn master_keys(&self) -> &MasterKeys {
        &self.master_keys
    }
}
