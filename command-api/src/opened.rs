//! What stands in the place of a sealed value: its text for those who may see persons, `{"erased":true}` once its key is gone.

use pledger_ledger::keys::{self, KeyStore};
use pledger_projections::query::{FieldKind, Item, ViewSpec};
use serde_json::Value;

use crate::principal::Rights;

/// Opens sealed values, or leaves them as they are.
#[derive(Clone, Copy)]
pub(crate) struct Opener<'k> {
    keys: Option<&'k dyn KeyStore>,
}

impl<'k> Opener<'k> {
    /// For somebody with these rights.
    pub(crate) fn new(keys: &'k dyn KeyStore, rights: Rights) -> Self {
        Self { keys: rights.persons.then_some(keys) }
    }

    /// Every sealed value in `value`. It blocks, too.
    pub(crate) fn open(self, value: Value) -> Value {
        match self.keys {
            Some(keys) => keys::open_all(keys, value),
            None => value,
        }
    }

    /// The fields of a view's items that name persons. Keys may be in a database: it blocks.
    pub(crate) fn open_items(self, view: &ViewSpec, items: &mut [Item]) {
        let is_person = |name: &str| view.fields.iter().any(|field| field.kind == FieldKind::Person && field.name == name);
        let Some(keys) = self.keys.filter(|_| view.fields.iter().any(|field| field.kind == FieldKind::Person)) else { return };
        let mut opening = keys::Opening::by(keys);
        for (_, value) in items.iter_mut().flat_map(|item| &mut item.0).filter(|(name, _)| is_person(name)) {
            *value = opening.open(value.take());
        }
    }
}
