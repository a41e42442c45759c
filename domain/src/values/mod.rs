//! The values that commands and events are made of, each checked where it is read.

mod account_key;
mod country;
mod folded;
mod ids;
mod money;
mod period;
mod personal;
mod time;

pub use account_key::{AccountDescription, AccountKey, AccountRef, InvalidAccount, KeyStrength};
pub use country::{InvalidCountry, country_code};
pub use folded::folded;
pub use ids::*;
pub use money::{Amount, Currency, InvalidMoney, MAX_MINOR, Money};
pub use period::{InvalidPeriod, Month, Period};
pub use personal::{MAX_PERSONAL_LEN, Personal, PersonalVisitor};
pub use time::{DAY_US, InvalidTime, Timestamp};
