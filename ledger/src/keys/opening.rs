//! What stands in the place of sealed values for those who may see persons.

use serde_json::{Value, json};

use super::{KeyStore, Opened};

/// Every sealed value in `value` opened: its text, or `{"erased":true}` once its key is gone. What cannot be read stays sealed.
#[must_use]
pub fn open_all(keys: &dyn KeyStore, value: Value) -> Value {
    Opening::by(keys).open(value)
}

/// Opens value after value. Once the key store cannot answer, it is asked no more, and the rest stays sealed: each question could take as
/// long as the first.
pub struct Opening<'k> {
    keys: &'k dyn KeyStore,
    is_away: bool,
}

impl<'k> Opening<'k> {
    /// By the keys of this store.
    #[must_use]
    pub fn by(keys: &'k dyn KeyStore) -> Self {
        Self { keys, is_away: false }
    }

    /// Every sealed value in `value` opened, as `open_all` does.
    pub fn open(&mut self, value: Value) -> Value {
        match value {
            Value::Object(members) => match members.get("sealed").and_then(Value::as_str) {
                Some(_) if members.len() == 1 && self.is_away => Value::Object(members),
                Some(sealed) if members.len() == 1 => match self.keys.open(sealed) {
                    Ok(Opened::Plain(text)) => Value::String(text),
                    Ok(Opened::Erased) => json!({"erased": true}),
                    Ok(Opened::Unreadable) => Value::Object(members),
                    Err(_) => {
                        self.is_away = true;
                        Value::Object(members)
                    }
                },
                _ => Value::Object(members.into_iter().map(|(name, member)| (name, self.open(member))).collect()),
            },
            Value::Array(items) => Value::Array(items.into_iter().map(|item| self.open(item)).collect()),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use pledger_domain::values::{PersonId, Personal, Timestamp};

    use super::*;
    use crate::keys::{Erasure, KeyStoreError};

    /// Counts those who ask, and answers nobody.
    #[derive(Default)]
    struct Away(AtomicUsize);

    impl Away {
        fn no<T>(&self) -> Result<T, KeyStoreError> {
            self.0.fetch_add(1, Ordering::Relaxed);
            Err(KeyStoreError::Store("away".into()))
        }
    }

    impl KeyStore for Away {
        fn stage_subject(&self, _: &str, _: &str) -> Result<PersonId, KeyStoreError> {
            self.no()
        }
        fn stage_seal(&self, _: &PersonId, _: &str) -> Result<Personal, KeyStoreError> {
            self.no()
        }
        fn settle(&self) -> Result<(), KeyStoreError> {
            self.no()
        }
        fn open(&self, _: &str) -> Result<Opened, KeyStoreError> {
            self.no()
        }
        fn erase(&self, _: &PersonId, _: &str, _: Timestamp) -> Result<Erasure, KeyStoreError> {
            self.no()
        }
        fn is_erased(&self, _: &PersonId) -> Result<bool, KeyStoreError> {
            self.no()
        }
    }

    #[test]
    fn a_store_that_is_away_is_asked_once_and_what_it_could_open_stays_sealed() {
        let away = Away::default();
        let value = json!([{"manager": {"sealed": "v1.a"}}, {"manager": {"sealed": "v1.b"}}, {"sealed": "v1.c", "more": 1}]);
        assert_eq!(open_all(&away, value.clone()), value);
        assert_eq!(away.0.load(Ordering::Relaxed), 1);
    }
}
