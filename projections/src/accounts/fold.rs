//! The fold of accounts.

use compact_str::CompactString;
use pledger_domain::{account::AccountEvent, values::AccountDescription};
use pledger_ledger::{
    outline::Outline,
    record::{Events, Outcome},
};

use super::name::comparable;
use crate::{
    deals::Deals,
    row,
    shard::{At, Fold},
    symbol::Symbol,
    table::{AnyTable, Table},
};

row! {
    /// An account as its registrations describe it: the first name, and whatever else was ever said.
    Account keyed AccountRowKey in "accounts" {
        key {
            /// The account's key.
            account: Symbol,
        }
        /// Its name, as first given.
        name: CompactString,
        /// The name without what makes no difference, to find the same account under other keys.
        comparable: CompactString,
        /// Its country, in capitals.
        country: Option<CompactString>,
        /// Its DUNS number, digits only.
        duns: Option<CompactString>,
    }
}

/// The accounts of a shard.
#[derive(Debug, Default)]
pub struct Accounts {
    /// By key.
    pub accounts: Table<Account>,
}

impl Accounts {
    fn describe(&mut self, description: &AccountDescription, at: &At<'_>) {
        let key = AccountRowKey { account: at.key };
        // Nearly every registration says nothing new.
        let is_new = |known: &Option<CompactString>, said: &Option<String>| known.is_none() && said.is_some();
        let is_known = |known: &Account| !is_new(&known.country, &description.country) && !is_new(&known.duns, &description.duns);
        if self.accounts.get(&key).is_some_and(is_known) {
            return;
        }
        let country = description.country.as_deref().map(|country| CompactString::from(country.to_uppercase()));
        let duns = description.duns.as_deref().map(|duns| duns.chars().filter(char::is_ascii_digit).collect::<CompactString>());
        let name = description.name.as_str();
        let make = || Account { name: name.into(), comparable: comparable(name).into(), country: None, duns: None };
        let account = self.accounts.upsert(key, at, make);
        account.country = account.country.take().or(country);
        account.duns = account.duns.take().or(duns);
    }
}

impl Fold for Accounts {
    fn fold(&mut self, decision: &Outline<'_>, at: &At<'_>, _deals: &Deals) {
        let Outcome::Accepted(Events::Account(events)) = &decision.outcome else { return };
        for event in events.iter() {
            if let AccountEvent::DealRegistered(registered) = event
                && let Some(description) = &registered.account
            {
                self.describe(description, at);
            }
        }
    }

    fn tables(&self) -> Vec<&dyn AnyTable> {
        vec![&self.accounts]
    }

    fn tables_mut(&mut self) -> Vec<&mut dyn AnyTable> {
        vec![&mut self.accounts]
    }
}
